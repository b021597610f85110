# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a run: a repository made, a backup made, backups removed, space given back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ..._plan import Plan, Step
from .model import Backup, Source, State
from .retention import Retention


@dataclass(frozen=True)
class MakeRepository:
    """Make a repository where there is none."""

    location: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Make the repository {self.location}."

    def predict(self, state: State) -> State:
        """See Step."""
        return replace(state, there=True)


@dataclass(frozen=True)
class MakeBackup:
    """Make one backup, instead of those that are not whole."""

    backup: Backup
    instead: tuple[Backup, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        more = f", instead of {len(self.instead)} that are not whole" if self.instead else ""
        return f"Back up {self.backup.source.words}{more}."

    def predict(self, state: State) -> State:
        """See Step."""
        stay = [one for one in state.backups if one not in self.instead]
        return replace(state, backups=tuple(sorted([*stay, self.backup], key=lambda one: (one.time, one.id))))


@dataclass(frozen=True)
class RemoveBackup:
    """Remove one backup from the repository's list."""

    backup: Backup

    @property
    def sentence(self) -> str:
        """See Step."""
        view = self.backup.view()
        return f"Remove the backup of {self.backup.source.words} of {view['time']}."

    def predict(self, state: State) -> State:
        """See Step."""
        return replace(state, backups=tuple(one for one in state.backups if one != self.backup))


@dataclass(frozen=True)
class Prune:
    """Give back the space that no backup needs."""

    @property
    def sentence(self) -> str:
        """See Step."""
        return "Remove the data that no backup needs from the repository."

    def predict(self, state: State) -> State:
        """See Step."""
        return state


@dataclass(frozen=True)
class Wanted:
    """A backup that is to be there: ``missing`` is it where it is to be made, ``broken`` are those that are not whole."""

    source: Source
    missing: Backup | None = None
    broken: tuple[Backup, ...] = ()


def plan_present(
    state: State, location: str, wanted: Wanted, retention: Retention | None, *, prune: bool, now: datetime
) -> Plan[State]:
    """Return the plan that makes a backup, and then removes those of the same VM or files that retention does not keep.

    The generation that is asked for stays in any case, else the next run would make it again, and so do files that are backed up
    now. Backups of a time that is still to come do not count, and stay.
    """
    steps: list[Step[State]] = [] if state.there else [MakeRepository(location)]
    if wanted.missing:
        steps.append(MakeBackup(wanted.missing, wanted.broken))
    made = Plan(state, tuple(steps))
    host = wanted.missing.host if wanted.missing else ""
    outdated = retention.outdated(made.after.own(wanted.source, now, host)) if retention else ()
    going = [one for one in outdated if one != wanted.missing and not (wanted.source.uuid and one.source == wanted.source)]
    return Plan(state, (*steps, *_removal(going, prune)))


def plan_absent(state: State, going: Iterable[Backup], prune: bool) -> Plan[State]:
    """Return the plan that removes backups."""
    return Plan(state, _removal(list(going), prune))


def _removal(going: list[Backup], prune: bool) -> tuple[Step[State], ...]:
    return (*map(RemoveBackup, going), *([Prune()] if prune and going else []))
