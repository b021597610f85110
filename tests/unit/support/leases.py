# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and leases for tests: short ways to declare and to ask, and what must hold of every file."""

from __future__ import annotations

import sqlite3
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import LeaseRequest, NetworkRequest, ReleaseRequest
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import Moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.database import opened
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.lease_plan import Lease
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.leases import lease, release
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.networks import reconcile

NOW = Moment("boot", 1000.0, 1_800_000_000.0)
NETWORK = ("type", "cluster", "subnets", "gateway", "ranges", "holds", "reservations", "mac_prefix", "cool_down")
LEASE = ("nic", "ipv4", "ipv6", "mac", "families", "network")


def span(text: str, **more: Any) -> dict[str, Any]:
    """Return the options of a span such as ``192.0.2.2-192.0.2.9``."""
    first, _dash, last = text.partition("-")
    return {"start": first, "end": last or None, "subnet": None, **more}


def spans(*texts: str) -> list[dict[str, Any]]:
    return [span(text) for text in texts]


def network_request(name: str = "private", **options: Any) -> NetworkRequest:
    return NetworkRequest.checked({**dict.fromkeys(NETWORK), "state": "present", "name": name, **options})


def lease_request(vm: str, network: str | None = "private", **options: Any) -> LeaseRequest:
    return LeaseRequest.checked({**dict.fromkeys(LEASE), "vm": vm, "network": network, **options})


def declare(path: Path, name: str = "private", now: Moment = NOW, **options: Any) -> bool:
    return reconcile(path, network_request(name, **options), now, check=False).changed


def leased(path: Path, vm: str, now: Moment = NOW, *, check: bool = False, **options: Any) -> Lease:
    """Return the lease that a NIC got."""
    (found,) = lease(path, lease_request(vm, **options), now, check=check).after.values()
    return found


def released(path: Path, vm: str, now: Moment = NOW, **options: Any) -> bool:
    return release(path, ReleaseRequest.checked({**dict.fromkeys(LEASE), **options, "vm": vm}), now, check=False).changed


def address(found: Lease, version: int = 4) -> str | None:
    one = found.of(version)
    return str(one.address) if one else None


def require_sound(path: Path) -> None:
    """Fail unless the file is whole, each lease has its MAC address, and what is free is just what nobody has."""
    with opened(path, check=True) as database:
        tables = database.tables
        assert tables.rows("PRAGMA integrity_check") == [("ok",)]
        assert tables.rows("PRAGMA foreign_key_check") == []
        for name in tables.names():
            found = tables.network(name)
            assert found
            number, network = found
            used = [one.address for one in tables.all_used(number)]
            for family in (4, 6):
                free = network.free(family, sorted(int(one) for one in used if one.version == family))
                wanted = sorted((owner, interval) for owner, intervals in free for interval in intervals)
                assert sorted((owner, at) for version, owner, at in tables.free_intervals(number) if version == family) == wanted
        half = "SELECT lease.id FROM lease LEFT JOIN address ON address.lease = lease.id WHERE address.lease IS NULL"
        assert tables.rows(half) == []


def addresses_in(path: Path) -> list[str]:
    """Return all addresses that are leased."""
    connection = sqlite3.connect(path)
    try:
        return [str(ip_address(one)) for (one,) in connection.execute("SELECT address FROM address WHERE lease IS NOT NULL")]
    finally:
        connection.close()
