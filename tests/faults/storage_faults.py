# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the pull: killed, cheated, starved; then those of collections, imports, disks, and real hosts.

After each: no wrong byte under a final name, no image lost, and the next run completes. ``lost`` counts tries after which that was
not so; ``doubled`` those in which more bytes came from sources than were missing and docs/storage.md lets an interruption cost.
A try counts only if its fault hit while the work was under way; ``missed`` counts those that never did. What cannot run here is a
row that was not run, and not ok.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import arrival_faults
import storage_gc_faults
import storage_lab_faults
import storage_module_faults
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, EdgeError, NoSpace
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource
from edge_lab.api import Lab, unusable
from support.certificates import Authority
from support.image_server import Faults, faulty, nginx
from support.images import MIB, changed, datastore, qcow2
from support.outcomes import BOUND, MISSED, Outcome, RandomMoment, killed, not_run, repeated, table_row
from support.pulls import fetched_by, received, separate
from support.report import publish


@dataclass
class Scene:
    """A datastore with two versions of an image, who may ask for them, dice, and a folder for each try."""

    folder: Path
    origin: Store
    old: Manifest
    image: Manifest
    authority: Authority
    dice: random.Random
    number: int = 0
    moment: RandomMoment | None = None

    def here(self) -> Store:
        """Return a new, empty store."""
        self.number += 1
        return Store(self.folder / f"here{self.number}")

    def source(self, url: str) -> HttpsSource:
        """Return the server at ``url`` as a source."""
        return HttpsSource(url, Trust(self.authority.ca_file))

    def serve(self, faults: Faults) -> Any:
        """Serve the datastore with faults."""
        return faulty(self.origin.root, faults, self.authority.issue("127.0.0.1"))

    def tally(self) -> Path:
        """Return where a pull of this try notes what it received."""
        return self.folder / f"tally{self.number}"

    def missing(self, here: Store) -> int:
        """Return the bytes of the image that are neither in their place nor in the older image, by reading all that is there."""
        image = self.image
        own = [path for path in (here.partial_path(image.digest), here.image_path(image.digest)) if path.exists()]
        in_place = hashes(own[0], image.piece_size) if own else []
        old = here.image_path(self.old.digest)
        elsewhere = set(hashes(old, image.piece_size)) if old.exists() else set()
        gone = [n for n, piece in enumerate(image.pieces) if piece not in elsewhere and in_place[n : n + 1] != [piece]]
        return sum(map(image.piece_length, gone))

    def judge(
        self, here: Store, *sources: Any, needed: int, received: int = 0, interruptions: int = 1, damaged: str = ""
    ) -> Outcome:
        """Look for harm, run again, and return whether something was lost and whether something came twice.

        ``needed`` bytes were missing at first; ``received`` came before the interruptions, each of which may cost the bound.
        ``damaged`` is an image that the fault itself damaged.
        """
        bad = [one.digest for one in here.images() if one.digest != damaged and here.verify(one.digest)]
        try:
            done = pull_image(here, self.image.digest, sources or (DirectorySource(self.origin.root),), now=0)
        except EdgeError as error:
            print(f"the next run failed: {error.message}", file=sys.stderr)
            return True, False
        left = [path.name for path in here.partial.iterdir() if path.suffix != ".lock"]
        lost = bad != [] or here.find(self.image.digest) != self.image or here.verify(self.image.digest) != [] or left != []
        shutil.rmtree(here.root)
        return lost, done.bytes_fetched + received > needed + interruptions * BOUND


def hashes(path: Path, size: int) -> list[str]:
    """Return the SHA-256 of each ``size`` bytes of a file."""
    data = path.read_bytes()
    return [hashlib.sha256(data[at : at + size]).hexdigest() for at in range(0, len(data), size)]


def make_scene(folder: Path, seed: int) -> Scene:
    """Make the images and the CA."""
    first = qcow2(folder / "1.qcow2", 12)
    second = changed(first, folder / "2.qcow2", share=0.3, extent=65536)
    store, old = datastore(folder / "store", first)
    return Scene(
        folder, store, old, datastore(folder / "store", second, version="2")[1], Authority(folder / "ca"), random.Random(seed)
    )


def random_kill(scene: Scene) -> Outcome:
    """Kill a puller at a random point of its work, with and without an older image to copy from."""
    here = scene.here()
    if scene.dice.random() < 0.5:
        pull_image(here, scene.old.digest, [DirectorySource(scene.origin.root)], now=0)
    needed = scene.missing(here)
    scene.moment = scene.moment or RandomMoment(scene.dice, seconds_of_a_pull(scene))
    victim = separate(here, scene.image, scene.origin.root, tally=scene.tally())
    scene.moment.await_in(victim)
    if killed(victim):
        return scene.judge(here, needed=needed, received=received(scene.tally()))
    shutil.rmtree(here.root)
    return MISSED


def seconds_of_a_pull(scene: Scene) -> float:
    """Return how long a pull takes here that is not killed."""
    process = separate(Store(scene.folder / "measured"), scene.image, scene.origin.root)
    begun = time.monotonic()
    fetched_by(process)
    return time.monotonic() - begun


def named_steps(scene: Scene) -> Iterator[Outcome]:
    """Kill a puller before each call that changes anything on the disk, until one comes through."""
    for call in range(1, 400):
        here = scene.here()
        code = separate(here, scene.image, scene.origin.root, call=call, tally=scene.tally()).wait(30)
        if code == 0:
            return
        assert code == -signal.SIGKILL, f"a pull ended with exit code {code} before call {call}"
        yield scene.judge(here, needed=scene.image.size, received=received(scene.tally()))
    raise AssertionError("the steps have no end")


def killed_source(scene: Scene) -> Outcome:
    """Kill the real nginx, with its workers, once a random share of the image came; another source goes on."""
    here = scene.here()
    folder = scene.folder / f"nginx{scene.number}"
    pair = scene.authority.issue("127.0.0.1")
    client = scene.authority.issue("host.example")
    trust = Trust(scene.authority.ca_file, client.cert, client.key)
    left = int(scene.dice.uniform(0.05, 0.8) * scene.image.size)
    with nginx(folder, scene.origin.root, scene.authority, pair, rate="24m") as server:

        def count(length: int) -> None:
            nonlocal left
            if 0 < left <= length:
                server.kill()
            left -= length

        sources = [HttpsSource(server.url, trust), DirectorySource(scene.origin.root)]
        done = pull_image(here, scene.image.digest, sources, now=0, limit=count)
    if len(done.sources) < len(sources):
        return MISSED
    return scene.judge(here, needed=scene.image.size, received=done.bytes_fetched)


def flipped_in_flight(scene: Scene) -> Outcome:
    """Flip a byte on its way; the next source gives the right one."""
    here = scene.here()
    came: list[int] = []
    with scene.serve(Faults(flip_at=scene.dice.randrange(scene.image.size))) as url:
        try:
            pull_image(here, scene.image.digest, [scene.source(url)], now=0, limit=came.append)
        except Corrupt:
            pass
        else:
            return True, False
        both = (scene.source(url), DirectorySource(scene.origin.root))
        return scene.judge(here, *both, needed=scene.image.size, received=sum(came), interruptions=2)


def _flip(path: Path, dice: random.Random) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        at = dice.randrange(path.stat().st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << dice.randrange(8))]))


def flipped_at_source(scene: Scene) -> Outcome:
    """Flip a byte of the first source's file."""
    here, copy = scene.here(), Store(scene.folder / f"copy{scene.number}")
    shutil.copytree(scene.origin.root, copy.root)
    _flip(copy.image_path(scene.image.digest), scene.dice)
    assert copy.verify(scene.image.digest)
    return scene.judge(here, DirectorySource(copy.root), DirectorySource(scene.origin.root), needed=scene.image.size)


def flipped_at_rest(scene: Scene) -> Outcome:
    """Flip a byte of what an earlier pull left, and one of the older image that is copied from."""
    here = scene.here()
    pull_image(here, scene.old.digest, [DirectorySource(scene.origin.root)], now=0)
    _flip(here.image_path(scene.old.digest), scene.dice)
    partial = here.partial_path(scene.image.digest)
    shutil.copy(scene.origin.image_path(scene.image.digest), partial)
    os.truncate(partial, scene.dice.randrange(1, scene.image.size))
    _flip(partial, scene.dice)
    return scene.judge(here, needed=scene.missing(here), interruptions=0, damaged=scene.old.digest)


def two_pullers(scene: Scene) -> Outcome:
    """Two processes want the same image at the same moment."""
    here = scene.here()
    work = [storage_gc_faults.PULL, 0, here.root, scene.image.digest, scene.origin.root]
    one, two = storage_gc_faults.together(work, work)
    if not one.overlaps(two):
        shutil.rmtree(here.root)
        return MISSED
    lost, doubled = scene.judge(here, needed=0, interruptions=0) or (True, False)
    fetched = [one.result, two.result]
    return lost or doubled or None in fetched, sum(filter(None, fetched)) != scene.image.size


@contextlib.contextmanager
def _small_disk(scene: Scene, size: int) -> Iterator[Path]:
    path = scene.folder / f"small{scene.number}"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def full_disk(scene: Scene) -> Outcome:
    """Somebody else fills the disk while the image is half here: the pull has its space; a second one leaves nothing."""
    scene.number += 1
    faults = Faults(stop_at=scene.dice.randrange(2 * MIB, scene.image.size - 2 * MIB))
    with _small_disk(scene, scene.image.size + 70 * MIB) as disk, scene.serve(faults) as url:
        here, filler = Store(disk / "here"), disk / "filler"
        raised: list[BaseException] = []

        def work() -> None:
            try:
                pull_image(here, scene.image.digest, [scene.source(url)], now=0)
            except EdgeError as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        hit = faults.reached.wait(120)
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(65536)):
                pass
        faults.stop_at = None
        faults.go_on.set()
        thread.join()
        there = Store(disk / "there")
        with contextlib.suppress(NoSpace):
            pull_image(there, scene.image.digest, [scene.source(url)], now=0)
        left = [path for store in (here, there) if store.partial.exists() for path in store.partial.iterdir()]
        whole = here.find(scene.image.digest) is not None and here.verify(scene.image.digest) == []
        filler.unlink()
    return (bool(raised) or not whole or left != [], False) if hit else MISSED


def run(folder: Path, seed: int, kills: int, tries: int) -> list[dict[str, Any]]:
    """Return a row for each kind of fault."""
    scene = make_scene(folder, seed)
    cases: list[tuple[str, Callable[[Scene], Outcome], int]] = [
        ("puller killed at a random point", random_kill, kills),
        ("source killed (nginx)", killed_source, tries),
        ("byte flipped in flight", flipped_in_flight, tries),
        ("byte flipped at the source", flipped_at_source, tries),
        ("byte flipped at rest here", flipped_at_rest, tries),
        ("two pullers", two_pullers, tries),
    ]
    rows = [table_row(name, repeated(partial(case, scene), count)) for name, case, count in cases]
    rows.append(table_row("puller killed at each named step", named_steps(scene)))
    full = "disk full in the middle"
    if os.geteuid() != 0:
        return [*rows, not_run(full, "a small file system can be mounted only as root")]
    return [*rows, table_row(full, repeated(partial(full_disk, scene), tries))]


def run_others(folder: Path, seed: int, kills: int, tries: int, *, steps: bool = True) -> list[dict[str, Any]]:
    """Return the rows of collections, imports and disks; ``steps`` says whether they are also killed at each named step."""
    scene = make_scene(folder, seed)
    rows = storage_gc_faults.rows(folder, scene.origin, (scene.old, scene.image), scene.dice, tries)
    about = {"folder": folder, "origin": scene.origin, "old": scene.old, "source": folder / "2.qcow2", "dice": scene.dice}
    return rows + storage_module_faults.rows(**about, kills=kills, steps=steps)


def run_on_hosts(folder: Path, seed: int, tries: int) -> list[dict[str, Any]]:
    """Return the rows of faults that take real hosts; none if no tries are asked for."""
    if tries == 0:
        return []
    if reason := unusable():
        return [not_run("faults of real hosts", reason)]
    with storage_lab_faults.site(folder, Lab(), seed, "faults") as place:
        return storage_lab_faults.rows(place, tries)


def run_arrivals(seed: int, tries: int) -> list[dict[str, Any]]:
    """Return the rows of faults under VMs that run on a remote image; none if no tries are asked for."""
    if tries == 0:
        return []
    if reason := unusable():
        return [not_run(name, reason) for name, _case in arrival_faults.CASES]
    with TemporaryDirectory() as folder, arrival_faults.made_place(Path(folder), seed, "afault") as place:
        return arrival_faults.rows(place, tries)


def main() -> int:
    """Run all, print the table, write build/faults/storage.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="random kills of a pull; a tenth of them of imports and disks each")
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--lab-tries", type=int, default=4, help="tries of each fault of real hosts, 0 for none")
    parser.add_argument("--arrival-tries", type=int, default=2, help="tries of each fault under a VM whose image comes, 0 for none")
    parser.add_argument("--arrival-only", action="store_true", help="do nothing but those")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if not options.arrival_only:
        with TemporaryDirectory() as here, TemporaryDirectory() as others, TemporaryDirectory() as lab:
            rows += run(Path(here), options.seed, options.kills, options.tries)
            rows += run_others(Path(others), options.seed, options.kills // 10, 2 * options.tries)
            rows += run_on_hosts(Path(lab), options.seed, options.lab_tries)
    rows += run_arrivals(options.seed, options.arrival_tries)
    return publish("faults/storage.json", {"seed": options.seed}, rows)


if __name__ == "__main__":
    sys.exit(main())
