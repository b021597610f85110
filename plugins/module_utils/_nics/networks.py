# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual networks of interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._compute.model.virtual_network import Networks, VirtualNetwork
from .._network.virtual import record
from .._network.virtual.iproute import Networking, Places
from .._network.virtual.listing import listing
from .._network.virtual.names import bridge_link
from .._runner import Runner
from .dhcp import HostDhcp

PLACES = Places()


@dataclass(frozen=True)
class HostNetworks(HostDhcp):
    """See NetworkTool; nothing is read before it is asked for."""

    runner: Runner
    places: Places = field(default_factory=lambda: PLACES)

    @property
    def record(self) -> str:
        """See NetworkTool."""
        return str(self.places.record)

    def here(self) -> Networks:
        """See NetworkTool."""
        found = listing(Networking(self.runner, self.places)) if self.places.record.exists() else ()
        return {one["name"]: _network(one["boot"], one["bridge"], one["mtu"]) for one in found if _of_vms(one["boot"])}

    def recorded(self, data: bytes, where: str) -> Networks:
        """See NetworkTool."""
        found = record.definitions(data, where)
        return {
            name: _network(one, one.get("bridge") or bridge_link(name), one.get("mtu"))
            for name, one in found.items()
            if _of_vms(one)
        }


def _of_vms(definition: Mapping[str, Any] | None) -> bool:
    """Return whether VMs can be in a network; there is no bridge over a link alone."""
    return definition is not None and not definition.get("bare")


def _network(definition: Mapping[str, Any], bridge: str | None, mtu: int | None) -> VirtualNetwork:
    return VirtualNetwork(str(definition["name"]), bridge, mtu, bool(definition.get("peers_isolated")), definition)
