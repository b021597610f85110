# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of a replica's NBD server: each image under the hexadecimal part of its digest, read-only, arrived or not.

The server is nbdkit, which does TLS with client certificates; its plugin is a few lines over this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from .._errors import NotFound
from .._storage.store import manifest
from .._storage.store.store import Store
from .._storage.transfer.read_through import ReadThrough
from .._storage.transfer.sources.protocol import Source


@dataclass
class _Export:
    image: ReadThrough
    users: int = 0


@dataclass
class Exports:
    """The images of a store that clients have open; clients of one image share what was read."""

    store: Store
    sources: Sequence[Source]
    _open: dict[str, _Export] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def open(self, name: str) -> str:
        """Open the export ``name`` once more and return the handle for the calls below; raise NotFound if no source has it."""
        if not manifest.HEX.fullmatch(name):
            raise NotFound(
                f"The export {name!r:.100} does not exist; exports are named by the 64 hexadecimal digits of an image's digest."
            )
        with self._lock:
            if name not in self._open:
                self.store.prepare()
                self._open[name] = _Export(ReadThrough(self.store, f"sha256:{name}", self.sources))
            self._open[name].users += 1
        return name

    def size(self, handle: str) -> int:
        """Return the image's length in bytes."""
        return self._open[handle].image.size

    def read(self, handle: str, offset: int, length: int) -> bytes:
        """Return exactly these bytes, verified."""
        return self._open[handle].image.read(offset, length)

    def close(self, handle: str) -> None:
        """Close the export; after the last close its image may be removed."""
        with self._lock:
            export = self._open[handle]
            export.users -= 1
            if not export.users:
                del self._open[handle]
                export.image.close()
