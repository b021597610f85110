# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reads the recovery points that this host exports: hosts that have leases, and what is connected to the server.

A VM that is stopped, and whose host has no lease, is not seen: only its own host knows that it stands on the point.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .._errors import Busy
from .._generation import Generation
from .._runner import Runner
from .._storage.leasing.records import REFUSED, LeaseFolder
from .._storage.recovery.exports import Exports

LEASES = Path("/var/lib/edge/leases")


@dataclass(frozen=True)
class Readers:
    """Those of one host: its leases, and the connections to the port of its server, None where that has none."""

    leases: LeaseFolder
    runner: Runner
    port: int | None

    def of(self, uuid: str, name: str) -> Iterator[str]:
        """Yield what holds a recovery point: each host with a lease of it, and each address that is connected to the server."""
        for lease in self.leases.leases():
            if lease.point == (uuid, name) and lease.state != REFUSED:
                yield f"the host {lease.host} has a lease of it ({lease.lease})"
        yield from (f"{address} is connected to the server of exports" for address in self.connected())

    def connected(self) -> list[str]:
        """Return the addresses of the clients of the server."""
        if self.port is None:
            return []
        done = self.runner.run(["ss", "-H", "-t", "-n", "state", "established", "sport", "=", f":{self.port}"])
        peers = (line.split()[3] for line in done.stdout.splitlines() if len(line.split()) > 3)
        return sorted({_address(peer) for peer in peers})


def _address(peer: str) -> str:
    """Return the address in what ss prints of one end of a connection."""
    text = peer.rpartition(":")[0].strip("[]").partition("%")[0]
    found = ipaddress.ip_address(text)
    mapped = found.ipv4_mapped if found.version == 6 else None
    return str(mapped or found)


def refuse_while_read(exports: Exports, found: Generation, readers: Readers) -> None:
    """Raise Busy where a VM may stand on an export that is to end: it could not read its disks any more."""
    name, vm = found.name, found.vm
    held = list(readers.of(vm.uuid, name))
    if not held:
        return
    others = [f"{one.name} of {one.vm.name}" for one in exports.generations() if (one.vm.uuid, one.name) != (vm.uuid, name)]
    also = f" It also gives {', '.join(others)}, and which of them a client reads is not known." if others else ""
    raise Busy(
        f"end: a VM may still stand on {name} of the VM {vm.name}: {'; '.join(held)}.{also} Wait until edge-arrive.service of that "
        "host has brought the disks there, or give --force: a VM that reads this export then waits for its disks until it is "
        "exported again.",
        option="end",
        held=held,
    )
