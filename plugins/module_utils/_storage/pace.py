# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound on the bytes a second of a pull; clock and sleep are passed in."""

from __future__ import annotations

from collections.abc import Callable

BURST_SECONDS = 0.25


class Pace:
    """Called with the bytes that came, it sleeps until they are within ``rate`` bytes a second.

    After an idle time no more than the bytes of a quarter of a second, or those that just came, are made up for.
    """

    def __init__(self, rate: int, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = float("-inf")

    def __call__(self, count: int) -> None:
        """Account for ``count`` bytes."""
        now = self._clock()
        takes = count / self._rate
        self._due = max(self._due, now - max(BURST_SECONDS, takes)) + takes
        if self._due > now:
            self._sleep(self._due - now)


def no_pace(_count: int) -> None:
    """Let bytes come as fast as they do."""
