# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host moves an image over the WAN: a pure rule that every host of a cluster applies alike.

Replicas have an order for each image (rendezvous hashing of its digest and their names, so that the work spreads and a new replica
changes little). The first one that is reachable moves the image; all others get it from that one, and hypervisors from peers and
replicas. Another host asks the Front-end only if no replica is reachable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from ..._cluster import Member


@dataclass(frozen=True)
class ObservedMember:
    """The state of a member: whether it answered, whether it has the image, and its error."""

    reachable: bool = False
    has: bool = False
    error: str = ""


@dataclass(frozen=True)
class Fetch:
    """Pull from these URLs, in order; ``wan`` says that they are the Front-end's."""

    urls: tuple[str, ...]
    wan: bool = False


@dataclass(frozen=True)
class Ask:
    """Ask this replica to have the image, and wait."""

    replica: Member


def ranked(digest: str, members: Iterable[Member], salt: str = "") -> list[Member]:
    """Return ``members`` in the order that belongs to an image; each ``salt`` gives another one, the same on every host."""
    return sorted(members, key=lambda member: hashlib.sha256(f"{digest}\0{salt}\0{member.name}".encode()).digest())


@dataclass(frozen=True)
class Situation:
    """One image as a host sees it: the replicas in the image's order, this host among them if it is one, and the chosen peers."""

    host: str
    replicas: tuple[Member, ...]
    peers: tuple[Member, ...]
    frontends: tuple[str, ...]

    def decide(self, observed: Mapping[str, ObservedMember], left: Set[str]) -> Fetch | Ask:
        """Return the next step. Members of ``left`` were tried and failed; no step names them again."""
        others = [member for member in self.replicas if member.name != self.host]
        holders = [
            one.url for one in (*self.peers, *others) if one.name not in left and observed.get(one.name, ObservedMember()).has
        ]
        if holders:
            return Fetch(tuple(holders))
        for replica in self._before():
            if replica.name not in left and observed.get(replica.name, ObservedMember()).reachable:
                return Ask(replica)
        return Fetch(self.frontends, wan=True)

    def _before(self) -> tuple[Member, ...]:
        """Return the replicas that come before this host in the order; for a host that is not a replica, all of them."""
        names = [member.name for member in self.replicas]
        return self.replicas[: names.index(self.host)] if self.host in names else self.replicas
