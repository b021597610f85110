# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a host's timer for backups: its VMs and files, one after another, each of which costs only itself where it fails.

Space is given back, and restores are tried, only each so many days: neither is a work of every night. Notes of the last of each are
kept beside; where they are lost, both are done again at the next run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from ..._errors import Busy, Corrupt, EdgeError, message_of
from ..._files import write_atomically
from ..._json import load_object, require_schema
from ..._sizes import MIB
from ..recovery.depot import Depot
from ..recovery.listing import name_in
from .patience import DEAD_AFTER, LOOK_AGAIN, PATIENCE, Patience
from .reconcile import Backups
from .request import Request, request_of
from .restic import Restic
from .settings import Settings

SCHEMA, NOTES = 1, "runs.json"


@dataclass
class Report:
    """What a run did, by the name of each VM or of the files: done, nothing to do, or failed and why."""

    begun: str
    ended: str = ""
    made: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_here: list[str] = field(default_factory=list)
    pruned: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A VM or the files: ``key`` is the same at each run, ``name`` how it is shown, ``options`` are its part of the request."""

    key: str
    name: str
    options: Mapping[str, Any]


@dataclass
class Notes:
    """When the space was last given back, when each backup was last tried, and the last run."""

    folder: Path
    pruned: str = ""
    verified: dict[str, str] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Notes:
        """Return the notes in a folder; raise Corrupt for a file that is not one of ours."""
        path = folder / NOTES
        try:
            found = load_object(path.read_bytes(), str(path), MIB)
        except FileNotFoundError:
            return cls(folder)
        require_schema(found, SCHEMA, str(path))
        pruned, verified, last = found.get("pruned", ""), found.get("verified", {}), found.get("last", {})
        if not (isinstance(pruned, str) and isinstance(verified, dict) and isinstance(last, dict)):
            raise Corrupt(f"{path} is not what a run of backups notes; remove it, and run again.", where=str(path))
        return cls(folder, pruned, {str(key): str(value) for key, value in verified.items()}, last)

    def write(self) -> None:
        """Write them, whole or not at all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {"schema": SCHEMA, "pruned": self.pruned, "verified": self.verified, "last": self.last}
        path = self.folder / NOTES
        write_atomically(path, json.dumps(found, indent=1).encode(), path.with_name(f".{NOTES}.new"), 0o600)


@dataclass
class ScheduledRun:
    """A run; ``backups`` gives what makes the backup of a request, ``log`` takes a line for the journal."""

    settings: Settings
    restic: Restic
    backups: Callable[[Restic, Request], Backups]
    log: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    patience: float = PATIENCE
    look_again: float = LOOK_AGAIN
    dead_after: float = DEAD_AFTER

    def run(self) -> Report:
        """Make all backups; raise where the repository cannot be opened, else name in the report what failed."""
        notes, report = Notes.read(self.settings.work_dir), Report(_text(self.now()))
        patience = Patience(self.log, self.patience, self.look_again, self.dead_after)
        self.restic = replace(self.restic, patience=patience)
        self.restic.snapshots()  # a wrong password is one error, not one for each VM
        targets = list(self._targets(report))
        turns = self._turns(targets, notes)
        for target in targets:
            self._back_up(target, target.key in turns, notes, report)
        if targets and self._is_due(notes.pruned, self.settings.prune_days):
            self._prune(notes, report)
        report.ended = _text(self.now())
        notes.last = asdict(report)
        notes.write()
        return report

    def _targets(self, report: Report) -> list[Target]:
        """Return what is to be backed up; note the VMs that were named and of which this host keeps no point."""
        found, here, named = [], set(), self.settings.vms
        depot = Depot(self.settings.root)
        for uuid in depot.vms():
            listed = depot.listed(uuid)
            name = name_in(listed)
            if listed.generations and (named is None or name in named or uuid in named):
                found.append(Target(uuid, f"VM {name}", {"vm": uuid}))
                here |= {uuid, name}
        report.not_here = sorted(set(named or ()) - here)
        paths, databases = self.settings.paths, self.settings.databases_there
        if paths or databases:
            files = {"name": self.settings.name, "paths": list(paths), "databases": list(databases)}
            found.append(Target(f"files {self.settings.name}", f"files {self.settings.name}", files))
        return found

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

    def _back_up(self, target: Target, verify: bool, notes: Notes, report: Report) -> None:
        request = request_of({**self.settings.options, **target.options, "verify": verify})
        try:
            done = self._made(request)
        except (EdgeError, OSError) as error:
            report.failed[target.name] = message_of(error)
            self.log(f"{target.name}: {report.failed[target.name]}")
            return
        (report.made if done["changed"] else report.unchanged).append(target.name)
        report.warnings += [f"{target.name}: {sentence}" for sentence in done["warnings"]]
        for sentence in [*done["actions"], *done["warnings"]]:
            self.log(sentence)
        if verify:
            report.verified.append(target.name)
            notes.verified[target.key] = _text(self.now())
            notes.write()

    def _prune(self, notes: Notes, report: Report) -> None:
        try:
            self.restic.prune()
        except EdgeError as error:
            report.failed["prune"] = error.message
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


def _text(time_: datetime) -> str:
    return time_.strftime("%Y-%m-%dT%H:%M:%SZ")


def failure_of(report: Report) -> EdgeError | None:
    """Return the error of a run in which anything failed."""
    if not report.failed:
        return None
    each = " ".join(f"{name}: {message}" for name, message in report.failed.items())
    return EdgeError(f"{len(report.failed)} of this host's backups failed. {each}", **asdict(report))
