# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection against a pull and against a disk being made, in processes of their own that begin at the same moment.

Half of the collections are killed at a random point. An older image that nobody needs is there to be taken, also from under a pull
that copies from it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import Collector
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.outcomes import Outcome, Row, table_row
from support.processes import python

START = """
import sys, time
from pathlib import Path
def begin(delay):
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(float(delay))
"""
COLLECT = f"""{START}
from LIBRARY._storage.maintenance.gc import Collector
from LIBRARY._storage.maintenance.gc_plan import Limits
from LIBRARY._storage.store.store import Store
delay, root, disks, age, rounds = sys.argv[1:]
begin(delay)
for _round in range(int(rounds)):
    Collector(Store(Path(root)), [Path(disks)], Limits(0, float(age))).collect()
"""
PULL = f"""{START}
from LIBRARY._storage.transfer.sources.directory import DirectorySource
from LIBRARY._storage.transfer.pull import pull_image
from LIBRARY._storage.store.store import Store
delay, root, digest, origin = sys.argv[1:]
begin(delay)
print(pull_image(Store(Path(root)), digest, [DirectorySource(Path(origin))], now=time.time()).bytes_fetched, flush=True)
"""
LAY = f"""{START}
from LIBRARY._disks import DiskFiles
from LIBRARY._compute.model.host_facts import Folders
from LIBRARY._errors import NotFound
from LIBRARY._runner import SubprocessRunner
delay, root, digest, disk, size = sys.argv[1:]
begin(delay)
try:
    DiskFiles(SubprocessRunner(), Folders(images=root)).create_overlay(disk, digest, int(size))
except NotFound:
    print("not found", flush=True)
else:
    print("laid", flush=True)
"""


@dataclass(frozen=True)
class Room:
    """A host cache with an older image that nobody used for long, the datastore, dice, and a folder for disks."""

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
        """Run all again with nobody in the way: the image is here, a disk can be laid, a collection keeps both and cleans up."""
        pull_image(self.here, self.image.digest, [DirectorySource(self.origin.root)], now=0)
        disk = self.disks / "disk"
        if not disk.exists():
            QemuImg(SubprocessRunner()).create(disk, self.image.virtual_size, (self.here.image_path(self.image.digest), "qcow2"))
        Collector(self.here, [self.disks], Limits(0, 0.0)).collect()
        left = [path.name for path in self.here.partial.iterdir()]
        return self.here.images() == [self.image] and self.sound() and left == []


def together(room: Room, work: list[object], age: int) -> str:
    """Run a collection and ``work`` from the same moment and return what the work said; the collection may be killed."""
    both = [started(room.collection(age)), started(work)]
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    if room.dice.random() < 0.5:
        with contextlib.suppress(subprocess.TimeoutExpired):
            both[0].wait(room.dice.uniform(0, 0.1))
        both[0].kill()
    said = both[1].communicate(timeout=60)[0].strip()
    both[0].communicate(timeout=60)
    return said if both[1].returncode == 0 else "failed"


def started(words: list[object]) -> subprocess.Popen[str]:
    code, *arguments = words
    process = python(str(code), *arguments, stdin=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def against_a_pull(room: Room) -> Outcome:
    """Collect while an image is pulled: who pulled it has it, whole; no byte comes twice."""
    shutil.rmtree(room.here.root)
    pull_image(room.here, room.old.digest, [DirectorySource(room.origin.root)], now=0)
    age(room.here, room.old)
    delay = round(room.dice.uniform(0, 0.02), 4)
    said = together(room, [PULL, delay, room.here.root, room.image.digest, room.origin.root], age=600)
    kept = room.here.find(room.image.digest) == room.image and room.sound()
    fetched = int(said) if said.isdigit() else 0
    return not (said.isdigit() and kept and room.converges()), fetched > room.image.size


def against_a_disk(room: Room) -> Outcome:
    """Collect while a disk is laid over an image that nobody else needs: there are both, or neither and it is said."""
    pull_image(room.here, room.image.digest, [DirectorySource(room.origin.root)], now=0)
    age(room.here, room.image)
    disk = room.disks / "disk"
    delay = round(room.dice.uniform(0, 0.06), 4)
    said = together(room, [LAY, delay, room.here.root, room.image.digest, disk, room.image.virtual_size], age=0)
    expected = {"laid": disk.exists(), "not found": not any(room.disks.iterdir())}.get(said, False)
    return not (expected and room.sound() and room.converges()), False


def age(store: Store, image: Manifest) -> None:
    """Have the last use of an image long ago."""
    for path in store.root.glob(f"{image.hex}.*"):
        os.utime(path, (0, 0))


def rows(folder: Path, origin: Store, images: tuple[Manifest, Manifest], dice: random.Random, tries: int) -> list[Row]:
    """Return a row for each race."""

    def race(case: Callable[[Room], Outcome], number: int) -> Outcome:
        place = folder / f"{case.__name__}{number}"
        room = Room(place, Store(place / "here"), origin, *images, dice)
        room.here.prepare()
        room.disks.mkdir()
        outcome = case(room)
        shutil.rmtree(place)
        return outcome

    cases = (("collection against a pull", against_a_pull), ("collection against a disk being made", against_a_disk))
    return [table_row(name, (race(case, number) for number in range(tries))) for name, case in cases]
