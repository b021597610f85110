# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces of a new image are in another image on this host, at the same place or another: a pure plan."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..._errors import Corrupt, NotFound
from ..format.pieces import Pieces
from ..store.manifest import Manifest

WINDOW = 2**20  # pieces of the new image that are looked for at once, in 64 MiB at most
KEY, INDEX = 2**64 - 1, 40  # bits of a key, and how many of a place are the piece's index


@dataclass(frozen=True)
class Candidate:
    """An image of this host: where its bytes are, how many, and the SHA-256 of each piece of the wanted image's piece size."""

    path: Path
    size: int
    pieces: Pieces


@dataclass(frozen=True)
class Extent:
    """Consecutive pieces of the new image that are consecutive bytes of a file too."""

    path: Path
    source_offset: int
    offset: int
    length: int
    pieces: range


def extents(manifest: Manifest, good: Container[int], candidates: Sequence[Candidate]) -> Iterator[Extent]:
    """Yield what can be copied instead of fetched, in order; each piece once, none that is in ``good``."""
    current: Extent | None = None
    for one in _copies(manifest, good, candidates):
        joined = _joined(current, one) if current else one
        if joined is None and current:
            yield current
        current = joined or one
    if current:
        yield current


def _copies(manifest: Manifest, good: Container[int], candidates: Sequence[Candidate]) -> Iterator[Extent]:
    """Yield each piece that can be copied, in order. The lists of the candidates are read once for each window of the image."""
    size, count = manifest.piece_size, len(manifest.pieces) if candidates else 0
    for begin in range(0, count, WINDOW):
        window = range(begin, min(begin + WINDOW, count))
        places = _places(manifest, good, candidates, window)
        for index, value in _wanted(manifest, good, window):
            place = places.get(value)
            if place is None or not _holds(candidates[place[0]], place[1], value):
                continue
            candidate, at = candidates[place[0]], place[1] * size
            length = min(size, candidate.size - at)
            if length == manifest.piece_length(index):
                yield Extent(candidate.path, at, index * size, length, range(index, index + 1))


def _wanted(manifest: Manifest, good: Container[int], window: range) -> Iterator[tuple[int, bytes]]:
    values = zip(window, manifest.pieces.values(window.start), strict=False)
    return ((index, value) for index, value in values if index not in good)


def _places(manifest: Manifest, good: Container[int], candidates: Sequence[Candidate], window: range) -> Places:
    """Return where a wanted piece is: candidate and piece; the first candidate wins. A damaged list offers nothing."""
    found = Places(len(window))
    for _index, value in _wanted(manifest, good, window):
        found.want(value)
    for number, candidate in enumerate(candidates):
        with suppress(Corrupt, NotFound, OSError):
            for index, value in enumerate(candidate.pieces.values()):
                found.offer(value, number, index)
    return found


def _holds(candidate: Candidate, index: int, value: bytes) -> bool:
    """Return whether a piece has that whole SHA-256: places are known by a part of it."""
    with suppress(Corrupt, NotFound, OSError):
        return candidate.pieces.value(index) == value
    return False


class Places:
    """Places of wanted pieces, in 32 to 64 bytes for each, by a hash of their SHA-256 that no image can foresee."""

    def __init__(self, count: int) -> None:
        slots = 1 << (2 * count).bit_length()
        self._mask = slots - 1
        self._keys = array("Q", [0]) * slots
        self._places = array("Q", [0]) * slots

    def _slot(self, value: bytes) -> tuple[int, int]:
        """Return the slot of a value, or the free one where it goes, and its key."""
        key = hash(value) & KEY or 1
        slot = key & self._mask
        keys = self._keys
        while keys[slot] not in (0, key):
            slot = (slot + 1) & self._mask
        return slot, key

    def want(self, value: bytes) -> None:
        """Note that a piece is wanted; no more than ``count``."""
        slot, key = self._slot(value)
        self._keys[slot] = key

    def offer(self, value: bytes, candidate: int, index: int) -> None:
        """Note where a piece is, if it is wanted and has no place yet."""
        slot, _key = self._slot(value)
        if self._keys[slot] and not self._places[slot]:
            self._places[slot] = ((candidate << INDEX) | index) + 1

    def get(self, value: bytes) -> tuple[int, int] | None:
        """Return the candidate and the index of the piece, None where it has no place."""
        place = self._places[self._slot(value)[0]]
        return divmod(place - 1, 1 << INDEX) if place else None


def _joined(one: Extent, two: Extent) -> Extent | None:
    follows = one.path == two.path and one.source_offset + one.length == two.source_offset and one.offset + one.length == two.offset
    if not follows:
        return None
    return replace(one, length=one.length + two.length, pieces=range(one.pieces.start, two.pieces.stop))
