# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a pull is, which first may have to look at what is here already; and one line of it for people in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..._sizes import MIB

SECONDS = 1.0
Progress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """Report no progress."""


class Report:
    """A Progress that also gets what is done before the first byte is fetched."""

    def __call__(self, done: int, total: int) -> None:
        """Take the bytes that are here and proven, of ``total``."""
        raise NotImplementedError

    def scanned(self, done: int, total: int) -> None:
        """Take the bytes of this host that were looked at, of ``total``: an earlier try left them, or an older image has them."""
        raise NotImplementedError


def scanned_of(progress: Progress) -> Progress:
    """Return what gets the progress of a scan where ``progress`` takes that."""
    return progress.scanned if isinstance(progress, Report) else no_progress


class ProgressFile(Report):
    """Writes ``TITLE: 45 % (460 of 1024 MiB)`` to ``path``, at most once a second; a reader sees a whole line."""

    def __init__(self, path: Path, title: str, clock: Callable[[], float]) -> None:
        self._path = path
        self._title = title
        self._clock = clock
        self._last = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        """Write ``done`` of ``total`` bytes; the last line is always written."""
        self._write("", done, total)

    def scanned(self, done: int, total: int) -> None:
        """Write how much of what is here already was looked at."""
        self._write("scanning what is here already, ", done, total)

    def _write(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if done < total and now - self._last < SECONDS:
            return
        self._last = now
        work = self._path.with_name(f".{self._path.name}.new")
        work.write_text(f"{self._title}: {what}{100 * done // total} % ({done // MIB} of {total // MIB} MiB)\n")
        work.rename(self._path)
