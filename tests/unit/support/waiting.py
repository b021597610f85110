# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what happens, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT = 300.0  # seconds: only for what never happens


def until(happened: Callable[[], object], what: str = "what was waited for", every: float = 0.02) -> None:
    """Return once ``happened()`` is true; raise after minutes."""
    deadline = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen in {LIMIT:g} s"
        time.sleep(every)
