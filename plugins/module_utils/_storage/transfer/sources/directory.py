# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of this host, or on a mounted file system, as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import FileIO
from pathlib import Path

from ...._errors import Corrupt, NotFound, Unreachable
from ...format.pieces import Check, reader_of
from ...store import catalogue, manifest
from ...store.catalogue import Entry
from ...store.manifest import Manifest
from ...store.store import Store
from .protocol import Reader


class DirectorySource:
    """Reads the store under ``root``."""

    def __init__(self, root: Path) -> None:
        self._store = Store(root)
        self.name = str(root)

    def catalogue(self) -> list[Entry]:
        """See Source."""
        path = self._store.root / catalogue.FILE
        return catalogue.parse(self._read(path, catalogue.LARGEST_JSON), str(path))

    def manifest(self, digest: str) -> Manifest:
        """See Source."""
        path, listed = self._store.manifest_path(digest), self._store.pieces_path(digest)
        reader = reader_of(listed)

        def read(offset: int, length: int, check: Check) -> bytes:
            with self._reading(listed):
                return reader(offset, length, check)

        return manifest.parse(self._read(path, manifest.LARGEST_JSON), str(path), digest, read)

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        """Let an error of the folder, perhaps of another host's, be one of this source, and not of our own disk."""
        try:
            yield
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no {path.name}.", source=self.name) from None
        except OSError as error:
            raise Unreachable(f"{path} cannot be read: {error.strerror or error}.", source=self.name) from None

    def _read(self, path: Path, limit: int) -> bytes:
        with self._reading(path), path.open("rb") as file:
            return file.read(limit + 1)

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        """See Source."""
        path = self._store.image_path(digest)
        with self._reading(path):
            file = path.open("rb", buffering=0)
        with file:
            if file.seek(0, 2) < offset + length:
                raise Corrupt(f"{path} is shorter than its manifest says.", source=self.name)
            file.seek(offset)
            yield _File(file, lambda: self._reading(path))

    def close(self) -> None:
        """See Source."""


class _File:
    def __init__(self, file: FileIO, reading: Callable[[], AbstractContextManager[None]]) -> None:
        self._file, self._reading = file, reading

    def readinto(self, buffer: memoryview, /) -> int:
        """See Reader."""
        with self._reading():
            return self._file.readinto(buffer) or 0
