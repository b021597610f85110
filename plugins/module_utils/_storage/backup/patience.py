# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run waits for others: around each command of restic, so that what was done before is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..._errors import Busy

LOOK_AGAIN, PATIENCE = 60.0, 4 * 3600.0  # seconds: other hosts prune the same repository


@dataclass
class Patience:
    """Waits in all no longer than ``left`` seconds; ``log`` takes a line for each wait."""

    log: Callable[[str], None]
    left: float = PATIENCE
    look_again: float = LOOK_AGAIN

    def waits(self, error: Busy) -> bool:
        """Wait once, and return whether it is time for another try."""
        if self.left <= 0:
            return False
        self.log(f"waits: {error.message}")
        seconds = min(self.look_again, self.left)
        time.sleep(seconds)
        self.left -= seconds
        return True
