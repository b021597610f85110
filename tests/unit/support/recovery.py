# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that makes recovery points: a real overlay that qemu-io writes to, and folders of generations as a hypervisor gives them."""

from __future__ import annotations

import filecmp
import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._generation import (
    DOCUMENT,
    Disk,
    File,
    Generation,
    Vm,
    file_name,
)
from ansible_collections.edge.cloud.plugins.module_utils._sizes import DELTA_CLUSTER
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.tidy import Report, Tidying
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import MIB, QEMU, cached, qemu_img

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
TARGET = "vda"
CLUSTER = DELTA_CLUSTER


def qemu_io(path: Path, *commands: str) -> None:
    """Write to a qcow2 by qemu-io."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["qemu-io", "-f", "qcow2", *words, path], check=True, capture_output=True, text=True)
    assert "failed" not in done.stderr + done.stdout, done.stdout


def file_of(path: Path) -> File:
    return File("sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def delta(path: Path, size: int, *commands: str) -> Path:
    """Make a delta by qemu-io."""
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"cluster_size={CLUSTER},compat=1.1", path, str(size))
    if commands:
        qemu_io(path, *commands)
    return path


class Machine:
    """A VM with one disk over an image of 1 MiB; ``contents`` are what its disk had at each point, as raw files, by name."""

    def __init__(self, folder: Path, size: int = 4 * MIB, uuid: str = UUID, *, epoch: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.size, self.epoch, self.number, self.vm = folder, size, epoch, 0, Vm("web", uuid)
        digest = cached(folder / "images", random.Random(1).randbytes(MIB), MIB)
        self.images, self.live = Store(folder / "images"), folder / "live.qcow2"
        self.images.prepare()
        image = self.images.image_path(digest)
        qemu_img("create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", self.live, str(size))
        self.disk = Disk(TARGET, digest, size)
        self.dirty: set[int] = set()
        self.contents: dict[str, Path] = {}
        self.folders: dict[str, Path] = {}

    def copied(self, folder: Path) -> Machine:
        """Return the same machine with a disk and folders of its own, and the same image."""
        folder.mkdir(parents=True)
        other = copy(self)
        other.folder, other.live, other.dirty = folder, folder / "live.qcow2", set(self.dirty)
        shutil.copy(self.live, other.live)
        other.contents = {name: Path(shutil.copy(path, folder)) for name, path in self.contents.items()}
        other.folders = {name: Path(shutil.copytree(path, folder / "outgoing" / name)) for name, path in self.folders.items()}
        return other

    def write(self, start: int, length: int, pattern: int) -> None:
        """Write as the guest; the pattern 0 makes zeros without data."""
        qemu_io(self.live, f"write -z {start} {length}" if pattern == 0 else f"write -P {pattern} {start} {length}")
        self.dirty |= set(range(start // CLUSTER, -(-(start + length) // CLUSTER)))

    def resize(self, size: int) -> None:
        """Give the disk another size; what a longer one has more is zeros."""
        old, self.size = self.size, size
        qemu_img("resize", "-q", "-f", "qcow2", *(["--shrink"] if size < old else []), self.live, str(size))
        if size > old and old % CLUSTER:  # QEMU keeps what the rest of the last cluster had
            qemu_io(self.live, f"write -z {old} {min(size, -(-old // CLUSTER) * CLUSTER) - old}")
        self.dirty = {one for one in self.dirty if one * CLUSTER < size}

    def point(self, final: bool = False) -> Path:
        """Make a recovery point and return its folder, which has only the newest delta."""
        self.number += 1
        name = f"{self.epoch}.{self.number}"
        folder, raw = self.folder / "outgoing" / name, self.folder / f"{name}.raw"
        folder.mkdir(parents=True)
        qemu_img("convert", "-f", "qcow2", "-O", "raw", self.live, raw)
        made = delta(folder / "new", self.size, *self._changes(raw))
        file = file_of(made)
        made.rename(folder / file_name(file.digest))
        self.disk = self.disk.followed_by(file, self.number, self.size)
        self.dirty.clear()
        nvram = folder / "nvram"
        nvram.write_bytes(f"variables of {name}".encode())
        files = {"nvram": file_of(nvram)}
        nvram.rename(folder / file_name(files["nvram"].digest))
        instant = f"2026-05-01T10:{self.number // 60:02}:{self.number % 60:02}Z"
        self.generation = Generation(
            self.vm, self.epoch, self.number, instant, True, final, {"cpus": 1}, files, (self.disk,), self.number - 1 or None
        )
        (folder / DOCUMENT).write_bytes(self.generation.to_json())
        self.contents[name], self.folders[name] = raw, folder
        return folder

    def _changes(self, raw: Path) -> Sequence[str]:
        """Return what writes the changed clusters, those of zeros as such."""
        data = raw.read_bytes()
        commands = []
        for number in sorted(self.dirty):
            start, content = number * CLUSTER, data[number * CLUSTER : (number + 1) * CLUSTER]
            if content.strip(b"\0"):
                part = raw.with_name(f"part-{number}")
                part.write_bytes(content)
                commands.append(f"write -s {part} {start} {len(content)}")
            else:
                commands.append(f"write -z {start} {len(content)}")
        return commands

    def churn(self, rng: random.Random) -> None:
        """Change the disk at random: scattered small writes, whole clusters, zeros over data of the image, and sizes."""
        for _number in range(rng.randint(1, 4)):
            start = rng.randrange(self.size // 512) * 512
            length = min(rng.choice([512, 4096, CLUSTER, 3 * CLUSTER]), self.size - start)
            self.write(start, length, rng.choice([0, 0, rng.randint(1, 255)]))
        if rng.random() < 0.4:
            self.resize(rng.choice([MIB // 2, MIB // 2 + 4096 + 512, 3 * MIB, 3 * MIB + 1536, 4 * MIB, 5 * MIB]))


class Replica:
    """A depot with what works on it."""

    @classmethod
    def with_points(cls, folder: Path, points: int) -> Replica:
        """Return a replica with so many points of a machine, each of which wrote one more cluster."""
        machine = Machine(folder / "machine")
        replica = cls(machine, folder / "recovery")
        for number in range(points):
            machine.write(number * CLUSTER, CLUSTER, number + 1)
            replica.intake.take(machine.point())
        return replica

    def __init__(self, machine: Machine, root: Path) -> None:
        self.machine, self.depot = machine, Depot(root)
        self.intake = Intake(self.depot, QEMU, machine.images)

    def copied(self, root: Path) -> Replica:
        """Return another replica with the same generations."""
        return Replica(self.machine, Path(shutil.copytree(self.depot.root, root)))

    def tidy(self, keep: int = 2, longest: int = 8, quota: int | None = None) -> Report:
        return Tidying(self.depot, QEMU, Limits(keep, longest, quota), self.machine.images).run()

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.depot.listed(self.machine.vm.uuid).whole]

    def require_content(self, name: str) -> None:
        """Assert that a generation reads as the guest's disk did at its point."""
        found = self.depot.find(self.machine.vm.uuid, name)
        paths = [self.depot.path_of(found.vm.uuid, one.digest) for one in found.disks[0].chain]
        node: object = None
        for path in (self.machine.images.image_path(str(found.disks[0].image)), *paths):
            node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": node}
        require_same(f"json:{json.dumps(node)}", self.machine.contents[name])

    def require_all(self) -> None:
        for name in self.names:
            self.require_content(name)


def require_same(image: str | Path, raw: Path) -> None:
    """Assert that an image that qemu-img opens reads as a raw file, with the same size."""
    found = raw.with_suffix(".found")
    qemu_img("convert", "-O", "raw", image, found)
    assert found.stat().st_size == raw.stat().st_size
    assert filecmp.cmp(found, raw, shallow=False), [
        at for at, pair in enumerate(zip(found.read_bytes(), raw.read_bytes(), strict=True)) if pair[0] != pair[1]
    ][:1]
    found.unlink()


def with_document(folder: Path, generation: Generation, **changes: object) -> None:
    """Replace the document of a folder by a changed one."""
    (folder / DOCUMENT).write_bytes(replace(generation, **changes).to_json())  # type: ignore[arg-type]
