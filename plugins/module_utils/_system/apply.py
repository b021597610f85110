# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the steps of a plan."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._errors import CommandFailed, InvalidInput
from .._plan import Plan, execute
from .._runner import Runner
from . import tree
from .entry import Entry
from .plan import UNIT_FOLDER, CallUnit, SetPath, State
from .units import AGAIN, Systemd, Unit


@dataclass(frozen=True)
class Host:
    """The host's paths and units."""

    runner: Runner
    systemd: Systemd

    def filled(self, entries: Sequence[Entry], missing_ok: bool) -> list[Entry]:
        """Return entries with the bytes of the files that they are to be copies of."""
        return [tree.filled(entry, missing_ok) for entry in entries]

    def look(self, entries: Sequence[Entry], units: Sequence[Unit]) -> State:
        """Return what is there now."""
        return State({entry.path: tree.look(entry) for entry in entries}, self.systemd.look([unit.name for unit in units]))

    def carry_out(self, plan: Plan[State], units: Sequence[Unit]) -> None:
        """Carry out a plan; what follows a change of a path is noted just before, so that a file that is refused leaves no note."""
        calls = {(step.unit, step.verb) for step in plan.steps if isinstance(step, CallUnit)}
        due: dict[str, list[str]] = {}
        for unit in units:
            if {(unit.name, "restart"), (unit.name, "reload")} & calls:
                for path in (*unit.restart_on, *unit.reload_on):
                    due.setdefault(path, []).append(unit.name)
            if (unit.name, "reenable") in calls:
                due.setdefault(str(UNIT_FOLDER / unit.name), []).append(unit.name + AGAIN)
        execute(plan, lambda step: self._apply(step, due))

    def _apply(self, step: SetPath | CallUnit, due: Mapping[str, Sequence[str]]) -> None:
        if isinstance(step, CallUnit):
            self.systemd.call(step.verb, step.unit)
            return
        entry, notes = step.entry, due.get(step.entry.path, ())
        if entry.present and entry.kind == "file":
            with tree.written(entry) as work:
                self._validate(entry, work)
                self.systemd.note(notes)
            return
        self.systemd.note(notes)
        make = {"folder": tree.set_folder, "link": tree.set_link}
        (make[entry.kind] if entry.present else tree.remove)(entry)

    def _validate(self, entry: Entry, work: str) -> None:
        if not entry.validate:
            return
        try:
            self.runner.run([word.replace("%s", work) for word in shlex.split(entry.validate)])
        except CommandFailed as error:
            said = "(its output may hold the secret)" if entry.secret else error.stderr.strip() or "it printed no error"
            raise InvalidInput(
                f"{entry.option}: {entry.validate!r} refuses what {entry.path} is to hold; the old file was kept. "
                f"Its exit code is {error.rc}: {said}",
                option=entry.option,
                path=entry.path,
            ) from None
