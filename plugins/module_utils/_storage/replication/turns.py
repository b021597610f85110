# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replica takes a VM's recovery points: a pure rule that every replica of a cluster applies alike.

A VM asks for a number of replicas. The replicas, without the VM's own host, have an order for each VM (rendezvous hashing of its
UUID and their names). The first ones take a point at once. One that comes later takes only what still lies on the VM's host after
a while: that host removes a point as soon as enough replicas have it, so then one of those before is down or full.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..._cluster import Member
from ..._recovery_policy import Policy
from ..cluster.pull_policy import ranked

PATIENCE = 2  # intervals


def rank(uuid: str, replicas: Iterable[Member], maker: str, own: str) -> int:
    """Return the place of the replica ``own``, from 0, in the order of the VM that runs on the host ``maker``."""
    names = [member.name for member in ranked(uuid, (one for one in replicas if one.name != maker))]
    return names.index(own) if own in names else len(names)


def is_due(policy: Policy, place: int, age: float) -> bool:
    """Return whether the replica in this place takes a point that is so many seconds old; each later one waits longer."""
    late = place - policy.replicas + 1
    return late <= 0 or age >= late * PATIENCE * policy.interval
