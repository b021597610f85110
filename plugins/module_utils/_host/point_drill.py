# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point drill``: start a VM of a recovery point, alone and without a network, and see that its guest comes up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._compute.drill import notes
from .._compute.drill.drill import MEMORY, SECONDS, Drill, Drilled, DrillRequest
from .._compute.drill.notes import DrillNote
from .._compute.host.events import EventLoop
from .._compute.host.observe import see_all
from .._compute.model.host_facts import Folders
from .._compute.recovery import progress
from .._compute.restore.tool import PointSource
from .._compute.xml.domain import mark_of
from .._disks.files import DiskFiles
from .._errors import Busy, EdgeError, InvalidInput, message_of, print_defect
from .._files import locked
from .._generation import UUID, point_of
from .._kept_points import find_point
from .._libvirt import connection
from .._runner import SubprocessRunner
from .._shown import counted
from .._sizes import parse_size
from .journal import log
from .points import required, whole_number

Options = Mapping[str, Any]
FOLDERS = Folders()
MOST = 999_999  # seconds that a drill waits, or days between drills
Find = Callable[[str, "str | None"], PointSource]


@dataclass(frozen=True)
class Subject:
    """A VM of this host that is to be drilled."""

    name: str
    uuid: str


@dataclass
class Drills:
    """Drills VMs and notes what they showed in ``folder``; ``find`` gives a recovery point of a VM."""

    drill: Drill
    find: Find
    folder: Path
    request: DrillRequest
    now: Callable[[], float] = time.time
    drilled: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def one(self, name: str, uuid: str, generation: str | None = None) -> Drilled:
        """Drill one VM; what it showed is noted, also where it failed."""
        before = notes.read(self.folder, uuid) or DrillNote(name, uuid, 0)
        note = replace(before, vm=name, tried=self.now(), error="", generation=generation, seconds=0.0)
        try:
            point = self.find(uuid, generation)
            note = replace(note, generation=point.generation.name)
            done = self.drill.run(point, self.request)
        except Busy:
            raise
        except Exception as error:
            notes.write(self.folder, replace(note, error=message_of(error)))
            raise
        good = replace(note, seconds=done.seconds, good=self.now(), good_generation=done.generation)
        notes.write(self.folder, good)
        return done

    def due(self, days: float, subjects: list[Subject], held: Callable[[str], str | None]) -> None:
        """Drill those that are due, one after another, those first that wait for longest; a VM that fails holds up no other.

        ``held`` gives the newest point of a VM that other hosts hold; a VM without one waits for it.
        """
        found = [(notes.read(self.folder, one.uuid), one) for one in subjects]
        for note, one in sorted(found, key=lambda pair: pair[0].tried if pair[0] else 0.0):
            generation = held(one.uuid)
            if note and not note.is_due(days, self.now()):
                if note.error:
                    self.failed[one.name] = note.error
            elif generation is not None:
                self._try(one, generation)

    def _try(self, subject: Subject, generation: str) -> None:
        try:
            done = self.one(subject.name, subject.uuid, generation)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the other VMs
            print_defect(error)
            self.failed[subject.name] = message_of(error)
            log(f"warning: the drill of {subject.name} from {generation} failed: {self.failed[subject.name]}")
        else:
            self.drilled[subject.name] = shown(done)
            log(f"the drill of {subject.name} from {done.generation} was well: {done.sign} after {done.seconds:.0f} s")


def drill(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Drill the VM ``vm``, or with ``days`` those of this host that were not for that long; raise where one did not come up."""
    request, days = _request(options), _days(options)
    with _drills(cluster, request) as (drills, opened):
        if days is None:
            name = str(options["vm"])
            with suppress(Exception):
                name = name if UUID.fullmatch(name) else opened.lookupByName(name).UUIDString()
            return {"changed": True, "vm": options["vm"], **shown(_named(drills, name, options))}
        drills.due(days, _subjects(opened), _held)
    if drills.failed:
        why = " ".join(f"{name}: {message}" for name, message in drills.failed.items())
        what = f"Recovery points of {counted(len(drills.failed), 'VM')} did not come up in a drill, or could not be tried."
        raise EdgeError(f"{what} {why:.4000}", drilled=drills.drilled, failed=drills.failed)
    return {"changed": bool(drills.drilled), "drilled": drills.drilled, "failed": {}}


def _named(drills: Drills, vm: str, options: Options) -> Drilled:
    """Drill the VM that was asked for, by the UUID that its point says."""
    generation = options.get("generation")
    if generation:
        point_of(generation)
    point = drills.find(vm, generation)
    return drills.one(point.generation.vm.name, point.generation.vm.uuid, point.generation.name)


@contextmanager
def _drills(cluster: Cluster, request: DrillRequest) -> Iterator[tuple[Drills, Any]]:
    """Give the drills of this host, of which one runs at a time, and libvirt's connection; what killed ones left goes first."""
    folders = Folders(FOLDERS.vms, str(cluster.images.root), FOLDERS.locks, FOLDERS.recovery)
    fetched, runner = Path(folders.recovery, "drilled"), SubprocessRunner()

    def find(vm: str, generation: str | None) -> PointSource:
        where = (fetched, cluster.images.root)
        return find_point(cluster.recovery.root, vm, generation, cluster=lambda: cluster, folders=where, runner=runner)

    with locked(Path(folders.locks, "drills"), wait=False, make_folder=True), EventLoop(), connection() as opened:
        made = Drill(opened, DiskFiles(runner, folders), folders)
        for uuid in made.clean():
            log(f"removed what an interrupted drill of the VM {uuid} left")
        shutil.rmtree(fetched, ignore_errors=True)
        yield Drills(made, find, Path(folders.recovery, "drills"), request), opened


def _subjects(opened: Any) -> list[Subject]:
    """Return the VMs of this host that have a policy of recovery points; one whose record cannot be read is left to ``run``."""
    found = []
    for name, seen in see_all(opened).items():
        with suppress(EdgeError):
            record = mark_of(seen.config)
            if record and record.recovery:
                found.append(Subject(name, seen.uuid))
    return found


def _held(uuid: str) -> str | None:
    found = progress.read(Path(FOLDERS.recovery, "status"), uuid)
    return found.held[-1][0] if found and found.held else None


def _request(options: Options) -> DrillRequest:
    memory = parse_size(options["memory"], "memory") if options.get("memory") else MEMORY
    return DrillRequest(options.get("text") or None, whole_number(options, "timeout", 1, MOST, SECONDS), memory)


def _days(options: Options) -> float | None:
    """Return the days of a pass over all VMs, None for one VM."""
    if options.get("days") is None:
        required(options, "vm")
        return None
    for option in ("vm", "generation", "text"):
        if options.get(option):
            raise InvalidInput(f"days: it is for all VMs of this host; leave out {option}.", option="days")
    return whole_number(options, "days", 1, MOST)


def shown(done: Drilled) -> dict[str, Any]:
    """Return it as JSON has it."""
    return {
        "generation": done.generation,
        "sign": done.sign,
        "seconds": round(done.seconds, 1),
        "left_out": list(done.left_out),
    }
