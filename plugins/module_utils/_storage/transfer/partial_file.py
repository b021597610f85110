# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partial file of a pull: each piece is proven by its hash, and the file itself is the only journal.

After a killed process the file's length says what may be there, and only pieces that are hashed again count. So no second record
can disagree with the bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from ... import _space, _sparse
from ..._errors import Corrupt
from ..store.digest import BLOCK
from ..store.manifest import Manifest
from .delta import Extent
from .prefetch import PieceFile
from .progress import Progress, no_progress
from .pull_plan import Found, Run, missing

OTHERS = 256 * 1024  # bytes: the tables of the file system, the folder, the notes beside an image


class Assembly:
    """Collects the pieces of one image in ``path``; the caller holds the image's lock. Only proven pieces are ``good``."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.good = Found(manifest.count)
        self.good_bytes = 0
        self.bytes_reused = 0
        self._first = 0
        self._scanned = False
        self._flusher = ThreadPoolExecutor(1)
        self._flush: Future[None] | None = None
        self._space = _space.Space(path.parent, f"The image {manifest.name} {manifest.version}")
        with self._space.writing():
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def __enter__(self) -> Assembly:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flusher.shutdown()
        _space.give_back(self._file, self._missing() if self._scanned else ())
        os.close(self._file)

    @property
    def complete(self) -> bool:
        """True when every piece is proven: the digest binds all of them, so the whole is proven too."""
        return len(self.good) == self.manifest.count

    @property
    def first_missing(self) -> int:
        """The first piece that is not good yet."""
        while self._first in self.good:
            self._first += 1
        return self._first

    def scan(self, scanned: Progress = no_progress) -> None:
        """Find the good pieces that an earlier try left; ``scanned`` gets the bytes that were looked at, of all that are here.

        Holes are not read: what is all zeros is taken later anyway.
        """
        if os.fstat(self._file).st_size > self.manifest.size:
            os.ftruncate(self._file, self.manifest.size)
        size, end = self.manifest.piece_size, os.fstat(self._file).st_size
        for part in _sparse.extents(self._file, 0, end):
            for index in range(part.offset // size, -(-(part.offset + part.length) // size)) if part.data else ():
                data = None if index in self.good else self._read(index)
                if data is not None:
                    self._prove(index, data)
                scanned(min((index + 1) * size, end), end)
        self._scanned = True

    def reserve(self) -> None:
        """Have the space of all missing pieces, and of the manifest, before the first byte; pieces of zeros need neither.

        What an interruption leaves unused is given back, so that the partial file takes what was received.
        """
        with self._space.writing():
            _space.give_back(self._file, self._missing())  # what a killed pull had taken is not needed twice
            self._take_zeros()
            end = (self.manifest.size, len(self.manifest.to_json()) + OTHERS)
            self._space.take(self._file, [*self._missing(), end])

    def _missing(self) -> list[_space.Range]:
        return [(run.offset, run.length) for run in missing(self.manifest, self.good)]

    def _take_zeros(self) -> None:
        known: dict[int, bytes] = {}
        for index, value in enumerate(self.manifest.pieces.values()):
            length = self.manifest.piece_length(index)
            if length not in known:
                known[length] = hashlib.sha256(bytes(length)).digest()
            if value == known[length] and index not in self.good:
                _sparse.clear(self._file, index * self.manifest.piece_size, length)
                self._count(index, length)

    def copy(self, extents: Iterator[Extent], progress: Progress = no_progress) -> None:
        """Copy pieces that are on this host already, as shared extents if the file system can, and prove them."""
        with self._space.writing():
            for extent in extents:
                if _copied(extent, self._file):
                    for index in extent.pieces:
                        data = self._read(index)
                        if data is not None and self._prove(index, data):
                            self.bytes_reused += len(data)
                            progress(self.good_bytes, self.manifest.size)

    def take_ahead(self, ahead: PieceFile, run: Run) -> bool:
        """Take the pieces of ``run`` that were fetched ahead; return whether there was one."""
        found = False
        with self._space.writing():
            for index in ahead.present(run.first, run.end):
                data = ahead.get(index)
                if data is not None:
                    _sparse.write(self._file, data, index * self.manifest.piece_size)
                    found |= self._prove(index, data)
        return found

    def _read(self, index: int) -> bytes | None:
        length = self.manifest.piece_length(index)
        data = os.pread(self._file, length, index * self.manifest.piece_size)
        return data if len(data) == length else None

    def _prove(self, index: int, data: bytes | memoryview) -> bool:
        """Count a piece whose bytes in the file are ``data`` as good if it has its hash, and return whether it has."""
        proven = hashlib.sha256(data).digest() == self.manifest.pieces.value(index)
        if proven:
            self._count(index, len(data))
        return proven

    def _count(self, index: int, length: int) -> None:
        if index not in self.good:
            self.good.add(index)
            self.good_bytes += length

    def put(self, first: int, data: memoryview, origin: str) -> None:
        """Write pieces and prove each; raise Corrupt if ``origin`` gave other bytes than the manifest says.

        They are written first, so that a kill loses only bytes in transit; a resumed pull proves them again.
        """
        size = self.manifest.piece_size
        with self._space.writing():
            _sparse.write(self._file, data, first * size)
        pieces = enumerate(range(0, len(data), size), first)
        wrong = [index for index, at in pieces if not self._prove(index, data[at : at + size])]
        if wrong:
            message = f"{origin} gave wrong bytes for piece {wrong[0]} of {self.manifest.digest}; they were not used."
            raise Corrupt(message, source=origin)
        self._flush_early()

    def settle(self) -> None:
        """Wait for the flush that runs; only here a disk error is raised."""
        if self._flush:
            with self._space.writing():
                self._flush.result()

    def _flush_early(self) -> None:
        """Flush while more bytes arrive, so that the last flush is short and few dirty pages collect."""
        if self._flush is None or self._flush.done():
            self.settle()
            self._flush = self._flusher.submit(os.fdatasync, self._file)


def _copied(extent: Extent, target: int) -> bool:
    """Copy by the kernel, which shares blocks if it can; return False if the source was removed, is shorter or has bad sectors."""
    try:
        source = os.open(extent.path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        where = {"source_offset": extent.source_offset, "offset": extent.offset, "length": extent.length}
        return _sparse.copy(source, target, **where)
    except OSError:
        if _is_readable(source, extent):
            raise
        return False
    finally:
        os.close(source)


def _is_readable(source: int, extent: Extent) -> bool:
    at = 0
    try:
        while at < extent.length:
            count = len(os.pread(source, min(BLOCK, extent.length - at), extent.source_offset + at))
            if not count:
                return False
            at += count  # a read ends before a bad sector, and the next begins with it
    except OSError:
        return False
    return True
