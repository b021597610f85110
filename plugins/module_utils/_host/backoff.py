# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits between the attempts of a service that systemd starts again, longer after each failure.

systemd before 254 cannot do it, and on none can something new end the wait.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FIRST, LONGEST, LOOK = 10.0, 120.0, 2.0


def failures_in(count: Path) -> int:
    """Return how many attempts failed in a row; a file that says nothing counts none."""
    try:
        return max(0, int(count.read_text()))
    except (OSError, ValueError):
        return 0


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return float(min(LONGEST, FIRST * 2 ** min(max(failures, 1) - 1, 10)))


def names_in(folder: Path) -> frozenset[tuple[str, int]]:
    """Return what is in a folder, so that another look shows something new; a folder that is not there is empty."""
    try:
        return frozenset((path.name, path.lstat().st_mtime_ns) for path in folder.iterdir())
    except FileNotFoundError:
        return frozenset()


def wait_after_failure(count: Path, watched: Path, known: frozenset[tuple[str, int]], sleep: Callable[[float], None]) -> float:
    """Count one more failure and wait, until something new is in ``watched``; return the seconds waited."""
    failures = failures_in(count) + 1
    count.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    count.write_text(str(failures))
    waited, pause = 0.0, pause_after(failures)
    while waited < pause and not names_in(watched) - known:
        sleep(LOOK)
        waited += LOOK
    return waited


def succeeded(count: Path) -> None:
    """Start over after the next failure."""
    count.unlink(missing_ok=True)
