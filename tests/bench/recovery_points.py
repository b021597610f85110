# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(a) A recovery point of a running VM of whose disk 1 % has changed, against rsync and restic of the disk's file.

libvirtd and QEMU are those of a lab base, in name spaces. The disk is full of bytes that do not compress. It changes through the
VM's own device: in one piece, and in pieces of 4 KiB all over it. Each side has the state before; the others read the file of a
running VM, which a user must not do, but it costs as much as that of a stopped one. What is read and written is what the kernel's
block layer counts for the processes of a side, each begun with an empty page cache. ``sent`` is what a replica fetches: the files
of the point.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt_qemu
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Disk, DomainSpec, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointOrder, Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, to_text
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from report import NO_GOAL, Goal, Row, row, seconds
from support.images import qemu_img
from support.own_libvirt import OwnLibvirt, own_libvirt, qemu_of

RELEASE = "trixie"
MIB, GIB, BLOCK, CLUSTER = 2**20, 2**30, 4096, 65536
SHARE = 100  # one part of so many changes
READS, SENT = Goal(bound=0.02), Goal(bound=1.05)
KEY = {"RESTIC_PASSWORD": "of the bench"}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What a side did: bytes of the block layer, seconds of CPU and of a clock, bytes that leave the host."""

    read: int
    written: int
    cpu: float
    time: float
    sent: int


@dataclass
class Vm:
    """A VM whose disk is full; ``changed`` are the offsets of the clusters that were written to since the last point."""

    host: OwnLibvirt
    name: str
    size: int
    points: Points
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    changed: set[int] = field(default_factory=set)

    @property
    def domain(self) -> Any:
        return self.host.connection.lookupByName(self.name)

    @property
    def home(self) -> Path:
        return self.host.folder / self.name

    @property
    def disk(self) -> Path:
        return Path(self.points.folders.vm(self.name), "data.qcow2")

    def write(self, offset: int, length: int) -> None:
        """Write bytes that do not compress, as the guest would."""
        source = self.home / "bytes"
        source.write_bytes(self.dice.randbytes(length))
        source.chmod(0o644)
        self.do(f"write -s {source} {offset} {length}")
        self.changed |= {one // CLUSTER for one in range(offset, offset + length, BLOCK)}

    def device(self, target: str) -> str:
        """Return the path that the device of a disk has in QEMU."""
        part = next(one for one in self.domain.XMLDesc().split("<disk ")[1:] if f"<target dev='{target}'" in one)
        alias = part.split("<alias name='")[1].split("'")[0]
        return f"/machine/peripheral/{alias}/virtio-backend"

    def do(self, command: str) -> None:
        """Do what the guest would with its full disk, by a command of qemu-io."""
        said = libvirt_qemu.qemuMonitorCommand(self.domain, f'qemu-io -d {self.device("vda")} "{command}"', 1)
        assert "rror" not in said, said

    def change(self, scattered: bool) -> None:
        """Change one part of SHARE of the disk."""
        self.changed.clear()
        total = self.size // SHARE // BLOCK * BLOCK
        if scattered:
            for place in self.dice.sample(range(self.size // BLOCK), total // BLOCK):
                self.write(place * BLOCK, BLOCK)
        else:
            begin = self.dice.randrange((self.size - total) // CLUSTER) * CLUSTER
            for offset in range(0, total, MIB):
                self.write(begin + offset, min(MIB, total - offset))
        self.do("flush")

    def point(self) -> Path:
        """Make a point and return its folder."""
        made = self.points.make(self.name, PointOrder())
        assert made.folder, "nothing had changed"
        return made.folder


def points(folder: Path, sizes: list[int]) -> Iterator[Row]:
    """Give the rows of (a), for disks of ``sizes`` GiB; ``folder`` is for the copies of the others."""
    for size in sizes:
        with own_libvirt(RELEASE) as host, vm_of(host, size * GIB) as vm:
            place = folder / str(size)
            place.mkdir()
            _rsync(vm, place)
            _restic_init(place)
            _restic(vm, place)
            for scattered in (False, True):
                vm.change(scattered)
                what = "4 KiB pieces" if scattered else "one piece"
                yield from _rows(f"(a) point of a disk of {size} GiB, 1 % changed in {what}", vm, place, scattered)
            shutil.rmtree(place)


def _rows(case: str, vm: Vm, place: Path, scattered: bool) -> Iterator[Row]:
    qemu = qemu_of(vm.name)
    ours = measured(lambda: _size(vm.point()), qemu)
    others = {
        "rsync of the file": measured(lambda: _rsync(vm, place)),
        "restic backup of the file": measured(lambda: _restic(vm, place)),
    }
    dirty = len(vm.changed) * CLUSTER
    yield row(case, "sent", "B", ours.sent, dirty, other_name="dirty clusters of 64 KiB", goal=SENT, runs=1)
    for name, other in others.items():
        reads = READS if not scattered and name.startswith("rsync") else NO_GOAL
        yield row(case, "read", "B", ours.read, other.read, other_name=name, goal=reads, runs=1)
        for metric, unit in (("written", "B"), ("sent", "B"), ("cpu", "s"), ("time", "s")):
            yield row(case, metric, unit, getattr(ours, metric), getattr(other, metric), other_name=name, goal=NO_GOAL, runs=1)


def measured(work: Callable[[], int], *processes: int) -> Cost:
    """Return what ``work``, which returns the bytes to send, costs in this process, its children and other ``processes``."""
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    sent: list[int] = []
    before = _spent(processes)
    time = seconds(lambda: sent.append(work()))
    subprocess.run(["sync"], check=True)
    read, written, cpu = (two - one for one, two in zip(before, _spent(processes), strict=True))
    return Cost(int(read), int(written), cpu, time, sent[0])


def _spent(processes: tuple[int, ...]) -> tuple[float, float, float]:
    """Return bytes read and written, and seconds of CPU; children count once they are waited for."""
    read = written = cpu = 0.0
    for one in ("self", *map(str, processes)):
        io = dict(line.split(": ") for line in Path(f"/proc/{one}/io").read_text().splitlines())
        read, written = read + int(io["read_bytes"]), written + int(io["write_bytes"])
    for one in processes:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / TICKS
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        cpu += usage.ru_utime + usage.ru_stime
    return read, written, cpu


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _rsync(vm: Vm, place: Path) -> int:
    """Bring a copy up to date as over a network, and return what was sent."""
    argv = ["rsync", "--inplace", "--no-whole-file", "--stats", str(vm.disk), str(place / "copy.qcow2")]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    line = next(one for one in shown.splitlines() if one.startswith("Total bytes sent"))
    return int(line.partition(":")[2].replace(",", ""))


def _restic_init(place: Path) -> None:
    subprocess.run(["restic", "init", "--quiet", "--repo", str(place / "repo")], check=True, env={**os.environ, **KEY})


def _restic(vm: Vm, place: Path) -> int:
    """Back the file up, and return how much the repository grew."""
    repo = place / "repo"
    before = sum(path.stat().st_size for path in repo.rglob("*") if path.is_file())
    argv = ["restic", "backup", "--quiet", "--no-cache", "--repo", str(repo), str(vm.disk)]
    subprocess.run(argv, check=True, env={**os.environ, **KEY})
    return sum(path.stat().st_size for path in repo.rglob("*") if path.is_file()) - before


@contextmanager
def vm_of(host: OwnLibvirt, size: int, **more: Any) -> Iterator[Vm]:
    """Have a VM that runs, whose disk ``vda`` of ``size`` bytes is full, with an empty one ``vdb``; ``more`` is of its spec."""
    name = f"bench{uuid.uuid4().hex[:8]}"
    home = host.folder / name
    folders = Folders(*(str(home / part) for part in ("vms", "images", "locks")))
    for path in (folders.vm(name), folders.images, folders.locks):
        Path(path).mkdir(parents=True)
    full, empty = (Path(folders.vm(name), f"{disk}.qcow2") for disk in ("data", "log"))
    _fill(full, size)
    qemu_img("create", "-q", "-f", "qcow2", empty, str(GIB))
    pairs = ((full, "vda"), (empty, "vdb"))
    disks = tuple(Disk(path.stem, str(path), "qcow2", target, "virtio", cache="none", io="native") for path, target in pairs)
    machine: dict[str, Any] = {"virt_type": "qemu", "arch": "x86_64", "machine": "q35", "memory": 128 * MIB, "vcpus": 1}
    spec = DomainSpec(name, str(uuid.uuid4()), disks=disks, cpu=Cpu("none"), agent=False, rng=False, **machine, **more)
    host.connection.defineXML(to_text(emit(spec, Record(spec, recovery=RecoveryPolicy(quiesce="never")))))
    tool = DiskFiles(SubprocessRunner(), folders)
    made = Vm(host, name, size, Points(host.connection, tool, folders, home / "r", host.folder / "none", host.folder / "none"))
    made.domain.create()
    try:
        shutil.rmtree(made.point())  # the first one, which is whole, was taken by a replica
        yield made
    finally:
        if made.domain.isActive():
            made.domain.destroy()
        made.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
        shutil.rmtree(home)


def _fill(disk: Path, size: int) -> None:
    raw = disk.with_suffix(".raw")
    with raw.open("wb") as file:
        for _part in range(size // (16 * MIB)):
            file.write(os.urandom(16 * MIB))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, disk)
    raw.unlink()
