# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands by which addresses and routes go between a link and the bridge over it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..._errors import Conflict, NotFound, Refused, Unsupported
from ..._shown import few, nearest
from ..bridge.movable import in_order, refuse_held, refuse_tied, to_drop
from ..bridge.steps import AddBridge, AttachPort, Bridge, RemoveBridge, SetField
from ..link.cloud import OTHERWISE
from ..link.iproute import batch
from ..link.model import Host, Link
from ..link.routes import Address, Route, drop, put
from ..virtual.underlay import below

BY_CLIENT = ("dhcp", "ra")  # routes that the manager makes of a lease or an advertisement


@dataclass(frozen=True)
class Carried:
    """What a bridge and its port carry; ``mac`` is the card's, which the bridge takes, so that a lease stays the same."""

    bridge: str
    port: str
    mac: str
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]

    @property
    def expected(self) -> tuple[str, ...]:
        """The addresses that must be there after the change; those that the kernel makes of advertisements come by themselves."""
        held = [address for address in self.addresses if not address.dynamic or address.leased]
        return tuple(sorted(address.cidr for address in held))

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateways of the host's default routes over it."""
        return tuple(sorted({route.gateway for route in self.routes if route.is_default and route.gateway}))

    @property
    def to_bridge(self) -> str:
        """The lines of ``ip -batch`` that make the bridge and move all to it, without a moment in which the host lacks anything."""
        add = AddBridge(Bridge(self.bridge, mac=self.mac, forward_delay=0.0))
        attach = AttachPort(self.bridge, self.port, in_order(self.addresses), to_drop(self.addresses), self._movable)
        return batch((*add.commands, *SetField(self.bridge, "up", True).commands, *attach.commands))

    @property
    def to_port(self) -> str:
        """The lines that move all to the port and remove the bridge."""
        return batch(RemoveBridge(self.bridge, self.port, in_order(self.addresses), self._movable).commands)

    def rest(self, source: str, target: str) -> str:
        """Return the lines that move what a network manager does not know: static addresses and routes that were added by hand."""
        static = tuple(address for address in in_order(self.addresses) if not address.dynamic and not address.held)
        routes = tuple(route for route in self._movable if route.protocol not in BY_CLIENT)
        return batch((*(address.on(target) for address in static), *put(routes, target), *drop(to_drop(static), source)))

    @property
    def _movable(self) -> tuple[Route, ...]:
        return tuple(route for route in self.routes if not route.held)


def carried(host: Host, bridge: str, port: str, holder: str) -> Carried:
    """Return what ``holder``, the bridge or its port, carries."""
    link = host.links[holder]
    return Carried(bridge, port, host.links[port].mac, link.addresses, host.routes_of(holder))


def check_port(host: Host, bridge: str, port: str, *, begun: bool = False) -> Link:
    """Return the link that is to become the port, or raise an error that says why it cannot.

    ``begun`` says that boot files of ours make the bridge already: it may be there, empty, after a power cut between two of them.
    """
    link = host.links.get(port)
    if link is None:
        found = few(nearest(port, set(host.links) - {"lo", bridge}))
        raise NotFound(f"port: the link {port} does not exist on this host (found: {found}).", option="port", port=port)
    if link.kind == "bridge":
        raise Conflict(
            f"port: {port} is a bridge itself, which VMs can use as it is; edge.cloud.uplink did not make it.", option="port"
        )
    if link.master is not None:
        raise Conflict(f"port: {port} is a port of {link.master}; name that by port, or detach it there first.", option="port")
    if not link.ethernet or link.of_vm:
        raise Conflict(f"port: {port} is not an Ethernet link; a bridge cannot have it as a port.", option="port")
    empty = begun and bridge in host.links and host.links[bridge].kind == "bridge" and not host.ports(bridge)
    if bridge in host.links and not empty:
        raise Conflict(
            f"name: {bridge} exists and is not the bridge over {port}; choose another name or remove it first.", option="name"
        )
    refuse_tied(host, link, bridge)
    return link


def refuse_cloud(host: Host, port: str, cloud: str | None) -> None:
    """Raise Unsupported if the network of ``cloud`` would drop what VMs send by a bridge over ``port``."""
    if cloud and any(not link.kind and link.ethernet for link in below(host.links, port, tunnels=False)):
        raise Unsupported(
            f"port: {port} is in the network of {cloud}, which has no layer 2, and drops what comes from addresses of VMs; use"
            f" edge.cloud.nat_network, or edge.cloud.virtual_network with type: vxlan{OTHERWISE}.",
            option="port",
            cloud=cloud,
        )


def check_whole(host: Host, link: Link, to: str, *, leases: bool) -> None:
    """Raise Refused for what the kernel cannot put on another link whole, where no network manager makes it again."""
    refuse_held(host, link, "port", to)
    leased = [address.cidr for address in link.addresses if address.leased]
    if leased and not leases:
        raise Refused(
            f"port: {link.name} has the leased address {leased[0]}, but its configuration has no DHCP, so that nothing would renew"
            f" the lease on {to}; have it in the configuration first.",
            option="port",
        )


def check_removal(host: Host, bridge: str, port: str) -> None:
    """Raise an error where a bridge has more than its port."""
    others = [name for name in host.ports(bridge) if name != port]
    if others:
        raise Refused(
            f"state: {bridge} has further ports ({', '.join(others)}); stop or move those VMs, or detach them first.",
            option="state",
            ports=others,
        )
