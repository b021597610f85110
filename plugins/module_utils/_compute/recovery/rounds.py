# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the recovery points that are due, of all VMs of a host, and removes those that enough other hosts hold.

A VM that fails, or takes long, holds up no other: while one is being made the others are looked at again. What the network does
holds up no point: hosts are asked by another thread than those that make points.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..._errors import Busy, EdgeError, message_of, print_defect
from ..._files import locked
from ..._generation import UUID, Generation, point_of
from ..._recovery_policy import Policy, policy_in
from ..host.observe import see_all
from ..model.recovery_policy import RecoveryPolicy
from ..xml.domain import parse
from . import journal as journals
from . import progress as notes
from .outgoing import Asking, Keepers, newest_elsewhere, points_in, removable, remove
from .point import PointMade, PointOrder, Points
from .progress import Progress

PARALLEL, LOOK_AGAIN, TRY_AGAIN = 4, 30.0, 60.0
Log = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """A VM that has a policy."""

    name: str
    uuid: str
    policy: RecoveryPolicy


@dataclass
class Report:
    """What one run did: points made, by VM; VMs of which nothing had changed, that were busy, or that failed; points removed."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)


@dataclass
class Rounds:
    """The VMs of one host; ``members`` are the other hosts that may hold points. ``log`` takes a line for the journal."""

    points: Points
    members: tuple[str, ...]
    keepers: Keepers
    log: Log
    now: Callable[[], float] = time.time
    parallel: int = PARALLEL
    report: Report = field(default_factory=Report)
    _tried: dict[str, float] = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)

    @property
    def notes(self) -> Path:
        """The folder of what is noted of each VM."""
        return self.points.root / "status"

    def run(self) -> Report:
        """Make what is due and remove what is held, until no point is being made; raise nothing about a single VM."""
        flying: dict[Future[PointMade], Kept] = {}
        with ThreadPoolExecutor(self.parallel, "point") as pool:
            while True:
                vms = list(self._vms())
                for vm in vms:
                    if vm.uuid not in {one.uuid for one in flying.values()} and self._is_due(vm):
                        self._tried[vm.uuid] = time.monotonic()
                        flying[pool.submit(self._make, vm)] = vm
                self._look(vms)
                if not flying:
                    return self.report
                for future in wait(flying, LOOK_AGAIN, FIRST_COMPLETED).done:
                    self._note(flying.pop(future), future)

    def _vms(self) -> Iterator[Kept]:
        for name, seen in see_all(self.points.connection).items():
            try:
                record = parse(seen.config).record
            except EdgeError as error:  # such as one that a newer version wrote
                self.report.failed[name] = error.message
                continue
            if record and record.recovery:
                yield Kept(name, seen.uuid, record.recovery)

    def _last(self, vm: Kept) -> Generation | None:
        journal = journals.read(self.points.home(vm.uuid))
        return journal.ready or journal.last

    def _progress(self, vm: Kept) -> Progress:
        try:
            last = self._last(vm)
        except (EdgeError, OSError):  # who makes the point says so
            last = None
        before = notes.read(self.notes, vm.uuid) or Progress(vm.name, vm.uuid, self.now(), vm.policy.interval)
        return notes.with_last(replace(before, vm=vm.name, interval=vm.policy.interval), last)

    def _is_due(self, vm: Kept) -> bool:
        tried = self._tried.get(vm.uuid)
        again = tried is None or time.monotonic() - tried >= TRY_AGAIN
        return again and self._progress(vm).is_due(self.now())

    def _make(self, vm: Kept) -> PointMade:
        """Make a point in the epoch of the newest one, with a number after it, whichever host made that."""
        made = self._progress(vm).made_point
        epoch, after = made or newest_elsewhere(self.members, self.keepers, vm.uuid)
        return self.points.make(vm.name, PointOrder(epoch=epoch, after=after))

    def _note(self, vm: Kept, future: Future[PointMade]) -> None:
        report, progress = self.report, self._progress(vm)
        for before in (report.busy, report.failed):
            before.pop(vm.name, None)
        try:
            made = future.result()
        except Busy as error:
            report.busy[vm.name] = error.message
            progress = replace(progress, error=error.message)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the other VMs
            print_defect(error)
            message = message_of(error)
            report.failed[vm.name] = message
            progress = progress.failed(message, self.now())
            self.log(f"warning: no recovery point of {vm.name} was made: {message}")
        else:
            name = made.generation.name
            if made.folder:
                report.made[vm.name] = {"generation": name, "whole": made.whole, "quiesced": made.generation.quiesced}
                self.log(f"made recovery point {name} of {vm.name}{f', a whole one: {made.whole}' if made.whole else ''}")
            elif vm.name not in report.unchanged:
                report.unchanged.append(vm.name)
            progress = progress.made_at(made.generation, made.generation.timestamp if made.folder else self.now())
        self._write(progress)

    def _write(self, progress: Progress) -> None:
        """Note how far a VM is; where that fails, as on a full disk, the points of all VMs that are held go nevertheless."""
        try:
            notes.write(self.notes, progress)
        except OSError as error:
            self.report.failed.setdefault(progress.vm, f"how far its points are could not be noted: {message_of(error)}")

    def _look(self, vms: list[Kept]) -> None:
        """Remove what is held, and note of each VM what is held and whether that is recent enough."""
        asking = Asking(self.members, self.keepers)
        self.report.breaches = []
        for vm in vms:
            before = self._progress(vm)
            if before.waits(self.now()):
                when = f"; it is tried again at {notes.text_of(before.again)}"
                self.report.failed.setdefault(vm.name, f"{before.error.rstrip('.')}{when}.")
            progress = self._released(vm.uuid, before, vm.policy, asking)
            if progress != before or not (self.notes / f"{vm.uuid}.json").exists():
                self._write(progress)
            if progress.is_breach(self.now()):
                self.report.breaches.append(vm.name)
                if vm.uuid not in self._late:
                    self.log(f"warning: {breach(progress)}")
                self._late.add(vm.uuid)
        here = {vm.uuid for vm in vms}
        for home in self._left(here):
            if points := list(points_in(home)):
                policy = policy_in(points[0].spec)
                gone = Progress(points[0].vm.name, home.name, self.now(), policy.interval)
                self._released(home.name, notes.read(self.notes, home.name) or gone, policy, asking)
            elif (self.notes / f"{home.name}.json").exists():
                (self.notes / f"{home.name}.json").unlink()
        self.report.silent = asking.silent

    def _left(self, here: set[str]) -> list[Path]:
        """Return the folders of VMs that went away, or have no policy any more."""
        outgoing = self.points.root / "outgoing"
        found = outgoing.iterdir() if outgoing.is_dir() else ()
        return sorted(path for path in found if UUID.fullmatch(path.name) and path.name not in here)

    def _released(self, uuid: str, progress: Progress, policy: Policy, asking: Asking) -> Progress:
        """Remove the points of a VM that may go, and return what is held, which is noted before they go where it can be."""
        home = self.points.home(uuid)
        points = list(points_in(home)) if home.is_dir() else []
        held = {one.name: one.timestamp for one in points if asking.is_held(one, policy.replicas)}
        after = progress.holding(held, policy.keep)
        known = {one.point for one in points if one.name in held} | {point_of(name) for name, _when in after.held}
        going = removable(points, known, policy.keep)
        if not going:
            return after
        if after != progress:
            self._write(after)
        try:
            with locked(Path(self.points.folders.point(points[0].vm.name)), wait=False, make_folder=True):
                ready = journals.read(home).ready
                for one in going:
                    if ready is None or one.point != ready.point:  # the journal has not taken it over yet
                        remove(home, one)
                        self.report.removed.append(f"{uuid}/{one.name}")
        except (EdgeError, OSError):  # a point is being made just now, or the journal cannot be read: at the next pass
            return after
        return after


def breach(progress: Progress) -> str:
    """Return what is wrong with the points of a VM, in words."""
    limit = notes.BREACH * progress.interval
    newest = f"; the newest one is {progress.held[-1][0]}" if progress.held else ""
    why = f" ({progress.error.rstrip('.')})" if progress.error else ""
    return f"enough other hosts hold no recovery point of {progress.vm} of the last {limit} s, twice its interval{newest}{why}"
