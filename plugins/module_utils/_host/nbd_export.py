# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of a host's NBD server: each image under the hexadecimal part of its digest, read-only, arrived or not.

``HEX.json`` is the image's manifest, ``HEX.pieces`` its list of pieces. A VM reads its image from the server of its own hypervisor,
which believes no other host: it verifies each piece. That server reads from those of the replicas, so that each piece crosses the
WAN once.

The server is nbdkit, which does TLS with client certificates; its plugin is a few lines over this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from .._errors import NotFound
from .._storage.store import manifest
from .._storage.store.store import Store
from .._storage.transfer.read_through import ReadThrough
from .._storage.transfer.sources.protocol import Source

MANIFEST, PIECES = ".json", ".pieces"


@dataclass
class _Export:
    """What is open: ``size`` bytes, an image's, or those of its manifest or of its list of pieces."""

    image: ReadThrough
    sources: Sequence[Source]
    size: int
    read: Callable[[int, int], bytes]

    def close(self) -> None:
        self.image.close()
        for source in self.sources:
            source.close()


@dataclass
class _Name:
    """An export's name while clients have it open or open it; ``opening`` is held by the one that opens it for all of them."""

    users: int = 0
    export: _Export | None = None
    opening: Lock = field(default_factory=Lock)


@dataclass
class Exports:
    """The images of a store that clients have open; clients of one image share what was read.

    ``sources`` makes the sources of one image: they are closed with it, so that nothing is held on other hosts.
    """

    store: Store
    sources: Callable[[], Sequence[Source]]
    _names: dict[str, _Name] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def open(self, name: str) -> str:
        """Open the export ``name`` once more and return the handle for the calls below; raise NotFound if no source has it."""
        if not manifest.HEX.fullmatch(_hex_of(name)):
            raise NotFound(
                f"The export {name!r:.100} does not exist; exports are named by the 64 hexadecimal digits of an image's digest, "
                f"those of manifests have {MANIFEST} at the end, those of lists of pieces {PIECES}."
            )
        with self._lock:
            known = self._names.setdefault(name, _Name())
            known.users += 1
        try:
            with known.opening:  # sources may be slow: who waits for them delays this name only
                if known.export is None:
                    known.export = self._opened(name)
        except BaseException:
            self.close(name)
            raise
        return name

    def _opened(self, name: str) -> _Export:
        self.store.prepare()
        sources = self.sources()
        try:
            image = ReadThrough(self.store, f"sha256:{_hex_of(name)}", sources)
        except BaseException:
            for source in sources:
                source.close()
            raise
        if name.endswith(PIECES):
            return _Export(image, sources, image.manifest.pieces.length, image.manifest.pieces.part)
        if name.endswith(MANIFEST):
            text = image.manifest.to_json()
            return _Export(image, sources, len(text), lambda offset, length: text[offset : offset + length])
        return _Export(image, sources, image.size, image.read)

    def size(self, handle: str) -> int:
        """Return the export's length in bytes."""
        return self._export(handle).size

    def read(self, handle: str, offset: int, length: int) -> bytes:
        """Return exactly these bytes, verified."""
        return self._export(handle).read(offset, length)

    def _export(self, handle: str) -> _Export:
        export = self._names[handle].export
        if export is None:
            raise NotFound(f"The export {handle} is not open yet.")
        return export

    def close(self, handle: str) -> None:
        """Close the export; after the last close its image may be removed. It waits for no open."""
        with self._lock:
            known = self._names[handle]
            known.users -= 1
            if known.users:
                return
            del self._names[handle]
        if known.export:
            known.export.close()


def _hex_of(name: str) -> str:
    return name.removesuffix(MANIFEST) if name.endswith(MANIFEST) else name.removesuffix(PIECES)
