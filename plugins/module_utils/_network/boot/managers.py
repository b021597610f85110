# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks this host which program configures its links at boot: systemd-networkd, ifupdown or NetworkManager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ..._errors import Conflict, TimedOut, Unsupported
from ..._runner import Completed, Runner
from .matching import Answer
from .unit_files import read_text

TIMEOUT = 30.0
ENABLED = ("enabled", "enabled-runtime", "linked", "linked-runtime", "static", "indirect", "generated", "alias")
INTERFACES = Path("/etc/network/interfaces")
DEEPEST = 10  # files that source each other would never end
IFUP = (Path("/usr/sbin/ifup"), Path("/sbin/ifup"))


class Managers:
    """The network managers of this host, asked by their own programs."""

    def __init__(self, runner: Runner, interfaces: Path = INTERFACES) -> None:
        self._runner, self._interfaces = runner, interfaces

    def _run(self, *argv: str) -> Completed | None:
        """Return the outcome of a program, whatever it is, or None where it is missing or does not end."""
        try:
            return self._runner.run(argv, check=False, timeout=TIMEOUT)
        except (Unsupported, TimedOut):
            return None

    def _ask(self, *argv: str) -> str | None:
        """Return what a program prints, or None where it is missing or cannot tell."""
        done = self._run(*argv)
        return done.stdout.strip() if done and done.rc == 0 else None

    def network_file(self, link: str) -> Path | None:
        """Return the file by which systemd-networkd configures ``link`` now, or None if there is none or it does not run."""
        try:
            status = json.loads(self._ask("networkctl", "--json=short", "status", link) or "{}")
        except ValueError:
            return None
        return Path(status["NetworkFile"]) if isinstance(status, dict) and status.get("NetworkFile") else None

    def properties(self, link: str) -> dict[str, str] | None:
        """Return udev's properties of a link, or None where udev does not know it."""
        text = self._ask("udevadm", "info", "--query=property", f"--path=/sys/class/net/{link}")
        return None if text is None else dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def condition(self, key: str, value: str) -> Answer:
        """Return whether a condition of systemd holds on this host."""
        if key == "Credential":  # those of networkd are not ours
            return None
        done = self._run("systemd-analyze", "condition", f"Condition{key}={value}")
        if done is None:
            return None
        said = f"{done.stdout}{done.stderr}"
        return {0: True, 1: False}.get(done.rc) if "Conditions succeeded" in said or "Conditions failed" in said else None

    def require_networkd(self) -> None:
        """Raise Unsupported where systemd-networkd does not start at boot: its files would have no effect."""
        state = self._state("systemd-networkd.service")
        if state in (None, *ENABLED) or self._ask("systemctl", "is-active", "systemd-networkd.service") is not None:
            return
        raise Unsupported(
            f"boot: networkd was asked for, but systemd-networkd is {state} on this host, so that its files would have no effect"
            f" at boot. {self._other()} Or let systemd-networkd configure the host (systemctl enable systemd-networkd).",
            option="boot",
            state=state,
        )

    def _state(self, unit: str) -> str | None:
        done = self._run("systemctl", "is-enabled", unit)
        return (done.stdout.strip() or None) if done else None

    def _other(self) -> str:
        if self._state("NetworkManager.service") in ENABLED:
            return "NetworkManager is enabled: leave boot out and have the bridge in a connection of it (nmcli)."
        if self._uses_ifupdown():
            return f"ifupdown is installed: leave boot out and have the bridge in {self._interfaces} (package bridge-utils)."
        return "Leave boot out and have the bridge in the configuration of the program that configures this host."

    def _uses_ifupdown(self) -> bool:
        return any(program.exists() for program in IFUP) and self._interfaces.exists()

    def refuse_other(self, links: list[str]) -> None:
        """Raise Conflict where ifupdown or NetworkManager configures one of ``links``: two programs would."""
        for path, link in stanzas(self._interfaces, links) if self._uses_ifupdown() else ():
            raise Conflict(
                f"boot: ifupdown configures {link} by {path}; remove it there, or leave boot out and have the bridge there"
                " (package bridge-utils).",
                option="boot",
                path=str(path),
            )
        for link, state in self.network_manager().items():
            if link in links:
                raise Conflict(
                    f"boot: NetworkManager configures {link} ({state}); exclude it there (unmanaged-devices), or leave boot out"
                    " and have the bridge in a connection of NetworkManager.",
                    option="boot",
                    port=link,
                )

    def network_manager(self) -> dict[str, str]:
        """Return the links that NetworkManager configures and their states; none where it does not run."""
        lines = (self._ask("nmcli", "--terse", "--fields", "DEVICE,STATE", "device", "status") or "").splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        return {link: state for link, state in found.items() if state != "unmanaged"}


def stanzas(path: Path, links: list[str]) -> Iterator[tuple[Path, str]]:
    """Return the files of ifupdown that name one of ``links`` as an interface or as a port of a bridge, and which."""
    for file, text in interfaces_files(path):
        for line in text.replace("\\\n", " ").splitlines():
            head, *rest = line.split() or [""]
            named = rest[:1] if head == "iface" else rest if head in ("bridge_ports", "bridge-ports") else []
            yield from ((file, link) for link in links if link in {word.partition(":")[0] for word in named})


def interfaces_files(path: Path, depth: int = 0) -> Iterator[tuple[Path, str]]:
    """Return the file ``path`` of ifupdown and those that it sources, with their texts; what cannot be read is left out."""
    try:
        text = read_text(path)
    except OSError:
        return
    yield path, text
    for line in text.replace("\\\n", " ").splitlines():
        head, *rest = line.split() or [""]
        if head in ("source", "source-directory") and depth < DEEPEST:
            for word in rest:
                for found in _sourced(path.parent, word):
                    yield from interfaces_files(found, depth + 1)


def _sourced(folder: Path, pattern: str) -> Iterator[Path]:
    """Return the files that a pattern names; as in a shell, it names none that begin with a dot."""
    relative = pattern.removeprefix("/")
    start = Path("/") if pattern.startswith("/") else folder
    for found in sorted(start.glob(relative)):
        files = sorted(found.iterdir()) if found.is_dir() else [found]
        yield from (file for file in files if not file.name.startswith("."))
