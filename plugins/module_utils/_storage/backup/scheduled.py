# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a host's timer for backups: its VMs and files, one after another, each of which costs only itself where it fails.

Space is given back, and restores are tried, only each so many days: neither is a work of every night.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from ..._errors import Busy, Corrupt, EdgeError, NotFound, message_of, print_defect
from ..._shown import counted
from ..recovery.depot import Depot, Listed
from ..recovery.listing import name_in
from .model import Backup
from .notes import Notes, Report
from .patience import DEAD_AFTER, LOOK_AGAIN, PATIENCE, Patience
from .reconcile import Backups
from .request import Request, request_of
from .restic import Restic
from .restored import emptied_trial
from .settings import Settings

ITEM = re.compile(r"(paths|databases)\[(\d+)\]")


@dataclass(frozen=True)
class Target:
    """A VM or the files: ``key`` is the same at each run, ``name`` how it is shown, ``options`` are its part of the request."""

    key: str
    name: str
    options: Mapping[str, Any]

    def without(self, error: Exception) -> tuple[str, Target | None]:
        """Return the path of files that an error is about, and the target without it, if there is more.

        The rest is backed up, and nothing is removed: else backups of the rest alone would take the places of whole ones.
        """
        option = str(error.details.get("option", "")) if isinstance(error, EdgeError) else ""
        if not (found := ITEM.fullmatch(option)):
            return "", None
        items = list(self.options[found[1]])
        path = str(items.pop(int(found[2])))
        rest = {**self.options, found[1]: items, "retention": None}
        return path, replace(self, options=rest) if rest["paths"] or rest["databases"] else None


@dataclass
class ScheduledRun:
    """A run; ``backups`` gives what makes the backup of a request, ``log`` takes a line for the journal."""

    settings: Settings
    restic: Restic
    backups: Callable[[Restic, Request], Backups]
    log: Callable[[str], None]
    host: str = field(default_factory=socket.gethostname)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    patience: float = PATIENCE
    look_again: float = LOOK_AGAIN
    dead_after: float = DEAD_AFTER

    def run(self) -> Report:
        """Make all backups; raise where the repository cannot be opened, else name in the report what failed."""
        notes, report = Notes.read(self.settings.work_dir), Report(_text(self.now()))
        if notes.problem:
            self.log(notes.problem)
        self.restic = replace(self.restic, patience=Patience(self.log, self.patience, self.look_again, self.dead_after))
        notes.take(report)
        self._write(notes)  # a run that never ends is seen, too
        try:
            self._back_up_all(notes, report)
        except Exception as error:
            report.error = message_of(error)
            self._end(notes, report)
            raise
        self._end(notes, report)
        return report

    def _end(self, notes: Notes, report: Report) -> None:
        report.ended = _text(self.now())
        notes.take(report)
        self._write(notes)

    def _back_up_all(self, notes: Notes, report: Report) -> None:
        with suppress(Busy), emptied_trial(self.settings.work_dir, wait=False):  # a trial goes on where it is busy
            pass
        backups = self.restic.snapshots()  # a wrong password is one error, not one for each VM
        targets = [*self._vms(names_of(backups), report), *self._files(backups, report)]
        turns = self._turns(targets, notes)
        for target in targets:
            self._back_up(target, target.key in turns, notes, report)
        if targets and self._is_due(notes.pruned, self.settings.prune_days):
            self._prune(notes, report)
        keys = {one.key for one in targets}
        notes.verified = {key: time for key, time in notes.verified.items() if key in keys}
        names = {one.name for one in targets}
        notes.newest = {name: time for name, time in notes.newest.items() if name in names}

    def _write(self, notes: Notes) -> None:
        try:
            notes.write()
        except (EdgeError, OSError) as error:
            self.log(f"The notes of this run cannot be written: {message_of(error)}")

    def _fails(self, name: str, error: Exception, report: Report) -> None:
        """Note what failed; the others go on, also after a defect of ours, whose traceback is in the journal."""
        print_defect(error)
        report.failed[name] = message_of(error)
        self.log(f"{name}: {report.failed[name]}")

    def _vms(self, known: Mapping[str, str], report: Report) -> list[Target]:
        """Return the VMs to be backed up; note those that were named and of which this host keeps no point.

        Another replica may keep those that the repository knows. One that it does not know either is a failure, such as a name that
        is misspelt, and so is one of which there are points that cannot be read.
        """
        found, here, named = [], set(), self.settings.vms
        depot = Depot(self.settings.root)
        for uuid in depot.vms():
            try:
                listed = depot.listed(uuid)
            except Exception as error:  # noqa: BLE001 - see _fails
                self._fails(f"VM {uuid}", error, report)
                continue
            name = name_in(listed) or known.get(uuid, uuid)
            if not (named is None or name in named or uuid in named):
                continue
            here |= {uuid, name}
            if listed.generations:
                found.append(Target(uuid, f"VM {name}", {"vm": uuid}))
            elif listed.unreadable:
                self._fails(f"VM {name}", _none_readable(listed), report)
        report.not_here = sorted(set(named or ()) - here)
        for name in sorted(set(report.not_here) - {*known, *known.values()}):
            self._fails(f"VM {name}", _nowhere(name), report)
        return found

    def _files(self, backups: Iterable[Backup], report: Report) -> list[Target]:
        """Return the files to be backed up: of the databases those that are there, and that one was never written is no failure."""
        settings, name = self.settings, f"files {self.settings.name}"
        had = {path for one in backups if one.source.files == settings.name and one.host == self.host for path in one.paths}
        lost = [
            one for one in settings.databases if not Path(one).exists() and any(path.endswith(f"/databases{one}") for path in had)
        ]
        for one in lost:
            self._fails(f"{name}: {one}", NotFound(f"databases: {one} is not there any more; earlier backups have it."), report)
        files: dict[str, Any] = {"name": settings.name, "paths": list(settings.paths), "databases": list(settings.databases_there)}
        if not (files["paths"] or files["databases"]):
            return []
        return [Target(name, name, {**files, "retention": None} if lost else files)]

    def _turns(self, targets: list[Target], notes: Notes) -> set[str]:
        """Return the keys of those to be tried now: a share of all, those first that were tried longest ago."""
        days = self.settings.verify_days
        if not days or not targets:
            return set()
        due = [one.key for one in targets if self._is_due(notes.verified.get(one.key, ""), days)]
        return set(sorted(due, key=lambda key: notes.verified.get(key, ""))[: ceil(len(targets) / days)])

    def _is_due(self, last: str, days: int) -> bool:
        if not days:
            return False
        try:
            return self.now() - datetime.fromisoformat(last) >= timedelta(days=days)
        except (ValueError, TypeError):  # never, or a note that is none
            return True

    def _is_late(self, newest: str) -> bool:
        days = self.settings.late_days
        return bool(days) and self.now() - datetime.fromisoformat(newest) > timedelta(days=days)

    def _back_up(self, target: Target, verify: bool, notes: Notes, report: Report) -> None:
        try:
            done = self._made(request_of({**self.settings.options, **target.options, "verify": verify}))
        except Exception as error:  # noqa: BLE001 - see _fails
            path, rest = target.without(error)
            self._fails(f"{target.name}: {path}" if path else target.name, error, report)
            if rest:
                self._back_up(rest, verify, notes, report)
            return
        (report.made if done["changed"] else report.unchanged).append(target.name)
        report.warnings += [f"{target.name}: {sentence}" for sentence in done["warnings"]]
        for sentence in [*done["actions"], *done["warnings"]]:
            self.log(sentence)
        notes.newest[target.name] = done["newest"]
        if done["newest"] and self._is_late(done["newest"]):
            report.warnings.append(f"{target.name}: its newest backup is of {done['newest']}. Does this host still get its points?")
            self.log(report.warnings[-1])
        if verify:
            report.verified.append(target.name)
            notes.verified[target.key] = _text(self.now())
            self._write(notes)

    def _prune(self, notes: Notes, report: Report) -> None:
        try:
            self.restic.prune()
        except Exception as error:  # noqa: BLE001 - see _fails
            self._fails("prune", error, report)
            return
        notes.pruned, report.pruned = _text(self.now()), True

    def _made(self, request: Request) -> dict[str, Any]:
        """Return what the run of a request did; again where files changed meanwhile, of which no backup is left.

        For the repository each command of restic has waited by itself: a second run would make a second backup of files.
        """
        while True:
            try:
                return self.backups(self.restic, request).run(False)
            except Busy as error:
                of_repository = error.details.get("option") == "repository"
                if of_repository or not (self.restic.patience and self.restic.patience.waits(error)):
                    raise


def names_of(backups: Iterable[Backup]) -> dict[str, str]:
    """Return the names of the VMs in the repository, by UUID."""
    return {one.source.uuid: one.source.name for one in backups if one.source.uuid}


def _none_readable(listed: Listed) -> Corrupt:
    first = listed.unreadable[0]
    return Corrupt(f"None of its {counted(len(listed.unreadable), 'recovery point')} can be read; {first.name}: {first.why}")


def _nowhere(name: str) -> NotFound:
    return NotFound(
        f"backup_vms: neither this host nor the repository has a recovery point of {name!r:.100}. Is the name right? A new VM is "
        "backed up once a replica has its first recovery point; give backup_vms to the replicas that keep it."
    )


def _text(time_: datetime) -> str:
    return time_.strftime("%Y-%m-%dT%H:%M:%SZ")


def failure_of(report: Report) -> EdgeError | None:
    """Return the error of a run in which anything failed."""
    if not report.failed:
        return None
    each = " ".join(f"{name}: {message}" for name, message in report.failed.items())
    return EdgeError(f"{len(report.failed)} of this host's backups failed. {each}", **asdict(report))
