# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports and disks killed on this machine, at random points and before each change of a name, as their modules."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.outcomes import MISSED, Outcome, RandomMoment, Row, killed, repeated, table_row
from support.processes import TREE

PROGRAM = Path(__file__).with_name("host_program.py")


@dataclass
class Bench:
    """A store with an image, which must stay, and what a module is asked for there."""

    name: str
    folder: Path
    origin: Store
    old: Manifest
    options: dict[str, Any]
    dice: random.Random
    moment: RandomMoment | None = None
    below: Path = field(init=False)

    def __post_init__(self) -> None:
        self.below = self.folder / "place"

    def fresh(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.below.mkdir(parents=True)
        for path in self.origin.root.glob(f"{self.old.hex}.*"):
            shutil.copy(path, self.below)

    def start(self, **more: Any) -> subprocess.Popen[str]:
        words = {"name": self.name, "options": {**self.options, "_ansible_remote_tmp": str(self.folder)}, **more}
        argv = [sys.executable, str(PROGRAM), "module", json.dumps(words)]
        environment = {"PYTHONPATH": str(TREE / "collections"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout
        assert process.stdout.readline() == '{"begun": true}\n'
        return process

    def measure(self) -> float:
        """Return how long the module takes here if it is not killed."""
        self.fresh()
        process, begun = self.start(), time.monotonic()
        process.communicate(timeout=60)
        return time.monotonic() - begun

    def finish(self) -> dict[str, Any]:
        printed = self.start().communicate(timeout=60)[0]
        result: dict[str, Any] = json.loads(printed)
        return result

    def whole(self) -> bool:
        """Tell whether all that is visible is right: images by their digests, a disk by its image."""
        store = Store(self.below)
        disk = Path(self.options.get("path", self.folder / "none"))
        laid = not disk.exists() or qcow2.read_header(disk).backing_file == str(store.image_path(self.old.digest))
        good = all(store.verify(one.digest) == [] for one in store.images()) and store.broken() == []
        return laid and good and store.find(self.old.digest) == self.old

    def judge(self) -> Outcome:
        """Look for harm, run again, and again, which must have nothing to do; nothing may be left over."""
        whole = self.whole()
        done, again = self.finish(), self.finish()
        partial = self.below / "partial"
        left = [path.name for path in partial.glob("*") if path.suffix != ".lock" and path.name != "index.json"]
        hidden = [path.name for path in self.below.glob(".*")]
        # Locks are free and empty, and the next catalogue replaces what is left of one: those may stay.
        good = whole and not done.get("failed") and again.get("changed") is False and self.whole()
        if not good or left or hidden:
            print(f"{self.name}: {whole=} {done.get('msg')=} {again.get('changed')=} {left=} {hidden=}", file=sys.stderr)
        return not good or left != [] or hidden != [], False


def random_kill(bench: Bench) -> Outcome:
    """Kill the module at a random point of its work."""
    bench.moment = bench.moment or RandomMoment(bench.dice, bench.measure())
    bench.fresh()
    process = bench.start()
    bench.moment.await_in(process)
    return bench.judge() if killed(process) else MISSED


def named_steps(bench: Bench) -> Iterator[Outcome]:
    """Kill the module before each change of a name, until it comes through."""
    for call in range(1, 100):
        bench.fresh()
        process = bench.start(stop_at=call, below=str(bench.below))
        assert process.stdout
        line = json.loads(process.stdout.readline())
        process.kill()
        process.wait()
        if "stopped" not in line:
            assert not line.get("failed"), f"the module failed by itself: {line}"
            return
        yield bench.judge()
    raise AssertionError("the steps have no end")


def rows(
    *, folder: Path, origin: Store, old: Manifest, source: Path, dice: random.Random, kills: int, steps: bool = True
) -> list[Row]:
    """Return the rows of imports and of disks over an image."""
    place = folder / "module"
    store = place / "place"
    importing = {"name": "debian", "version": "3", "source": str(source), "root": str(store), "compress": False}
    laying = {"path": str(store / "disk.qcow2"), "backing_image": str(store / f"{old.hex}.qcow2"), "size": "1G"}
    benches = (
        ("import", Bench("datastore_image", place, origin, old, importing, dice)),
        ("disk being made", Bench("qcow2_image", place, origin, old, laying, dice)),
    )
    found = []
    for name, bench in benches:
        found.append(table_row(f"{name} killed at a random point", repeated(partial(random_kill, bench), kills)))
        found += [table_row(f"{name} killed at each named step", named_steps(bench))] if steps else []
    return found
