# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partial file of a pull: pieces are verified in order by one hash, and the file itself is the only journal.

After a killed process the file's length says what may be there, and only bytes that are hashed again count, which the digest of
the whole needs anyway. So no second record can disagree with the bytes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from ..._errors import Corrupt, NoSpace
from ..store.digest import BLOCK, write_all
from ..store.manifest import Manifest
from .delta import Extent
from .prefetch import PieceFile
from .pull_plan import Run


class Assembly:
    """Collects the pieces of one image in ``path``; the caller holds the image's lock."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.good: set[int] = set()
        self.reused: set[int] = set()
        self.verified = 0
        self._hash = hashlib.sha256()
        self._flusher = ThreadPoolExecutor(1)
        self._flush: Future[None] | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def __enter__(self) -> Assembly:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flusher.shutdown()
        os.close(self._file)

    @property
    def complete(self) -> bool:
        """True when every piece has been verified in order, so that the whole has the image's digest."""
        return self.verified == len(self.manifest.pieces)

    @property
    def verified_bytes(self) -> int:
        """Bytes from the start of the image that are verified."""
        return min(self.verified * self.manifest.piece_size, self.manifest.size)

    def scan(self) -> None:
        """Find the good pieces that an earlier try left."""
        if os.fstat(self._file).st_size > self.manifest.size:
            os.ftruncate(self._file, self.manifest.size)
        self.take_good()
        for index in range(self.verified, len(self.manifest.pieces)):
            data = self._read(index)
            if data is None:
                break
            if hashlib.sha256(data).hexdigest() == self.manifest.pieces[index]:
                self.good.add(index)

    def take_good(self) -> None:
        """Verify in order the pieces on disk, up to the first one that is missing or bad."""
        while not self.complete:
            index = self.verified
            data = self._read(index)
            if data is None or not self._advance(data):
                self.good.discard(index)
                self.reused.discard(index)
                return
            self.good.add(index)

    def copy(self, extents: Iterator[Extent]) -> None:
        """Copy pieces that are on this host already, as shared extents if the file system can; ``take_good`` verifies them."""
        with _room(self.manifest.digest, self.path):
            for extent in extents:
                if _copied(extent, self._file):
                    self.good.update(extent.pieces)
                    self.reused.update(extent.pieces)

    def take_ahead(self, ahead: PieceFile, run: Run) -> bool:
        """Take the pieces of ``run`` that were fetched ahead; return whether there was one."""
        found = False
        with _room(self.manifest.digest, self.path):
            for index in ahead.present(run.first, run.end):
                data = ahead.get(index)
                if data is not None:
                    write_all(self._file, data, index * self.manifest.piece_size)
                    self.good.add(index)
                    found = True
        return found

    @property
    def bytes_reused(self) -> int:
        """Bytes that were copied and verified."""
        return sum(self.manifest.piece_length(index) for index in self.reused)

    def _read(self, index: int) -> bytes | None:
        length = self.manifest.piece_length(index)
        data = os.pread(self._file, length, index * self.manifest.piece_size)
        return data if len(data) == length else None

    def _advance(self, data: bytes | memoryview) -> bool:
        candidate = self._hash.copy()
        candidate.update(data)
        if candidate.hexdigest() != self.manifest.checkpoints[self.verified]:
            return False
        self._hash = candidate
        self.verified += 1
        return True

    def put(self, first: int, data: memoryview, origin: str) -> None:
        """Write the next pieces in order and verify each; raise Corrupt if ``origin`` gave other bytes than the manifest says.

        They are written first, so that a kill loses only bytes in transit; a resumed pull verifies them again.
        """
        size = self.manifest.piece_size
        with _room(self.manifest.digest, self.path):
            write_all(self._file, data, first * size)
        for index, at in enumerate(range(0, len(data), size), first):
            if not self._advance(data[at : at + size]):
                wrong = f"{origin} gave wrong bytes for piece {index} of {self.manifest.digest}; they were not used."
                raise Corrupt(wrong, source=origin)
            self.good.add(index)
        self._flush_early()

    def settle(self) -> None:
        """Wait for the flush that runs; only here a disk error is raised."""
        if self._flush:
            self._flush.result()

    def _flush_early(self) -> None:
        """Flush while more bytes arrive, so that the last flush is short and few dirty pages collect."""
        if self._flush is None or self._flush.done():
            self.settle()
            self._flush = self._flusher.submit(os.fdatasync, self._file)


@contextlib.contextmanager
def _room(digest: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"No space left for the image {digest} at {path}; free some.", path=str(path)) from None
        raise


def _copied(extent: Extent, target: int) -> bool:
    """Copy by the kernel, which shares blocks if it can; return False if the source was removed or has become shorter."""
    try:
        source = os.open(extent.path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        done = 0
        while done < extent.length:
            count = _copy_some(source, target, extent, done)
            if not count:
                return False
            done += count
        return True
    finally:
        os.close(source)


def _copy_some(source: int, target: int, extent: Extent, done: int) -> int:
    left = extent.length - done
    try:
        return os.copy_file_range(source, target, left, extent.source_offset + done, extent.offset + done)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    data = os.pread(source, min(left, BLOCK), extent.source_offset + done)
    write_all(target, data, extent.offset + done)
    return len(data)
