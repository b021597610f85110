# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entering hosts: the lab's key, the hosts' keys, the command lines."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from .command import LabError, run
from .files import write_if_changed
from .hosts import Host, every
from .settings import Settings

HOST_KEY = "ssh_host_ed25519_key"


def public_key(path: Path) -> str:
    """Return the public key's line of a key pair."""
    return path.with_name(f"{path.name}.pub").read_text().strip()


def ensure_key(path: Path, comment: str) -> None:
    """Make a key pair, whole, if it is not there. The caller holds a lock on it."""
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.new")
        for leftover in (aside, aside.with_name(f"{aside.name}.pub")):
            leftover.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(aside)])
        aside.with_name(f"{aside.name}.pub").rename(public)
        aside.rename(path)


def write_known_hosts(settings: Settings) -> None:
    """Write the keys of all hosts, by name and address. The caller holds the lab's lock."""
    lines = []
    for host in every(settings):
        public = host.directory / f"{HOST_KEY}.pub"
        if public.exists():
            kind, key, *_any = public.read_text().split()
            lines.append(f"{host.name},{host.address} {kind} {key}")
    write_if_changed(settings.known_hosts, "".join(f"{line}\n" for line in lines))


def options(settings: Settings) -> list[str]:
    """Return ssh's options for any host of the lab; nothing of the user's own configuration counts."""
    return [
        *("-F", "none", "-i", str(settings.key), "-o", f"UserKnownHostsFile={settings.known_hosts}"),
        *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"),
    ]


def command(host: Host, remote: Sequence[str] = ()) -> list[str]:
    """Return the command line that runs a command, given as one shell line's words, on a host; a shell if none is given."""
    return ["ssh", *options(host.settings), *(["-t"] if not remote else []), f"root@{host.address}", *remote]


def wait(host: Host, timeout: float = 90) -> None:
    """Wait until a host lets us in; raise LabError with the end of its console log if it stops or takes too long."""
    deadline = time.monotonic() + timeout
    while True:
        if _answers(str(host.address)) and run(command(host, ["true"]), check=False, timeout=30).returncode == 0:
            return
        if not host.group.alive():
            raise LabError(f"host {host.name}: ended before ssh answered. {_console(host)}")
        if time.monotonic() > deadline:
            raise LabError(f"host {host.name}: ssh does not answer after {timeout:.0f} s. {_console(host)}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _console(host: Host, lines: int = 25) -> str:
    text = host.console.read_text(errors="replace") if host.console.exists() else ""
    tail = "\n".join(text.splitlines()[-lines:])
    return f"The end of {host.console}:\n{tail}" if tail else "Its console is empty."
