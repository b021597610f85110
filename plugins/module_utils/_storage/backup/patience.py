# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run waits for others: around each command of restic, so that what was done before is not done again.

A run of restic that lives makes its lock again each five minutes, with another ID. One that stays the same for longer than half an
hour, by this host's own count of seconds, is of a run that was killed; names of hosts and clocks prove nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..._errors import Busy

LOOK_AGAIN, PATIENCE = 60.0, 4 * 3600.0  # seconds: other hosts prune the same repository
DEAD_AFTER = 35 * 60.0  # seconds
STALE = timedelta(minutes=25)  # restic's unlock removes what its clock says to be 30 minutes old


@dataclass(frozen=True)
class Lock:
    """A lock in the repository."""

    id: str
    host: str
    pid: int
    time: datetime

    def unlock_removes(self, now: datetime, host: str) -> bool:
        """Return whether restic's unlock on this host takes it for stale, or soon will: by the clock or a process's number."""
        return now - self.time > STALE or (self.host == host and not Path(f"/proc/{self.pid}").exists())


@dataclass
class Patience:
    """Waits in all no longer than ``left`` seconds; ``log`` takes a line for each wait."""

    log: Callable[[str], None]
    left: float = PATIENCE
    look_again: float = LOOK_AGAIN
    dead_after: float = DEAD_AFTER
    since: dict[str, float] = field(default_factory=dict)

    def waits(self, error: Busy) -> bool:
        """Wait once, and return whether it is time for another try."""
        if self.left <= 0:
            return False
        self.log(f"waits: {error.message}")
        seconds = min(self.look_again, self.left)
        time.sleep(seconds)
        self.left -= seconds
        return True

    def may_unlock(self, locks: list[Lock], host: str) -> bool:
        """Return whether there are dead locks and an unlock removes no other one; note since when each is there."""
        now = time.monotonic()
        self.since = {one.id: self.since.get(one.id, now) for one in locks}
        dead = {one for one, since in self.since.items() if now - since >= self.dead_after}
        clock = datetime.now(UTC)
        return bool(dead) and all(one.id in dead or not one.unlock_removes(clock, host) for one in locks)
