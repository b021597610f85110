# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks other hosts, over TLS with this host's certificate, whether they hold a recovery point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._errors import Corrupt, NotFound
from .._generation import LARGEST_JSON, Generation, parse
from .._storage.transfer.http_client import Connection, Trust

SECONDS = 10.0


@dataclass
class HttpHolds:
    """See ``Holds``; ``urls`` has for each host the URL below which its points are, ``points/UUID/EPOCH.NUMBER.json``."""

    urls: Mapping[str, str]
    trust: Trust
    _open: dict[str, Connection] = field(default_factory=dict)

    def __call__(self, member: str, generation: Generation) -> bool:
        """Return whether a host lists this point with the same content, however its chains are merged there."""
        if member not in self._open:
            self._open[member] = Connection(self.urls[member], self.trust, SECONDS)
        below = f"points/{generation.vm.uuid}/{generation.name}.json"
        try:
            found = parse(self._open[member].fetch(below, LARGEST_JSON), f"{member}: {below}")
        except (NotFound, Corrupt):
            return False
        return found.point == generation.point and found.content == generation.content

    def close(self) -> None:
        """Close the connections."""
        for one in self._open.values():
            one.close()
