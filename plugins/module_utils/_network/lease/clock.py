# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that cool-downs go by: it never goes back, and a wall clock that is set cannot hurry or stop it.

The file keeps how many seconds have passed since it was made. Each change adds those since the last one: by the kernel's clock of
time since the boot, which cannot be set, or, after a reboot, by the wall clock, as far as that went forward.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """An instant: which boot of the host it is in, the seconds since that boot and those of the wall clock."""

    boot: str
    uptime: float
    wall: float

    def since(self, earlier: Moment) -> float:
        """Return the seconds since ``earlier``, never less than none. Pure."""
        passed = self.uptime - earlier.uptime if self.boot == earlier.boot else self.wall - earlier.wall
        return max(0.0, passed)


def this_moment() -> Moment:
    """Return the present instant."""
    return Moment(BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
