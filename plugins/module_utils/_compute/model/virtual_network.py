# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual network as far as interfaces need it: what it is made of is not a concern of a domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class VirtualNetwork:
    """A network that a host makes: the ``bridge`` of its VMs, None where it is not there now, and the largest packet in bytes.

    ``mtu`` is None where it is not known. ``definition`` is what makes the network, as its module takes it.
    """

    name: str
    bridge: str | None
    mtu: int | None
    peers_isolated: bool = False
    definition: Mapping[str, Any] = field(default_factory=dict)


Networks = Mapping[str, VirtualNetwork]


class DhcpTool(Protocol):
    """Reads what VMs are told by DHCP."""

    def told(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """Return what DHCP services of this host tell VMs: (bridge, MAC address) → addresses with their prefix length."""


class NetworkTool(DhcpTool, Protocol):
    """Reads virtual networks; ``record`` is the file of a host that has their definitions."""

    @property
    def record(self) -> str:
        """The path of the file."""

    def here(self) -> Networks:
        """Return the networks that this host makes, as they are now."""

    def recorded(self, data: bytes, where: str) -> Networks:
        """Return the networks of another host's file, each with the bridge and the MTU that its definition names."""


class NoNetworks:
    """The networks of who asks for none."""

    record = ""

    def here(self) -> Networks:
        """See NetworkTool."""
        return {}

    def recorded(self, data: bytes, where: str) -> Networks:  # noqa: ARG002 - the interface's
        """See NetworkTool."""
        return {}

    def told(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """See DhcpTool."""
        return {}
