# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot × migrate × resize × backup × restart: each after each, on one VM that streams checked blocks to its disk all along.

One walk has every ordered pair once, and the quick operations after themselves too. After each operation all blocks that the guest
knew to be on its disk are there, and in the end every snapshot and every backup has what the guest had written when it was taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.backups import Backups
from support.migration_hosts import DATA, DISTANT, Pair
from support.stream_guest import BLOCK
from support.stream_host import StreamHost
from support.vm_host import MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]

VM = "wanderer"
OPERATIONS = ("snapshot", "migrate", "resize", "backup", "restart")
QUICK = ("snapshot", "resize", "backup")
PAIRS = [(one, two) for one in OPERATIONS for two in OPERATIONS if one != two or one in QUICK]
SAMPLE = ["snapshot", "migrate", "backup", "resize", "backup", "restart", "snapshot", "snapshot"]  # the third one is committed away
KEPT = 2
SPARE = 3 * MIB  # a qcow2 file's own, and whole clusters at both ends
DIGEST = """
import hashlib, sys
with open(sys.argv[1], "rb") as file:
    file.seek(int(sys.argv[2]))
    print(hashlib.sha256(file.read(int(sys.argv[3]))).hexdigest())
"""


def walk(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the walk that has each of the pairs once (Hierholzer's circuit: as many come to a name as leave it)."""
    left = {name: [two for one, two in pairs if one == name] for name, _two in pairs}
    path, found = [pairs[0][0]], []
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            found.append(path.pop())
    return found[::-1]


class Wanderer:
    """The VM, the host that it is on, and what was done to it so far."""

    def __init__(self, hosts: Pair, folder: Path) -> None:
        self.hosts = hosts
        self.host: StreamHost = hosts.one
        self.backups = Backups(VM, folder)
        self.blocks: list[int] = []  # of each backup, at least
        self.snapshots: dict[str, int] = {}  # blocks of each snapshot, at least
        self.size, self.memory, self.vcpus = 128, 128, 1
        self.known = -1

    def have(self) -> dict[str, object]:
        """Have the VM in the state that is wanted."""
        return self.hosts.guest(
            VM,
            self.host,
            disks=[{"name": "data", "image": self.hosts.digest, "size": f"{self.size}MiB"}],
            memory=f"{self.memory}MiB",
            max_memory="256MiB",
            vcpus=self.vcpus,
            max_vcpus=2,
            allow_recreate=True,  # that of an earlier test moved away, and was removed
        )

    def snapshot(self) -> None:
        """Take one; of three remove the oldest, which is committed under the running guest."""
        name = f"after-{self.known}"
        self.host.snapshot(VM, name)
        self.snapshots[name] = self.known
        if len(self.snapshots) > KEPT:
            oldest = next(iter(self.snapshots))
            del self.snapshots[oldest]
            self.host.snapshot(VM, oldest, state="absent")

    def migrate(self) -> None:
        """Move it to the other host while it runs."""
        moved = self.hosts.migrate(VM, self.host)
        assert moved["migration"]["warnings"] == [], "the checkpoints did not go along"
        self.host = self.hosts.other(self.host)
        self.hosts.only_on(self.host, VM)

    def resize(self) -> None:
        """Give it more disk, more memory and, once, a second processor, while it runs."""
        self.size, self.memory, self.vcpus = self.size + 8, self.memory + 16, 2
        done = self.have()["domain"]
        assert isinstance(done, dict) and done["pending_restart"] == []
        shown = self.host.run("virsh", "domblkinfo", VM, "vda")
        assert int(shown.split()[1]) == self.size * MIB

    def backup(self) -> None:
        """Take what changed since the backup before."""
        size = self.backups.take(self.host)
        if self.blocks:
            since = (self.host.acked(VM) - self.blocks[-1] + 2) * BLOCK
            assert size < since + SPARE, f"the guest wrote {since} bytes since the last one, and it has {size}"
        else:
            assert size > len(DATA), "it is not the whole disk"
        self.blocks.append(self.known)

    def restart(self) -> None:
        """Restart libvirt under it, stop it, and start it."""
        self.host.run("systemctl", "restart", "libvirtd")
        self.host.module("domain", name=VM, state="stopped", timeout=300)
        self.have()

    def verify(self) -> None:
        """Prove that it goes on, and that nothing that it wrote is lost."""
        self.host.wait_more(VM, 2)
        found = self.host.verify(VM)
        assert found > self.known, f"{found} blocks, and {self.known} were known before"
        self.known = max(self.known, self.host.acked(VM))


@pytest.fixture
def vm(hosts: Pair, tmp_path: Path) -> Iterator[Wanderer]:
    made = Wanderer(hosts, tmp_path)
    yield made
    made.host.module("domain", name=VM, state="absent", force_stop=True, timeout=1, delete_disks=True)


def test_the_walk_has_every_ordered_pair() -> None:
    assert sorted(pairwise(walk(PAIRS))) == sorted(PAIRS)


@pytest.mark.parametrize("operations", [SAMPLE, pytest.param(walk(PAIRS), marks=pytest.mark.slow)], ids=["sample", "every-pair"])
def test_no_order_of_operations_loses_anything(vm: Wanderer, operations: list[str]) -> None:
    vm.have()
    vm.verify()
    done: list[str] = []
    for operation in operations:
        done.append(operation)
        try:
            getattr(vm, operation)()
            vm.verify()
        except Exception as error:
            raise AssertionError(f"after {' → '.join(done)} on {vm.host.host.name}: {error}") from error
    assert len(vm.blocks) == operations.count("backup") and len(vm.snapshots) == KEPT
    the_end(vm)


def the_end(vm: Wanderer) -> None:
    """Read the whole disk, each snapshot and each backup."""
    for number, blocks in enumerate(vm.blocks):
        assert vm.backups.written(number) > blocks, f"backup {number}"
    kept = {one["name"]: one for one in vm.host.module("domain_snapshot_info", name=VM)["snapshots"]}
    assert set(kept) == set(vm.snapshots)
    for name, blocks in vm.snapshots.items():
        assert vm.host.written(VM, kept[name]["disks"]["data"]) > blocks, f"snapshot {name}"
    vm.host.module("domain", name=VM, state="stopped", timeout=300)
    assert vm.host.verify(VM) > vm.known
    raw = f"{VMS}/{VM}.raw"
    vm.host.run("qemu-img", "convert", "-O", "raw", vm.host.active(VM), raw)
    shown = vm.host.run("python3", "-c", DIGEST, raw, str(DISTANT), str(len(DATA)))
    assert shown == hashlib.sha256(DATA).hexdigest()
    vm.host.run("qemu-img", "check", vm.host.active(VM))
    vm.host.run("rm", raw)
