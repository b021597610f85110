# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of a host as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .routes import Address, Route

DHCP_MARK = "edge.cloud dhcp "  # the alias of the port of a DHCP service begins so


@dataclass(frozen=True)
class Link:
    """One network interface; ``data`` has what ip(8) says of its kind, such as the id of a VLAN.

    The kernel gives no ``index`` twice. An ``isolated`` port of a bridge sends nothing to others that are; ``learns`` is False of a
    port behind which its bridge learns no addresses.
    """

    name: str
    kind: str = ""
    master: str | None = None
    mtu: int = 1500
    mac: str = ""
    up: bool = False
    addresses: tuple[Address, ...] = ()
    stp: bool = False
    forward_delay: float = 15.0
    vlan_filtering: bool = False
    altnames: tuple[str, ...] = ()
    permanent_mac: str = ""
    ethernet: bool = True
    lower: str = ""
    token: str = ""
    alias: str = ""
    group: str = "default"
    multicast: bool = True
    index: int = 0
    isolated: bool = False
    learns: bool = True
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def of_vm(self) -> bool:
        """True for tap devices, which belong to VMs (libvirt calls them vnet…)."""
        return self.kind == "tun"

    @property
    def of_dhcp(self) -> bool:
        """True for the port of a DHCP service of ours, whose other end forwards nothing."""
        return self.kind == "veth" and self.alias.startswith(DHCP_MARK)


@dataclass(frozen=True)
class Rule:
    """A rule of policy routing that names a link."""

    dev: str
    text: str


@dataclass(frozen=True)
class Host:
    """The links and routes of a host at one moment, and the rules that name a link."""

    links: dict[str, Link] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()

    def ports(self, bridge: str) -> tuple[str, ...]:
        """Return the names of the links whose master is ``bridge``, sorted."""
        return tuple(sorted(link.name for link in self.links.values() if link.master == bridge))

    def vm_ports(self, bridge: str) -> tuple[str, ...]:
        """Return those ports of ``bridge`` that belong to VMs."""
        return tuple(name for name in self.ports(bridge) if self.links[name].of_vm)

    def routes_of(self, dev: str) -> tuple[Route, ...]:
        """Return the routes over ``dev``."""
        return tuple(route for route in self.routes if route.dev == dev)
