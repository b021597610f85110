# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on the bytes a second of a pull; clock and sleep are passed in."""

from __future__ import annotations

from collections.abc import Callable

BURST_SECONDS = 0.25
LOOK_SECONDS = 0.02
LINGER_SECONDS = 0.1  # a VM that reads now reads again soon
LONGEST_SECONDS = 2.0
GRANTED = 256 * 1024  # bytes


class RateLimit:
    """A function of the bytes that came: it sleeps until they are within ``rate`` bytes a second.

    After an idle time a burst may have the bytes of a quarter of a second, or those that just came.
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


class Backoff:
    """A function of the bytes that came: it waits while ``busy`` says that a VM waits for bytes over the same link.

    A VM that never stops reading does not stop a pull: after two seconds of waiting the pull may receive 256 KiB.
    """

    def __init__(self, busy: Callable[[], bool], clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._busy = busy
        self._clock = clock
        self._sleep = sleep
        self._granted = 0

    def __call__(self, count: int) -> None:
        """Account for ``count`` bytes."""
        self._granted = max(0, self._granted - count)
        if self._granted or not self._busy():
            return
        began = busy_at = self._clock()
        while self._clock() - began < LONGEST_SECONDS:
            self._sleep(LOOK_SECONDS)
            if self._busy():
                busy_at = self._clock()
            elif self._clock() - busy_at >= LINGER_SECONDS:
                return
        self._granted = GRANTED


def no_limit(_count: int) -> None:
    """Do not limit the rate."""
