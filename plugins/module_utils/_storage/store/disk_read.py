# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of a file from its disk: what the page cache holds of it is neither believed nor displaced."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from .manifest import Manifest

ALIGNED = 4096  # no disk has larger sectors
BLOCK = 4 * 1024 * 1024


class DiskFile:
    """A file that is read by direct I/O; where its file system has none, its pages are dropped from the cache before each read."""

    def __init__(self, path: Path) -> None:
        self._direct = True
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._direct = False
            self._file = os.open(path, os.O_RDONLY)
        self._buffer = mmap.mmap(-1, BLOCK)

    def __enter__(self) -> DiskFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def blocks(self, offset: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes from ``offset``, a multiple of 4096, to the length or the end of the file; each block until the next."""
        while length > 0:
            wanted = min(length, BLOCK)
            count = min(self._read(offset, -(-wanted // ALIGNED) * ALIGNED), wanted)
            if not count:
                return
            yield memoryview(self._buffer)[:count]
            if count % ALIGNED:
                return  # the end of the file
            offset += count
            length -= count

    def _read(self, offset: int, length: int) -> int:
        if not self._direct:
            os.posix_fadvise(self._file, offset, length, os.POSIX_FADV_DONTNEED)
        with memoryview(self._buffer) as view, view[:length] as part:
            try:
                return os.preadv(self._file, [part], offset)
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
        self._fall_back()
        return self._read(offset, length)

    def _fall_back(self) -> None:
        """Read as files are read: this file system takes O_DIRECT and does not do it."""
        buffered = os.open(f"/proc/self/fd/{self._file}", os.O_RDONLY)
        os.close(self._file)
        self._file, self._direct = buffered, False


def piece(file: DiskFile, image: Manifest, index: int) -> bytes | None:
    """Return a piece as it is on disk, None if the disk cannot read it."""
    try:
        return b"".join(map(bytes, file.blocks(index * image.piece_size, image.piece_length(index))))
    except OSError:
        return None


def is_good(file: DiskFile, image: Manifest, index: int) -> bool:
    """Return whether a piece on disk is what the manifest says; one that the disk cannot read is not."""
    hashed = hashlib.sha256()
    try:
        for block in file.blocks(index * image.piece_size, image.piece_length(index)):
            hashed.update(block)
    except OSError:
        return False
    return hashed.digest() == image.pieces.value(index)
