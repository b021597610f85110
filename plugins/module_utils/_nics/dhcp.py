# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the DHCP services of this host tell VMs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from .._errors import EdgeError
from .._json import load_object
from .._network.dhcp.definition import Definition
from .._network.dhcp.places import DEFINITION, LIMIT, Places

PLACES = Places()


@dataclass(frozen=True, kw_only=True)
class HostDhcp:
    """See DhcpTool; nothing is read before it is asked for."""

    dhcp: Places = field(default_factory=lambda: PLACES)

    def told(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """See DhcpTool."""
        return {key: addresses for path in sorted(self.dhcp.files.glob(f"*/{DEFINITION}")) for key, addresses in _told(path)}


def _told(path: Path) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """Yield what the service of one file tells; of one that cannot be read nothing is known."""
    try:
        found = Definition.checked({**load_object(path.read_bytes(), str(path), LIMIT), "name": path.parent.name})
    except (EdgeError, OSError):
        return
    lengths = [subnet.network for subnet in found.subnets]
    for host in found.hosts:
        each = [(address, next(net for net in lengths if ip_address(address) in net)) for address in host.addresses]
        yield (found.bridge, host.mac), tuple(f"{address}/{net.prefixlen}" for address, net in each)
