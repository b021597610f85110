# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a network's addresses is used by whom, counted without looking at each address of a range."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..._errors import Conflict, EdgeError
from .definition import ANYONE, Network
from .intervals import Interval, inside, merged, size, without
from .tables import Row, Tables, Used
from .values import FAMILY


@dataclass(frozen=True)
class Usage:
    """Numbers of addresses: ``size`` is the sum of those below it up to ``free``, ``outside`` are leases of none of its ranges."""

    size: int
    leased: int
    held: int
    reserved: int
    cooling: int
    free: int
    outside: int


def usage(tables: Tables, number: int, network: Network, family: int, passed: float) -> Usage:
    """Return the usage of a family."""
    used = [one for one in tables.all_used(number) if one.address.version == family]
    whole = to_give(network, family)
    within = [one for one in used if inside(whole, int(one.address))]
    leased = sum(one.lease is not None for one in within)
    cooling = sum(cools(one, network.cool_down, passed) > 0 for one in within)
    over = [
        network.owner(one.address) for one in within if one.released is not None and not cools(one, network.cool_down, passed) > 0
    ]
    free, reserved = over.count(ANYONE), sum(bool(owner) for owner in over)
    for version, owner, (first, last) in tables.free_intervals(number):
        if version == family and owner == ANYONE:
            free += last - first + 1
        elif version == family:
            reserved += last - first + 1
    total = size(whole)
    held = total - leased - cooling - free - reserved
    return Usage(total, leased, held, reserved, cooling, free, sum(one.lease is not None for one in used) - leased)


def to_give(network: Network, family: int) -> list[Interval]:
    """Return the addresses of all ranges and reservations of a family that a VM can have, also those that are leased."""
    spans = [*(span for one in network.subnets for span in one.ranges), *(one.span for one in network.reservations)]
    specials = [address for one in network.subnets for address in one.specials]
    never = [(int(address), int(address)) for address in specials if address.version == family]
    return without(merged(span.interval for span in spans if span.version == family), never)


def cools(used: Used, cool_down: int, passed: float) -> float:
    """Return for how many more seconds an address cools down, 0 if it does not."""
    return 0.0 if used.released is None else max(0.0, used.released + cool_down - passed)


def exhausted(tables: Tables, row: Row, family: int, passed: float) -> EdgeError:
    """Return the error that a network has no free address."""
    number, network = tables.network(row.name) or (row.id, Network(row.name, ""))
    found = usage(tables, number, network, family, passed)
    soonest = [
        left for one in tables.all_used(number) if one.address.version == family and (left := cools(one, row.cool_down, passed))
    ]
    first = f" (the first for {min(soonest):.0f} more seconds)" if soonest else ""
    return Conflict(
        f"network: {row.name} has no free {FAMILY[family]} address. Its ranges and reservations have {found.size}: "
        f"{found.leased} leased, {found.held} held, {found.reserved} reserved for other VMs, {found.cooling} cooling down{first}. "
        "Release leases, widen a range or lower cool_down (edge.cloud.address_network).",
        option="network",
        network=row.name,
        **asdict(found),
    )
