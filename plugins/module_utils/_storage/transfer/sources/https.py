# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store served over HTTPS as a source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...._secrets import public_url
from ... import names
from ...format.pieces import Check
from ...store import catalogue, manifest
from ...store.catalogue import Entry
from ...store.manifest import Manifest
from ..http_client import SECONDS, Connection, Trust, require_whole
from .protocol import Reader


class HttpsSource:
    """Reads ``URL/index.json``, ``URL/HEX.json`` and ranges of ``URL/HEX.pieces`` and ``URL/HEX.qcow2``."""

    def __init__(self, url: str, trust: Trust, seconds: float = SECONDS) -> None:
        self.name = public_url(url)
        self._connection = Connection(url, trust, seconds)

    def catalogue(self) -> list[Entry]:
        """See Source."""
        data = self._connection.fetch(catalogue.FILE, catalogue.LARGEST_JSON)
        return catalogue.parse(data, f"{self.name} ({catalogue.FILE})")

    def manifest(self, digest: str) -> Manifest:
        """See Source."""
        below, listed = f"{names.hex_of(digest)}.json", f"{names.hex_of(digest)}.pieces"

        def read(offset: int, length: int, _check: Check) -> bytes:
            with self._connection.read_range(listed, offset, length) as response:
                found = response.read(length)
                require_whole(response, len(found), f"{self.name} ({listed})")
                return found

        return manifest.parse(self._connection.fetch(below, manifest.LARGEST_JSON), f"{self.name} ({below})", digest, read)

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        """See Source."""
        with self._connection.read_range(f"{names.hex_of(digest)}.qcow2", offset, length) as response:
            yield response

    def close(self) -> None:
        """See Source."""
        self._connection.close()
