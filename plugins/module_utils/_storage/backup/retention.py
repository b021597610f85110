# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay: the newest of each of the last hours, days, weeks, months and years, as restic counts them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from ..._errors import InvalidInput
from .model import Backup

PERIODS: dict[str, Callable[[datetime], object]] = {
    "hourly": lambda time: (time.year, time.month, time.day, time.hour),
    "daily": lambda time: (time.year, time.month, time.day),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}


@dataclass(frozen=True)
class Retention:
    """How many of each kind stay; a backup stays that any kind keeps. Hours and days are those of UTC."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    def __post_init__(self) -> None:
        """Raise InvalidInput for a negative number, or where nothing would stay."""
        for one in fields(self):
            if getattr(self, one.name) < 0:
                raise InvalidInput(
                    f"retention.{one.name}: {getattr(self, one.name)} is negative; give 0 or more.", option=f"retention.{one.name}"
                )
        if not any(getattr(self, one.name) for one in fields(self)):
            raise InvalidInput(
                "retention: it keeps nothing. Give at least one number above 0, or leave it out to keep all.", option="retention"
            )

    def outdated(self, backups: Sequence[Backup]) -> tuple[Backup, ...]:
        """Return the backups of one VM or one set of files that go, the oldest first.

        Several backups of one recovery point, as two replicas make them, count as one and stay together.
        """
        newest_first = sorted(backups, key=lambda one: one.order, reverse=True)
        each = list({_counted(one): one for one in reversed(newest_first)}.values())[::-1]
        stay = {_counted(one) for one in each[: self.last]}
        for name, period in PERIODS.items():
            newest: dict[object, Backup] = {}
            for one in each:
                newest.setdefault(period(one.time), one)
            stay |= {_counted(one) for one in list(newest.values())[: getattr(self, name)]}
        return tuple(one for one in reversed(newest_first) if _counted(one) not in stay)


def _counted(backup: Backup) -> object:
    """Return what retention counts: a recovery point, or a backup of files."""
    return backup.source if backup.source.uuid else backup
