# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces of a new image are in another image on this host, at the same place or another: a pure plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from ..store.manifest import Manifest


@dataclass(frozen=True)
class Candidate:
    """An image of this host: where its bytes are, how many, and the SHA-256 of each piece of the wanted image's piece size."""

    path: Path
    size: int
    pieces: Sequence[str]


@dataclass(frozen=True)
class Extent:
    """Consecutive pieces of the new image that are consecutive bytes of a file too."""

    path: Path
    source_offset: int
    offset: int
    length: int
    pieces: range


def extents(manifest: Manifest, good: Set[int], candidates: Sequence[Candidate]) -> Iterator[Extent]:
    """Yield what can be copied instead of fetched, in order; each piece once, none that is in ``good``."""
    places = _places(manifest.piece_size, candidates)
    current: Extent | None = None
    for index, digest in enumerate(manifest.pieces):
        found = places.get(digest) if index not in good else None
        if found is None or found[2] != manifest.piece_length(index):
            continue
        one = Extent(found[0], found[1], index * manifest.piece_size, found[2], range(index, index + 1))
        joined = _joined(current, one) if current else one
        if joined is None and current:
            yield current
        current = joined or one
    if current:
        yield current


def _places(piece_size: int, candidates: Sequence[Candidate]) -> dict[str, tuple[Path, int, int]]:
    """Return where a piece with a digest is: file, offset and length; the first candidate wins."""
    found: dict[str, tuple[Path, int, int]] = {}
    for candidate in candidates:
        for index, digest in enumerate(candidate.pieces):
            offset = index * piece_size
            found.setdefault(digest, (candidate.path, offset, min(piece_size, candidate.size - offset)))
    return found


def _joined(one: Extent, two: Extent) -> Extent | None:
    follows = one.path == two.path and one.source_offset + one.length == two.source_offset and one.offset + one.length == two.offset
    if not follows:
        return None
    return replace(one, length=one.length + two.length, pieces=range(one.pieces.start, two.pieces.stop))
