# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a source is too slow: a pure rule over the bytes that it gave and the seconds that the pull waited for them.

A source is left only for another usable one: one that was never measured if this one is below the floor, or one that was measured
at several times its rate. So a pull goes on even if all sources are slow, and it does not alternate between them: it returns to a
source only from one whose rate is a fraction of that source's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FLOOR = 64 * 1024  # bytes a second; below this another source is tried
WINDOW = 10.0  # seconds of waiting before a source is judged
BETTER = 4.0


@dataclass
class Speeds:
    """The measured rates of the sources of one pull, by name."""

    rates: dict[str, float] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    _name: str = ""
    _bytes: int = 0
    _seconds: float = 0.0

    def begin(self, name: str) -> None:
        """Start a new measurement of a source."""
        self._name, self._bytes, self._seconds = name, 0, 0.0

    def gave(self, count: int, seconds: float) -> bool:
        """Account for bytes and the seconds that they took; return True when the source can be judged."""
        self._bytes += count
        self._seconds += seconds
        return self._seconds >= WINDOW

    def leave(self, others: Iterable[str]) -> bool:
        """Judge the measured source; return True if one of ``others``, which are usable, must replace it."""
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
