# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists networks with their usage, leases and addresses that cool down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..link.addressing import network_name
from .asked import FAMILIES
from .clock import Moment
from .database import opened
from .definition import ANYONE, Network
from .intervals import Address
from .leases import leases_of, set_cooled_free
from .tables import Row, Tables
from .usage import cools, usage
from .values import address_of, vm_name


@dataclass(frozen=True)
class Listed:
    """What is to be listed: all, or only that of a network, a VM or an address."""

    network: str | None = None
    vm: str | None = None
    address: Address | None = None

    @classmethod
    def checked(cls, options: dict[str, Any]) -> Listed:
        """Return the request, or raise InvalidInput."""
        network, vm, address = options["network"], options["vm"], options["address"]
        return cls(
            network=None if network is None else network_name(network, "network"),
            vm=None if vm is None else vm_name(vm, "vm"),
            address=None if address is None else address_of(address, "address"),
        )


def listing(path: Path, asked: Listed, now: Moment) -> dict[str, list[dict[str, Any]]]:
    """Return networks, leases and what cools down, all of one instant; nothing where the file does not exist."""
    if not path.exists():
        return {"networks": [], "leases": [], "cooling": []}
    with opened(path, check=True) as database:
        tables = database.tables
        passed = tables.passed(now)
        for row in filter(None, map(tables.network_row, tables.names())):
            while set_cooled_free(tables, row, passed):
                pass
        names = [name for name in tables.names() if asked.network in (None, name)]
        leases = [
            one for one in leases_of(tables, asked.vm, asked.network) if _has(asked, [held.address for held in one.addresses])
        ]
        return {
            "networks": [_network(tables, *found, passed) for name in names if (found := tables.network(name))],
            "leases": [one.view() for one in leases],
            "cooling": [
                one for row in filter(None, map(tables.network_row, names)) for one in _cooling(tables, row, asked, passed)
            ],
        }


def _has(asked: Listed, addresses: list[Address]) -> bool:
    return asked.address is None or asked.address in addresses


def _network(tables: Tables, number: int, network: Network, passed: float) -> dict[str, Any]:
    families = {
        family: version for family, version in FAMILIES.items() if any(one.subnet.version == version for one in network.subnets)
    }
    row = Row(number, network.name, "", network.cool_down)
    free = {family: tables.lowest_free(row, version, ANYONE) for family, version in families.items()}
    return {
        **network.view(),
        "usage": {family: asdict(usage(tables, number, network, version, passed)) for family, version in families.items()},
        "next_free": {family: str(address) if address else None for family, address in free.items()},
    }


def _cooling(tables: Tables, row: Row, asked: Listed, passed: float) -> list[dict[str, Any]]:
    return [
        {"network": row.name, "address": str(one.address), "vm": one.vm, "nic": one.nic, "seconds": round(left)}
        for one in tables.all_used(row.id)
        if (left := cools(one, row.cool_down, passed)) and asked.vm in (None, one.vm) and _has(asked, [one.address])
    ]
