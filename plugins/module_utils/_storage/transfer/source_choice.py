# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a source is too slow to stay with: a pure rule over the bytes that it gave and the seconds that we waited for them.

A source is left only for another one that can be used: one that was never measured if this one is below the floor, or one that
was measured at several times its rate. So all may be slow and the pull goes on, and there is no going to and fro: to go back to a
source takes a rate that has fallen to a fraction of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FLOOR = 64 * 1024  # bytes a second; less is no way to get an image
WINDOW = 10.0  # seconds of waiting that a judgement takes
BETTER = 4.0


@dataclass
class Speeds:
    """What the sources of one pull gave, by name."""

    rates: dict[str, float] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    _name: str = ""
    _bytes: int = 0
    _seconds: float = 0.0

    def begin(self, name: str) -> None:
        """Begin to measure a source anew."""
        self._name, self._bytes, self._seconds = name, 0, 0.0

    def gave(self, count: int, seconds: float) -> bool:
        """Account for bytes and the seconds that they took to come; True when there is enough to judge by."""
        self._bytes += count
        self._seconds += seconds
        return self._seconds >= WINDOW

    def leave(self, others: Iterable[str]) -> bool:
        """Judge the source that was measured; True if it is to be left for one of ``others``, which can be used."""
        name, rate = self._name, self._bytes / self._seconds
        self.rates[name] = rate
        self.begin(name)
        usable = [other for other in others if other != name]
        better = {other for other in usable if self.rates.get(other, 0.0) > BETTER * rate}
        unknown = {other for other in usable if other not in self.rates}
        if better or (unknown and rate < FLOOR):
            self.left.add(name)
            self.left -= better
            return True
        return False

    def rank(self, name: str) -> tuple[bool, float]:
        """Sort key: sources that were left come last, the least slow of them first."""
        return (name in self.left, -self.rates.get(name, 0.0) if name in self.left else 0.0)
