# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of a host's NBD server: each image under the hexadecimal part of its digest, read-only, arrived or not.

``HEX.json`` is the image's manifest. A VM reads its image from the server of its own hypervisor, which believes no other host: it
verifies each piece. That server reads from those of the replicas, so that each piece crosses the WAN once.

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

MANIFEST = ".json"


@dataclass
class _Export:
    """What is open under a name; the bytes are an image's, or those of its manifest."""

    image: ReadThrough
    sources: Sequence[Source]
    text: bytes | None
    users: int = 0

    def close(self) -> None:
        self.image.close()
        for source in self.sources:
            source.close()


@dataclass
class Exports:
    """The images of a store that clients have open; clients of one image share what was read.

    ``sources`` makes the sources of one image: they are closed with it, so that nothing is held on other hosts.
    """

    store: Store
    sources: Callable[[], Sequence[Source]]
    _open: dict[str, _Export] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def open(self, name: str) -> str:
        """Open the export ``name`` once more and return the handle for the calls below; raise NotFound if no source has it."""
        if not manifest.HEX.fullmatch(name.removesuffix(MANIFEST)):
            raise NotFound(
                f"The export {name!r:.100} does not exist; exports are named by the 64 hexadecimal digits of an image's digest, "
                f"those of manifests have {MANIFEST} at the end."
            )
        with self._lock:
            if name not in self._open:
                self._open[name] = self._opened(name)
            self._open[name].users += 1
        return name

    def _opened(self, name: str) -> _Export:
        self.store.prepare()
        sources = self.sources()
        image = ReadThrough(self.store, f"sha256:{name.removesuffix(MANIFEST)}", sources)
        return _Export(image, sources, image.manifest.to_json() if name.endswith(MANIFEST) else None)

    def size(self, handle: str) -> int:
        """Return the export's length in bytes."""
        export = self._open[handle]
        return export.image.size if export.text is None else len(export.text)

    def read(self, handle: str, offset: int, length: int) -> bytes:
        """Return exactly these bytes, verified."""
        export = self._open[handle]
        return export.image.read(offset, length) if export.text is None else export.text[offset : offset + length]

    def close(self, handle: str) -> None:
        """Close the export; after the last close its image may be removed."""
        with self._lock:
            export = self._open[handle]
            export.users -= 1
            if not export.users:
                del self._open[handle]
                export.close()
