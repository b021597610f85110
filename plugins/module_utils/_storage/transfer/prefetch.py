# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces that were fetched ahead of the pull, because a running VM read them: a sparse file beside the partial one.

One process writes it (the read-through of a replica), another reads it (the pull). A piece counts only after
it is hashed, and a hole is a missing piece, so no record can disagree with the bytes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ... import _files, _sparse
from ..store.manifest import Manifest


class PieceFile:
    """Verified pieces at their own offsets in a file that may have holes, be short, or be missing."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._manifest = manifest

    def get(self, index: int) -> bytes | None:
        """Return a piece if all of it is here and has its SHA-256; one that the disk cannot read is not here."""
        length = self._manifest.piece_length(index)
        try:
            with self.path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), length, index * self._manifest.piece_size)
        except OSError:
            return None
        whole = len(data) == length and hashlib.sha256(data).digest() == self._manifest.pieces.value(index)
        return data if whole else None

    def put(self, index: int, data: bytes | memoryview) -> None:
        """Keep a piece that the caller verified, or nothing where the disk fails or has only its reserve: who reads has it."""
        with contextlib.suppress(OSError):
            if _files.free_bytes(self.path.parent) < _files.RESERVE + len(data):
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                _sparse.write_all(descriptor, data, index * self._manifest.piece_size)
            finally:
                os.close(descriptor)

    def present(self, first: int, end: int) -> Iterator[int]:
        """Yield the pieces from ``first`` to before ``end`` that have bytes here, good or bad."""
        size = self._manifest.piece_size
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            index = first
            while index < end:
                try:
                    found = os.lseek(descriptor, index * size, os.SEEK_DATA) // size
                except OSError as error:
                    if error.errno == errno.ENXIO:  # only holes from here on
                        return
                    raise
                if found < end:
                    yield found
                index = found + 1
        finally:
            os.close(descriptor)
