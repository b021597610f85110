# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of lab hosts by the real roles: a Front-end, replicas and hypervisors, and what goes over the Front-end's cable."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from edge_lab.api import Lab, LabHost
from support import hand_check
from support.playbook import run_book
from support.vm_host import IMAGES

HEADERS = 14 + 20 + 32  # of a frame: Ethernet, IPv4, TCP with time stamps


def book(nbd: bool, *, points_nbd: bool = False) -> list[dict[str, Any]]:
    """Return the plays of all hosts.

    ``nbd`` says whether replicas give images to VMs that start before theirs is here, ``points_nbd`` whether they give points so.
    """
    return [
        {"hosts": "frontend", "roles": [{"role": "edge.cloud.frontend", "frontend_images": "{{ images }}"}]},
        {"hosts": "replica", "roles": [{"role": "edge.cloud.replica", "replica_nbd": nbd, "replica_points_nbd": points_nbd}]},
        {"hosts": "hypervisor", "roles": [{"role": "edge.cloud.hypervisor", "hypervisor_virt_type": "qemu"}]},
    ]


@dataclass
class Site:
    """The hosts by name: ``PREFIX-front``, replicas ``PREFIX-r1`` and so on, hypervisors ``PREFIX-h1`` and so on."""

    lab: Lab
    folder: Path
    prefix: str
    hosts: dict[str, LabHost]
    nbd: bool = False
    release: str = "trixie"
    images: list[dict[str, str]] = field(default_factory=list)

    @property
    def front(self) -> LabHost:
        """The Front-end."""
        return self.hosts[f"{self.prefix}-front"]

    def named(self, letter: str) -> list[str]:
        """Return the names of the replicas (r) or hypervisors (h)."""
        return [name for name in self.hosts if name.startswith(f"{self.prefix}-{letter}")]

    @property
    def groups(self) -> Path:
        """The inventory of the groups; the lab has one of the hosts."""
        return self.folder / "groups.yml"

    def offer(self, image: Path, version: str) -> None:
        """Give the Front-end an image to import as ``web`` in this version by the next play."""
        self.front.put(image, f"/root/{version}.qcow2")
        self.images.append({"name": "web", "version": version, "source": f"/root/{version}.qcow2"})

    def play(self, *limit: str) -> None:
        """Run the roles on the hosts that ``limit`` names, or all."""
        self.run(book(self.nbd), *limit)

    def run(self, plays: list[dict[str, Any]], *limit: str) -> str:
        """Run plays on the hosts that ``limit`` names, or all, and return what was printed."""
        members = {"frontend": [self.front.name], "replica": self.named("r"), "hypervisor": self.named("h")}
        groups = {group: {"hosts": {name: {} for name in names}} for group, names in members.items()}
        self.groups.write_text(yaml.safe_dump({"all": {"children": groups, "vars": {"images": self.images}}}))
        file = self.folder / "book.yml"
        file.write_text(yaml.safe_dump(plays))
        return run_book(file, self.lab.inventory, self.groups, words=["--limit", ":".join(limit)] if limit else [])

    def forget(self, digest: str) -> None:
        """Take an image, and what has arrived of it, from every host but the Front-end; nobody uses it any more."""
        hex_ = digest.removeprefix("sha256:")
        clean = f"rm -f {IMAGES}/{hex_}.* {IMAGES}/partial/{hex_}.* /var/lib/edge/wanted/asked/{hex_}"
        for name in [*self.named("h"), *self.named("r")]:
            stop = "systemctl stop edge-arrive.service edge-fill.service 2>/dev/null || true"
            again = "systemctl try-restart edge-nbd.service 2>/dev/null || true"
            self.hosts[name].run(["sh", "-ec", f"{stop}; {clean}; {again}"])

    def front_sent(self) -> int:
        """Return the bytes that the Front-end has sent, all that goes over TCP; how a card cuts them into frames is not counted."""
        counters = ["tx_bytes", "tx_packets"]
        read = self.front.run(["cat", *[f"/sys/class/net/host0/statistics/{name}" for name in counters]])
        sent, packets = map(int, read.stdout.split())
        return sent - packets * HEADERS

    def digest(self, version: str) -> str:
        """Return the digest of a version of the image."""
        index = json.loads(self.front.run(["cat", "/var/lib/edge/datastore/index.json"]).stdout)
        return next(str(image["digest"]) for image in index["images"] if image["version"] == version)

    def size(self, digest: str) -> int:
        """Return the bytes of an image at the Front-end."""
        path = f"/var/lib/edge/datastore/{digest.removeprefix('sha256:')}.qcow2"
        return int(self.front.run(["stat", "--format=%s", path]).stdout)

    def pull(self, name: str, version: str) -> subprocess.Popen[str]:
        """Start a pull on a host."""
        argv = self.hosts[name].ssh_command(["edge-host", "pull", "--name", "web", "--version", version])
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def has(self, name: str, digest: str) -> bool:
        """Tell whether a host has the image, every byte of it."""
        path = f"{IMAGES}/{digest.removeprefix('sha256:')}"
        if self.hosts[name].run(["test", "-e", f"{path}.json"], check=False).returncode:
            return False
        found = self.hosts[name].run(["python3", "-c", hand_check.program(), f"{path}.qcow2"], check=False).stdout
        return found.strip() == digest


@contextmanager
def site(
    prefix: str, folder: Path, *, replicas: int, hypervisors: Sequence[str], nbd: bool = False, release: str = "trixie"
) -> Iterator[Site]:
    """Have the hosts, nothing done to them yet, a hypervisor for each release named; remove them at the end.

    ``release`` is that of the Front-end and the replicas.
    """
    lab = Lab()

    def down() -> None:
        lab.down(*[host.name for host in lab.hosts() if host.name.startswith(f"{prefix}-")])

    names = [f"{prefix}-front", *[f"{prefix}-r{number}" for number in range(1, replicas + 1)]]
    down()
    try:
        found = lab.up(names=names, variant="full", release=release)
        for number, own in enumerate(hypervisors, 1):
            found += lab.up(names=[f"{prefix}-h{number}"], variant="full", release=own)
        yield Site(lab, folder, prefix, {host.name: host for host in found}, nbd, release)
    finally:
        down()


def ended(process: subprocess.Popen[str], timeout: float = 600) -> dict[str, Any]:
    """Return what a pull printed; it has to end well within the seconds."""
    printed = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, printed
    result: dict[str, Any] = json.loads(printed)
    return result
