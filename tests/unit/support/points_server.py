# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real nginx that gives recovery points as the role image_server sets it up, and hosts of a cluster that have one each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from support.certificates import Authority
from support.image_server import free_port, role_configuration
from support.recovery import Machine
from support.role_server import Server
from support.waiting import until

ONLY_READS = "-all,+dac_read_search"


def as_its_user(run: Path) -> list[str]:
    """Return what gives a program started by root the rights of the unit: another user, who may read any file."""
    if os.geteuid() != 0:
        return []
    shutil.chown(run, "nobody", "nogroup")
    caps = [f"--{kind}={ONLY_READS}" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *caps]


@contextmanager
def points_server(
    folder: Path, authority: Authority, names: Sequence[str], takers: Sequence[str], readers: Sequence[str]
) -> Iterator[Server]:
    """Serve ``folder``/recovery until the end of the block; each name has a certificate."""
    port, run, pki = free_port(), folder / "run", folder / "pki"
    run.mkdir(parents=True)
    pki.mkdir()
    host = authority.issue("127.0.0.1")
    for source, name in ((authority.ca_file, "ca.crt"), (host.cert, "host.crt"), (host.key, "host.key")):
        shutil.copy(source, pki / name)
    (pki / "host.key").chmod(0o600)
    (pki / "crl.pem").write_text(authority.revocations())
    variables = {
        "port": port,
        "pki_dir": pki,
        "points_folder": folder / "recovery",
        "root": folder / "recovery/points",
        "connections": 16,
        "point_takers": takers,
        "point_readers": readers,
    }
    text = role_configuration("points-nginx.conf.j2", **{f"image_server_{key}": value for key, value in variables.items()})
    (folder / "nginx.conf").write_text(text)
    more = f"daemon off; pid {run}/nginx.pid;"
    argv = ["/usr/sbin/nginx", "-e", "stderr", "-p", f"{run}/", "-c", str(folder / "nginx.conf"), "-g", more]
    with subprocess.Popen([*as_its_user(run), *argv]) as process:
        found = Server(folder, port, authority, {name: authority.issue(name) for name in names})
        try:
            until(lambda: process.poll() is not None or found.answers())
            yield found
        finally:
            process.terminate()


class Maker:
    """A hypervisor: what it made of its VMs is in ``folder``/recovery/outgoing, with the modes that it gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outgoing = folder / "recovery/outgoing"
        self.outgoing.mkdir(parents=True)

    def publish(self, machine: Machine) -> Path:
        """Make a point of a VM and give it."""
        return self.give(machine, machine.point())

    def give(self, machine: Machine, point: Path) -> Path:
        """Give a point that was made."""
        home = self.outgoing / machine.vm.uuid
        home.mkdir(exist_ok=True)
        given = Path(shutil.copytree(point, home / point.name))
        for path in given.iterdir():
            path.chmod(0o600)
        for path in (given, home):
            path.chmod(0o711)
        return given


def member(name: str, server: Server) -> Member:
    """Return a host of the cluster with its server."""
    return Member(name, f"https://127.0.0.1:{server.port}/")
