# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection against a pull and against a disk being made, in processes of their own that begin at the same moment.

Half of the collections are killed at a random point. An unneeded older image is there to be taken, also from under a pull that
copies from it. A try counts only if both were at work at the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import Collector
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.outcomes import MISSED, Outcome, Row, repeated, table_row
from support.processes import python

START = """
import json, sys, time
from pathlib import Path
def begin(delay):
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(float(delay))
    print(json.dumps({"began": time.monotonic()}), flush=True)
def end(result):
    print(json.dumps({"ended": time.monotonic(), "result": result}), flush=True)
"""
COLLECT = f"""{START}
from LIBRARY._storage.maintenance.gc import Collector
from LIBRARY._storage.maintenance.gc_plan import Limits
from LIBRARY._storage.store.store import Store
delay, root, disks, age, rounds = sys.argv[1:]
begin(delay)
for _round in range(int(rounds)):
    Collector(Store(Path(root)), [Path(disks)], Limits(0, float(age))).collect()
end("collected")
"""
PULL = f"""{START}
from LIBRARY._storage.transfer.sources.directory import DirectorySource
from LIBRARY._storage.transfer.pull import pull_image
from LIBRARY._storage.store.store import Store
delay, root, digest, origin = sys.argv[1:]
begin(delay)
end(pull_image(Store(Path(root)), digest, [DirectorySource(Path(origin))], now=time.time()).bytes_fetched)
"""
LAY = f"""{START}
from LIBRARY._disks.files import DiskFiles
from LIBRARY._compute.model.host_facts import Folders
from LIBRARY._errors import NotFound
from LIBRARY._runner import SubprocessRunner
delay, root, digest, disk, size = sys.argv[1:]
begin(delay)
try:
    DiskFiles(SubprocessRunner(), Folders(images=root)).create_overlay(disk, digest, int(size))
except NotFound:
    end("not found")
else:
    end("laid")
"""


@dataclass(frozen=True)
class Ran:
    """When a process was at work, and its result; ``failed`` says that it ended by an error, not by a kill."""

    began: float | None
    ended: float
    result: Any
    failed: bool

    def overlaps(self, other: Ran) -> bool:
        """Tell whether both were at work at the same time."""
        return self.began is not None and other.began is not None and self.began < other.ended and other.began < self.ended


@dataclass(frozen=True)
class Room:
    """A host cache with an older image that was not used for long, the datastore, dice, and a folder for disks."""

    folder: Path
    here: Store
    origin: Store
    old: Manifest
    image: Manifest
    dice: random.Random

    @property
    def disks(self) -> Path:
        return self.folder / "vms"

    def collection(self, age: int) -> list[object]:
        return [COLLECT, round(self.dice.uniform(0, 0.05), 4), self.here.root, self.disks, age, self.dice.choice((1, 3, 20))]

    def sound(self) -> bool:
        """Tell whether every image that is visible is right, and every disk has its image."""
        images = self.here.images()
        overlays = list(self.disks.iterdir())
        wanted = {self.here.image_path(self.image.digest)} if overlays else set()
        return all(self.here.verify(one.digest) == [] for one in images) and all(path.exists() for path in wanted)

    def converges(self) -> bool:
        """Run all again, alone: the image is here, a disk can be laid, a collection keeps both and cleans up."""
        pull_image(self.here, self.image.digest, [DirectorySource(self.origin.root)], now=0)
        disk = self.disks / "disk"
        if not disk.exists():
            QemuImg(SubprocessRunner()).create(disk, self.image.virtual_size, (self.here.image_path(self.image.digest), "qcow2"))
        Collector(self.here, [self.disks], Limits(0, 0.0)).collect()
        left = [path.name for path in self.here.partial.iterdir()]
        return self.here.images() == [self.image] and self.sound() and left == []


def together(first: list[object], second: list[object], kill_after: float | None = None) -> tuple[Ran, Ran]:
    """Run two programs from the same moment; the first is killed after so many seconds, unless it has ended."""
    both = [started(first), started(second)]
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = None
    if kill_after is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            both[0].wait(kill_after)
        both[0].kill()
        ended = time.monotonic()
    return ran(both[0], ended), ran(both[1])


def ran(process: subprocess.Popen[str], killed_at: float | None = None) -> Ran:
    """Wait for the end of a program and return when it was at work."""
    lines = process.communicate(timeout=60)[0].splitlines()
    found: dict[str, Any] = {}
    for line in lines:
        found |= json.loads(line)
    ended = found.get("ended", killed_at or time.monotonic())
    return Ran(found.get("began"), ended, found.get("result"), process.returncode not in (0, -signal.SIGKILL))


def collected_during(room: Room, work: list[object], age: int) -> Ran | None:
    """Run a collection and ``work`` from the same moment and return how the work went; None if they did not overlap."""
    kill_after = room.dice.uniform(0, 0.1) if room.dice.random() < 0.5 else None
    collection, other = together(room.collection(age), work, kill_after)
    assert not collection.failed, "the collection failed"
    return other if collection.overlaps(other) else None


def started(words: list[object]) -> subprocess.Popen[str]:
    code, *arguments = words
    process = python(str(code), *arguments, stdin=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def against_a_pull(room: Room) -> Outcome:
    """Collect while an image is pulled: the image is here, whole; no byte comes twice."""
    shutil.rmtree(room.here.root)
    pull_image(room.here, room.old.digest, [DirectorySource(room.origin.root)], now=0)
    age(room.here, room.old)
    delay = round(room.dice.uniform(0, 0.02), 4)
    pull = collected_during(room, [PULL, delay, room.here.root, room.image.digest, room.origin.root], age=600)
    if pull is None:
        return MISSED
    kept = room.here.find(room.image.digest) == room.image and room.sound()
    fetched = pull.result if isinstance(pull.result, int) else None
    return not (fetched is not None and kept and room.converges()), (fetched or 0) > room.image.size


def against_a_disk(room: Room) -> Outcome:
    """Collect while a disk is laid over an otherwise unneeded image: both are there, or neither and the error says so."""
    pull_image(room.here, room.image.digest, [DirectorySource(room.origin.root)], now=0)
    age(room.here, room.image)
    disk = room.disks / "disk"
    delay = round(room.dice.uniform(0, 0.06), 4)
    laying = collected_during(room, [LAY, delay, room.here.root, room.image.digest, disk, room.image.virtual_size], age=0)
    if laying is None:
        return MISSED
    expected = {"laid": disk.exists(), "not found": not any(room.disks.iterdir())}.get(laying.result, False)
    return not (expected and room.sound() and room.converges()), False


def age(store: Store, image: Manifest) -> None:
    """Have the last use of an image long ago."""
    for path in store.root.glob(f"{image.hex}.*"):
        os.utime(path, (0, 0))


def rows(folder: Path, origin: Store, images: tuple[Manifest, Manifest], dice: random.Random, tries: int) -> list[Row]:
    """Return a row for each race."""

    def race(case: Callable[[Room], Outcome]) -> Outcome:
        place = folder / case.__name__
        room = Room(place, Store(place / "here"), origin, *images, dice)
        room.here.prepare()
        room.disks.mkdir()
        outcome = case(room)
        shutil.rmtree(place)
        return outcome

    cases = (("collection against a pull", against_a_pull), ("collection against a disk being made", against_a_disk))
    return [table_row(name, repeated(partial(race, case), tries)) for name, case in cases]
