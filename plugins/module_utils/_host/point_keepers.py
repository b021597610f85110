# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks replicas, over TLS with this host's certificate, what recovery points they keep of a VM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._cluster import Member
from .._errors import Corrupt, NotFound
from .._generation import Generation, Point
from .._storage.replication.offers import Offer, Offers
from .._storage.transfer.http_client import Trust


@dataclass
class TlsKeepers:
    """See ``Keepers``; ``members`` has each replica with the URL at which it gives its points."""

    members: Mapping[str, Member]
    trust: Trust
    _open: dict[str, Offers] = field(default_factory=dict)

    def holds(self, member: str, generation: Generation) -> bool:
        """Return whether a replica lists this point with the same content, however its chains are merged there."""
        offer = Offer(generation.vm.uuid, generation.point, kept=True)
        try:
            return self._of(member).document(offer).content == generation.content
        except (NotFound, Corrupt):
            return False

    def newest(self, member: str, uuid: str) -> Point | None:
        """Return the newest point that a replica keeps of a VM, None for none."""
        return max(self._of(member).kept(uuid), default=None)

    def _of(self, member: str) -> Offers:
        if member not in self._open:
            self._open[member] = Offers(self.members[member], self.trust)
        return self._open[member]

    def close(self) -> None:
        """Close the connections."""
        for one in self._open.values():
            one.close()
