# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a copy of the base a host of its own: names, keys, addresses, and the machine's package settings."""

from __future__ import annotations

import configparser
import io
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import inherit, ssh
from .files import write_if_changed
from .hosts import Host, every, mounted
from .settings import Settings

BEGIN, END = "# edge-lab hosts begin", "# edge-lab hosts end"


def plant(host: Host) -> None:
    """Write a new host's own files into its mounted root; the same again if it was interrupted."""
    ssh.ensure_key(host.directory / ssh.HOST_KEY, f"root@{host.name}")
    login = ssh.public_key(host.settings.key)
    for name, mode in ((ssh.HOST_KEY, 0o600), (f"{ssh.HOST_KEY}.pub", 0o644)):
        target = host.root / "etc/ssh" / name
        shutil.copyfile(host.directory / name, target)
        target.chmod(mode)
    (host.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    files = {
        "root/.ssh/authorized_keys": f"{login}\n",
        "etc/hostname": f"{host.name}\n",
        "etc/machine-id": f"{host.spec.machine_id}\n",
        "etc/resolv.conf": inherit.resolv_conf(),
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/systemd/network/10-edge-lab.network": _network(host),
        "etc/ssh/sshd_config.d/edge-lab.conf": "MaxStartups 100\nMaxSessions 100\n",
        "etc/pip.conf": _pip_conf(),
        "etc/environment": _environment(host.settings),
    }
    for name, text in files.items():
        write_if_changed(host.root / name, text)


def _network(host: Host) -> str:
    prefix = host.settings.subnet.prefixlen
    return (
        "[Match]\nName=host0\n\n[Network]\n"
        f"Address={host.address}/{prefix}\nGateway={host.settings.gateway}\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\n"
    )


def _pip_conf() -> str:
    text = io.StringIO()
    parser = configparser.RawConfigParser()
    parser["global"] = inherit.pip_settings()
    parser.write(text)
    return text.getvalue()


def _environment(settings: Settings) -> str:
    values = inherit.environment()
    for name in ("no_proxy", "NO_PROXY"):
        if name in values:
            values[name] = f"{values[name]},{settings.subnet}"
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def write_hosts(settings: Settings) -> None:
    """Make every host resolve every host: keep one block in each /etc/hosts. The caller holds the lab's lock.

    A host whose own files are being written, or that is being removed, is not touched: the one at work on it holds its lock.
    """
    known = every(settings)
    block = "\n".join([BEGIN, *(f"{host.address} {host.name}" for host in known), END])
    for host in known:
        path = host.root / "etc/hosts"
        if host.spec.seeded and mounted(host.root):
            write_if_changed(path, _with_block(path.read_text(), block))


def _with_block(text: str, block: str) -> str:
    """Return a hosts file's text with our block replaced, or added at its end."""
    found = re.compile(rf"{BEGIN}\n.*?{END}", re.DOTALL)
    if found.search(text):
        return found.sub(lambda _: block, text, count=1)
    return f"{text.rstrip()}\n{block}\n"


def bind_folders(folders: Iterable[str]) -> list[str]:
    """Return systemd-nspawn's options for folders that hosts only read."""
    return [f"--bind-ro={folder}" for folder in folders if ":" not in folder and Path(folder).is_dir()]
