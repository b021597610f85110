# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces of a new image are in another image on this host, at the same place or another: a pure plan."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..._errors import Corrupt, NotFound
from ..format.pieces import Pieces
from ..store.manifest import Manifest

Place = tuple[Path, int, int]


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
    places = _places(manifest, good, candidates)
    current: Extent | None = None
    for index, value in enumerate(manifest.pieces.values() if places else ()):
        found = places.get(value) if index not in good else None
        if found is None or found[2] != manifest.piece_length(index):
            continue
        one = Extent(found[0], found[1], index * manifest.piece_size, found[2], range(index, index + 1))
        joined = _joined(current, one) if current else one
        if joined is None and current:
            yield current
        current = joined or one
    if current:
        yield current


def _places(manifest: Manifest, good: Container[int], candidates: Sequence[Candidate]) -> dict[bytes, Place]:
    """Return where a wanted piece is: file, offset and length; the first candidate wins. A damaged list offers nothing."""
    found: dict[bytes, Place] = {}
    size = manifest.piece_size
    wanted = {value for index, value in enumerate(manifest.pieces.values()) if index not in good} if candidates else set()
    for candidate in candidates:
        with suppress(Corrupt, NotFound, OSError):
            for index, value in enumerate(candidate.pieces.values()):
                if value in wanted:
                    found.setdefault(value, (candidate.path, index * size, min(size, candidate.size - index * size)))
    return found


def _joined(one: Extent, two: Extent) -> Extent | None:
    follows = one.path == two.path and one.source_offset + one.length == two.source_offset and one.offset + one.length == two.offset
    if not follows:
        return None
    return replace(one, length=one.length + two.length, pieces=range(one.pieces.start, two.pieces.stop))
