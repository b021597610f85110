# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of this host, or on a mounted file system, as a source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...._errors import Corrupt, NotFound
from ...format.pieces import reader_of
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
        path = self._store.manifest_path(digest)
        read = reader_of(self._store.pieces_path(digest))
        return manifest.parse(self._read(path, manifest.LARGEST_JSON), str(path), digest, read)

    def _read(self, path: Path, limit: int) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no {path.name}.", source=self.name) from None

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        """See Source."""
        path = self._store.image_path(digest)
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no {path.name}.", source=self.name) from None
        with file:
            if file.seek(0, 2) < offset + length:
                raise Corrupt(f"{path} is shorter than its manifest says.", source=self.name)
            file.seek(offset)
            yield file

    def close(self) -> None:
        """See Source."""
