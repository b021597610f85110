# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what a replica does: its programs killed at each step, hosts that lie or are stalled, a disk that is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, parse
from recovery.replica import GIVEN, KEEP, KEPT, Scene, Try, scene
from recovery.running import MOST_STEPS, Running, said
from support.outcomes import MISSED, Outcome, RandomMoment, Row, repeated, table_row
from support.recovery import UUID, require_same, with_document

ALL = {f"0.{number}" for number in range(1, KEPT + 1)}
NEWEST = {f"0.{number}" for number in range(KEPT - KEEP + 1, KEPT + 1)}


@dataclass(frozen=True)
class Work:
    """What is killed: the words of edge-host, the points that must stay, and those that are there in the end."""

    name: str
    argv: Callable[[Try], tuple[str, ...]]
    stays: set[str]
    ends: set[str]
    makes: str = ""


def _restore(*more: str) -> Callable[[Try], tuple[str, ...]]:
    return lambda one: ("point", "restore", "--vm", UUID, "--path", str(one.folder / "disk.qcow2"), *more)


def _take(one: Try) -> tuple[str, ...]:
    return ("point", "take", "--folder", str(one.scene.maker.outgoing / UUID / GIVEN[0]))


WORKS = (
    Work("point pull", lambda _one: ("point", "pull"), ALL, ALL | set(GIVEN)),
    Work("point take", _take, ALL, ALL | {GIVEN[0]}),
    Work("point tidy", lambda _one: ("point", "tidy"), NEWEST, NEWEST),
    Work("point restore", _restore(), ALL, ALL, "disk.qcow2"),
    Work("point restore --whole", _restore("--whole"), ALL, ALL, "disk.qcow2"),
)


def judge(one: Try, work: Work, what: str) -> Outcome:
    """Look for harm, run again, and look once more; then restore the newest point, and look what is left."""
    wrong = one.harm(work.stays)
    made = one.folder / work.makes
    if not (work.makes and made.exists()):
        done = one.programs.run(*work.argv(one))
        wrong += [f"the next run failed: {done}"] if done["rc"] else []
    if work.makes:
        try:
            require_same(made, one.scene.machine.contents[one.replica.names[-1]])
        except (AssertionError, OSError, subprocess.CalledProcessError) as error:
            wrong.append(f"the restored disk is not right: {error}")
    wrong += one.harm(work.ends)
    wrong += one.restores()
    left = one.left() + [path.name for path in one.folder.glob(".*.new")]
    one.done()
    return said(what, (wrong != [], left != []), wrong, left)


def killed_at_each_step(place: Scene, work: Work, every: int) -> Iterator[Outcome]:
    """Kill the program before each of its steps, alone or with all that it started, until it comes through."""
    for step in range(place.dice.randrange(every) + 1, MOST_STEPS, every):
        one = place.fresh()
        running = one.programs.start(*work.argv(one), stop=step).until_hit()
        if not running.hit:
            done = running.result()
            assert done["rc"] == 0, f"{work.name} failed by itself after step {step}: {done}"
            one.done()
            return
        running.kill(alone=place.dice.random() < 0.5)
        assert running.result()["rc"] == -signal.SIGKILL
        yield judge(one, work, f"{work.name} killed at step {step}, {running.hit}")
    raise AssertionError("the steps have no end")


def killed_sometime(place: Scene, moments: dict[str, RandomMoment]) -> Outcome:
    """Kill a program at a random moment, with whatever it has started."""
    work, one = place.dice.choice(WORKS), place.fresh()
    if work.name not in moments:
        begun = time.monotonic()
        place_of = place.fresh()
        place_of.programs.good(*work.argv(place_of))
        place_of.done()
        moments[work.name] = RandomMoment(place.dice, time.monotonic() - begun)
    running = one.programs.start(*work.argv(one))
    seconds = moments[work.name].draw()
    time.sleep(seconds)  # the moment is what is random
    running.kill(alone=False)
    if running.result()["rc"] != -signal.SIGKILL:
        moments[work.name].too_late(seconds)
        one.done()
        return MISSED
    return judge(one, work, f"{work.name} killed after {seconds:.3f} s")


PULL = WORKS[0]


def _host_gives(place: Scene, name: str, change: Callable[[Path], None]) -> Callable[[], None]:
    """Let the VM's host give a changed point, and return what makes it right again."""
    given = place.maker.outgoing / UUID / name
    kept = {path: path.read_bytes() for path in given.iterdir()}
    change(given)

    def mend() -> None:
        for path, data in kept.items():
            path.write_bytes(data)

    return mend


def _refused(place: Scene, name: str, change: Callable[[Path], None], what: str) -> Outcome:
    """Have the host give something wrong: it is refused, nothing of it stays, and once it is right the next pull takes it."""
    one = place.fresh()
    mend = _host_gives(place, name, change)
    try:
        done = one.programs.run("point", "pull")
        taken = set(one.replica.names)
        hit = done["rc"] != 0
        wrong = one.harm(ALL) + ([f"{name} was taken"] if name in taken else []) + one.restores()
    finally:
        mend()
    lost, left = judge(one, PULL, what) or (True, False)
    return said(what, (lost or wrong != [] or not hit, left), wrong, done)


def other_bytes(place: Scene) -> Outcome:
    """Flip a byte of a delta or of the NVRAM that the VM's host gives."""

    def flip(given: Path) -> None:
        path = place.dice.choice([one for one in given.iterdir() if one.name != DOCUMENT])
        data = bytearray(path.read_bytes())
        data[place.dice.randrange(len(data))] ^= 1 << place.dice.randrange(8)
        path.write_bytes(data)

    return _refused(place, place.dice.choice(GIVEN), flip, "the host gives other bytes")


def other_document(place: Scene) -> Outcome:
    """Let the host give a document of another VM, another point, or one that its files do not have."""

    def forge(given: Path) -> None:
        found = parse((given / DOCUMENT).read_bytes(), "it")
        disk = found.disks[0]
        kinds: list[dict[str, Any]] = [
            {"vm": replace(found.vm, uuid=UUID[:-1] + "0")},
            {"number": found.number + 5},
            {"disks": (replace(disk, chain=(*disk.chain[:-1], replace(disk.chain[-1], size=disk.chain[-1].size + 512))),)},
        ]
        with_document(given, found, **place.dice.choice(kinds))

    return _refused(place, place.dice.choice(GIVEN), forge, "the host gives another document")


def other_schema(place: Scene) -> Outcome:
    """Let the host give a document of a schema that this replica does not know."""

    def change(given: Path) -> None:
        text = (given / DOCUMENT).read_text()
        (given / DOCUMENT).write_text(text.replace('"schema":1', f'"schema":{place.dice.choice([0, 2, 99])}'))

    return _refused(place, place.dice.choice(GIVEN), change, "the host gives another schema")


def kept_of_other_schema(place: Scene) -> Outcome:
    """Have a point of a newer schema among those that are kept: nothing of the VM is removed, and all others are there."""
    one = place.fresh()
    name = place.dice.choice(sorted(ALL))
    document = one.replica.depot.document(UUID, name)
    data = document.read_bytes()
    document.write_bytes(data.replace(b'"schema":1', b'"schema":99'))
    files = {path.name for path in one.replica.depot.files(UUID).iterdir()}
    done = one.programs.run("point", "tidy")
    hit = any("no file is removed" in doubt for doubt in done.get("doubts", []))
    kept = {path.name for path in one.replica.depot.files(UUID).iterdir()} >= files
    newest = {one for one in NEWEST if one != name}
    listed = set(one.replica.names)
    document.write_bytes(data)
    lost, left = judge(one, WORKS[2], "a kept document of a newer schema") or (True, False)
    return said("a kept document of a newer schema", (lost or not (hit and kept and newest <= listed), left), done)


@contextmanager
def stalled(place: Scene) -> Iterator[None]:
    """Hold the server still: it takes connections, as the kernel does that for it, and answers nothing."""
    listing = subprocess.run(["pgrep", "-f", str(place.server.folder / "nginx.conf")], capture_output=True, text=True, check=True)
    master = int(listing.stdout.split()[0])
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    for pid in (master, *map(int, children)):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (master, *map(int, children)):
            os.kill(pid, signal.SIGCONT)


def held_at_a_file(one: Try) -> Running:
    """Start a pull, and return it before it opens a file of a point that it is to fetch."""
    for step in range(1, MOST_STEPS):
        running = one.programs.start("point", "pull", stop=step).until_hit()
        assert running.hit, f"no file was fetched: {running.result()}"
        if "/pulled/" in running.hit and running.hit.startswith("open") and not running.hit.endswith(DOCUMENT):
            return running
        running.kill()
        running.result()
    raise AssertionError("the steps have no end")


def host_stalled(place: Scene) -> Outcome:
    """Have the VM's host answer no more in the middle of a pull, which ends by itself; the next one completes."""
    one = place.fresh()
    running = held_at_a_file(one)
    with stalled(place):
        running.go_on()
        done = running.result()
        wrong = one.harm(ALL) + one.restores()
    hit = done["rc"] != 0 and "/pulled/" in running.hit
    lost, left = judge(one, PULL, "the host is stalled") or (True, False)
    return said("the host is stalled", (lost or wrong != [], left), wrong) if hit else MISSED


def disk_full(place: Scene) -> Outcome:
    """Fill the replica's file system before a random step of a pull: it fails or comes through, and nothing listed is harmed."""
    one = place.fresh()
    depot = one.replica.depot.root
    aside = depot.with_name("aside")
    depot.rename(aside)
    depot.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=0700", "small", depot], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", depot], check=True)
        running = one.programs.start("point", "pull", stop=place.dice.randrange(1, 60)).until_hit()
        if not running.hit:
            return MISSED
        with (depot / "filler").open("wb", buffering=0) as file:
            _fill(file)
        running.go_on()
        done = running.result()
        wrong = one.harm(ALL)
        (depot / "filler").unlink()
        if done["rc"] == 0:
            return MISSED
        outcome = judge_kept(one, f"the replica's disk is full at {running.hit}", wrong)
    finally:
        subprocess.run(["umount", depot], check=True)
    one.done()
    return outcome


def _fill(file: Any) -> None:
    block = bytes(2**20)
    while block:
        try:
            file.write(block)
        except OSError:
            block = block[: len(block) // 2]


def judge_kept(one: Try, what: str, wrong: list[str]) -> Outcome:
    """Judge a pull whose folder stays."""
    done = one.programs.run("point", "pull")
    wrong += [f"the next run failed: {done}"] if done["rc"] else []
    wrong += one.harm(PULL.ends) + one.restores()
    left = one.left()
    return said(what, (wrong != [], left != []), wrong, left)


def host_gone(place: Scene) -> Outcome:
    """Have the VM's host go in the middle, as in a power cut, and give the same points afterwards."""
    one = place.fresh()
    running = held_at_a_file(one)
    home = place.maker.outgoing / UUID
    home.rename(home.with_name(".gone"))
    try:
        running.go_on()
        done = running.result()
        wrong = one.harm(ALL) + one.restores()
    finally:
        home.with_name(".gone").rename(home)
    if done["rc"] == 0:
        one.done()
        return MISSED
    lost, left = judge(one, PULL, "the host is gone") or (True, False)
    return said("the host is gone", (lost or wrong != [], left), wrong)


FAULTS: tuple[tuple[str, Callable[[Scene], Outcome]], ...] = (
    ("a host gives other bytes", other_bytes),
    ("a host gives another document", other_document),
    ("a host gives another schema", other_schema),
    ("a kept document has a newer schema", kept_of_other_schema),
    ("a host is stalled in the middle of a pull", host_stalled),
    ("a host's points are gone in the middle of a pull", host_gone),
    ("a replica's disk is full in the middle of a pull", disk_full),
)


def rows(folder: Path, dice: random.Random, *, tries: int, kills: int, every: int, only: str) -> Iterator[Row]:
    """Yield a row for each kind of fault whose name has ``only`` in it."""
    with scene(folder, dice) as place:
        cases = [(f"{work.name} killed at each step", killed_at_each_step(place, work, every)) for work in WORKS]
        sometime = partial(killed_sometime, place, {})
        cases.append(("a program of a replica killed at a random moment", repeated(sometime, kills)))
        cases += [(name, repeated(partial(fault, place), tries)) for name, fault in FAULTS]
        for name, outcomes in cases:
            if only in name:
                yield table_row(name, outcomes)
