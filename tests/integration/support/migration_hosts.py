# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two lab hosts that migrate VMs to each other, made by our roles, with an image in the cache of both and streaming guests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from edge_lab.api import Lab, LabHost
from support import stream_guest
from support.playbook import TREE, run_book
from support.stream_host import StreamHost
from support.vm_host import IMAGES, MACHINE, MIB, VMS

ROLE = TREE / "roles/hypervisor"
DISTANT = 48 * MIB  # the stream does not come so far
DATA = random.Random(4).randbytes(8 * MIB)


@dataclass
class Pair:
    """Two hosts and an image that both have; ``migrate`` runs the module on one of them."""

    one: StreamHost
    two: StreamHost
    digest: str
    inventory: Path

    def other(self, host: StreamHost) -> StreamHost:
        """Return the other one."""
        return self.two if host is self.one else self.one

    def guest(self, name: str, host: StreamHost | None = None, **options: Any) -> dict[str, Any]:
        """Have a VM on ``host`` (the first) whose streamed disk is an overlay of the image, with a seed."""
        asked = {
            "name": name,
            **MACHINE,
            "cmdline": stream_guest.cmdline("vda"),
            "disks": [{"name": "data", "image": self.digest, "size": "128MiB"}],
            "nics": [{"network": "default"}],
            "cloud_init": {"user_data": {"packages": []}},
            "guest_agent": False,
            "timeout": 300,
        }
        return (host or self.one).module("domain", **{**asked, **options})

    def migrate(
        self, name: str, host: StreamHost | None = None, *, ok: bool = True, check: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Run domain_migration on ``host`` (the first) towards the other one."""
        host = host or self.one
        asked = {"name": name, "destination": self.other(host).host.name, **options}
        return host.module("domain_migration", ok=ok, check=check, **asked)

    def module_or_failure(self, host: StreamHost, **options: Any) -> dict[str, Any]:
        """Return the result of domain_migration, failed or not."""
        return host.play([{"edge.cloud.domain_migration": options, "ignore_errors": True}])[-1]

    def domains(self, host: StreamHost) -> dict[str, str]:
        """Return libvirt's domains of a host with their states."""
        names = host.run("virsh", "list", "--all", "--name").split()
        return {name: host.state(name) for name in names}

    def only_on(self, host: StreamHost, name: str, state: str = "running") -> None:
        """Assert that the VM is on this host alone, and leaves no file and no journal on the other."""
        assert self.domains(host).get(name) == state
        assert name not in self.domains(self.other(host))
        assert name not in self.other(host).run("ls", VMS).split()
        assert "migration.json" not in host.run("ls", "-A", f"{VMS}/{name}")

    def sent(self, host: StreamHost) -> int:
        """Return the bytes that a host has sent so far."""
        return int(host.run("cat", "/sys/class/net/host0/statistics/tx_bytes"))


def open_doors(hosts: list[LabHost], inventory: Path, folder: Path) -> Path:
    """Give the hosts certificates and libvirt over TLS by our roles, except for what else the roles do; return the inventory."""
    names: dict[str, Any] = {host.name: {} for host in hosts}
    groups = {"frontend": {"hosts": {hosts[0].name: {}}}, "hypervisor": {"hosts": names}}
    made = folder / "inventory"
    made.mkdir(exist_ok=True)
    (made / "hosts.yml").write_text(inventory.read_text())
    (made / "groups.yml").write_text(yaml.safe_dump(groups))
    tasks = [
        {"ansible.builtin.setup": {"gather_subset": ["!all", "network"]}},
        {"ansible.builtin.include_role": {"name": "edge.cloud.pki"}},
        *[{"ansible.builtin.include_vars": {"file": str(ROLE / kind / "main.yml")}} for kind in ("defaults", "vars")],
        {"ansible.builtin.file": {"path": IMAGES, "state": "directory", "mode": "0755"}},
        {"ansible.builtin.file": {"path": VMS, "state": "directory", "mode": "0711"}},
        {"ansible.builtin.include_tasks": {"file": str(ROLE / "tasks/certificates.yml")}},
        {"ansible.builtin.include_tasks": {"file": str(ROLE / "tasks/migration.yml")}},
    ]
    for kind in ("files", "templates"):  # where tasks outside of their role look for them
        if not (folder / kind).exists():
            (folder / kind).symlink_to(ROLE / kind)
    book = folder / "doors.yml"
    book.write_text(yaml.safe_dump([{"hosts": "hypervisor", "gather_facts": False, "tasks": tasks}]))
    run_book(book, made)
    return made


@contextmanager
def pair(prefix: str, release: str, folder: Path, *, distant_data: bool = False) -> Iterator[Pair]:
    """Have two hosts named ``PREFIX-1`` and ``PREFIX-2``, removed at the end; their image has DATA at DISTANT, or nothing."""
    lab = Lab()
    names = [f"{prefix}-1", f"{prefix}-2"]
    lab.down(*names)
    try:
        yield make_pair(lab, names, release, folder, bytes(DISTANT) + DATA if distant_data else b"")
    finally:
        lab.down(*names)


def make_pair(lab: Lab, names: list[str], release: str, folder: Path, data: bytes = b"") -> Pair:
    """Make two hosts, each with libvirt over TLS and the same image in its cache."""
    hosts = lab.up(names=names, release=release, variant="full")
    inventory = open_doors(hosts, lab.inventory, folder)
    one, two = (StreamHost(host, inventory, folder) for host in hosts)
    for host in (one, two):
        host.run("virsh", "net-start", "default")
    (digest,) = {host.have_image(folder / "image", data) for host in (one, two)}
    return Pair(one, two, digest, inventory)
