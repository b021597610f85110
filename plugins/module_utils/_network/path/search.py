# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sizes of packets to send next to learn how many bytes a path carries. Pure.

A packet can be lost, and an answer can be late: a size counts as too large only after several tries in waves of their own, and an
answer that comes after that counts all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEAST = 128  # bytes of a packet that each path carries
TRIES = 3
AT_ONCE = 15  # sizes between the largest that is known to pass and the smallest that is not


@dataclass
class Search:
    """The search for the largest packet, up to ``needed`` bytes, that is answered."""

    needed: int
    passed: int = 0  # the largest packet that was answered
    lost: int = 0  # the smallest that is known not to be
    _asked: tuple[int, ...] = field(default=(), repr=False)
    _left: int = field(default=TRIES, repr=False)

    def __post_init__(self) -> None:
        self.lost, self._asked = self.needed + 1, (self.needed,)

    @property
    def done(self) -> bool:
        """True if the size is known to the byte."""
        return self.lost - self.passed == 1

    def wave(self) -> tuple[int, ...]:
        """Return the sizes to send now."""
        if self._left == 0 or (self.passed and not self.waiting()):
            self._judge()
        if self.passed:  # until then the other host may not be up yet
            self._left -= 1
        return self.waiting()

    def waiting(self) -> tuple[int, ...]:
        """Return the sizes that were sent, or are to be, and may be answered yet."""
        if not self.passed:
            return tuple(sorted({min(LEAST, self.needed), self.needed}))
        return tuple(size for size in self._asked if self.passed < size < self.lost)

    def answered(self, size: int) -> None:
        """Note that a packet of ``size`` bytes was answered."""
        self.passed = max(self.passed, size)
        if size >= self.lost:
            self.lost, self._asked, self._left = self.needed + 1, (), 0

    def _judge(self) -> None:
        """Take what was not answered as lost, and choose the sizes of the next waves."""
        if self._left == 0:
            self.lost = min(self.waiting(), default=self.lost)
        span = self.lost - self.passed
        between = {self.passed + span * part // (AT_ONCE + 1) for part in range(1, AT_ONCE + 1)}
        self._asked, self._left = tuple(sorted(between - {self.passed, self.lost})), TRIES
