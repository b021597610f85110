# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pull has to fetch: a pure plan over the pieces of an image."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from ..store.manifest import Manifest


@dataclass(frozen=True)
class Run:
    """Consecutive missing pieces, ``first`` to before ``end``, and the bytes that they are."""

    first: int
    end: int
    offset: int
    length: int


class Found:
    """Which pieces are found, in a byte each: an image may have millions."""

    def __init__(self, count: int) -> None:
        self._found = bytearray(count)
        self._length = 0

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and 0 <= index < len(self._found) and bool(self._found[index])

    def __len__(self) -> int:
        return self._length

    def add(self, index: int) -> None:
        """Note a piece as found."""
        self._length += not self._found[index]
        self._found[index] = True


def run_of(manifest: Manifest, first: int, end: int) -> Run:
    """Return the pieces ``first`` to before ``end`` as a run."""
    offset = first * manifest.piece_size
    return Run(first, end, offset, min(end * manifest.piece_size, manifest.size) - offset)


def missing(manifest: Manifest, good: Container[int], first: int = 0) -> Iterator[Run]:
    """Yield the runs of pieces from ``first`` on that are not in ``good``, in order: one request each."""
    start: int | None = None
    for index in range(first, manifest.count):
        if index not in good:
            start = index if start is None else start
        elif start is not None:
            yield run_of(manifest, start, index)
            start = None
    if start is not None:
        yield run_of(manifest, start, manifest.count)


def split(manifest: Manifest, run: Run, length: int) -> Iterator[Run]:
    """Yield ``run`` in parts of at most ``length`` bytes, or one piece where that is longer."""
    step = max(1, length // manifest.piece_size)
    for first in range(run.first, run.end, step):
        yield run_of(manifest, first, min(first + step, run.end))


def bytes_missing(manifest: Manifest, good: Container[int]) -> int:
    """Return how many bytes a pull has to fetch."""
    return sum(run.length for run in missing(manifest, good))
