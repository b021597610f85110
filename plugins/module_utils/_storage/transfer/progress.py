# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a long pull as one line for people in a file, rewritten at most once a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..._sizes import MIB

SECONDS = 1.0


class ProgressFile:
    """Writes ``TITLE: 45 % (460 of 1024 MiB)`` to ``path``; a reader sees a whole line."""

    def __init__(self, path: Path, title: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._title = title
        self._clock = clock
        self._last = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Write ``done`` of ``total`` bytes; the last line is always written."""
        now = self._clock()
        if done < total and now - self._last < SECONDS:
            return
        self._last = now
        work = self._path.with_name(f".{self._path.name}.new")
        work.write_text(f"{self._title}: {100 * done // total} % ({done // MIB} of {total // MIB} MiB)\n")
        work.rename(self._path)
