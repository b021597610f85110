# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service of a network answers, checked once at the edge: only what has one fixed form gets into dnsmasq's files. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from ..._errors import InvalidInput, about_option
from ..link.addressing import domain_name, host_name, link_name, mac_address, mtu_bytes, network_name
from .names import service_mac

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
LEASE_SECONDS = 3600
SHORTEST, LONGEST = 120, 30 * 24 * 3600  # dnsmasq takes no shorter lease
MOST_ROUTES, MOST_SERVERS = 16, 8  # the bytes of a DHCP option are few


@dataclass(frozen=True)
class Route:
    """A route that VMs get (DHCPv4 only)."""

    to: str
    via: str


@dataclass(frozen=True)
class Subnet:
    """A subnet of the network; ``address`` is that of the service, on every host."""

    subnet: str
    address: str
    gateway: str | None = None
    routes: tuple[Route, ...] = ()

    @property
    def network(self) -> Network:
        """The subnet as addresses."""
        return ip_network(self.subnet)

    @property
    def interface(self) -> str:
        """The service's address with its prefix length."""
        return f"{self.address}/{self.network.prefixlen}"


@dataclass(frozen=True)
class Host:
    """A NIC of a VM; the VM's name serves people only, ``hostname`` is its name in DNS."""

    name: str
    mac: str
    addresses: tuple[str, ...]
    hostname: str


@dataclass(frozen=True)
class Definition:
    """The service of one network, in canonical form."""

    name: str
    bridge: str
    subnets: tuple[Subnet, ...]
    hosts: tuple[Host, ...] = ()
    dns: tuple[str, ...] = ()
    domain: str | None = None
    mtu: int | None = None
    forwarders: tuple[str, ...] = ()
    lease_seconds: int = LEASE_SECONDS

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> Definition:
        """Return the canonical form of a user's options, or raise InvalidInput that begins with the path of the bad one."""
        if not options.get("bridge") or not options.get("subnets"):
            option = "subnets" if options.get("bridge") else "bridge"
            raise InvalidInput(f"{option}: the service needs it; give the network's {option}.", option=option)
        found = cls(
            name=network_name(str(options["name"])),
            bridge=link_name(str(options["bridge"]), "bridge"),
            subnets=_subnets(options["subnets"]),
            hosts=_hosts(options.get("hosts") or ()),
            dns=_servers(options.get("dns") or (), "dns"),
            domain=domain_name(options["domain"]) if options.get("domain") else None,
            mtu=None if options.get("mtu") is None else mtu_bytes(options["mtu"]),
            forwarders=_servers(options.get("forwarders") or (), "forwarders"),
            lease_seconds=_lease(options.get("lease_seconds")),
        )
        _refuse_clashes(found)
        _require_mtu(found)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the definition as JSON; ``checked`` takes it again."""
        return asdict(self)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateways of all subnets."""
        return tuple(subnet.gateway for subnet in self.subnets if subnet.gateway)


def _address(text: Any, option: str) -> Address:
    try:
        found = ip_address(str(text).strip())
    except ValueError:
        raise InvalidInput(f"{option}: {text!r} is not an address; write it as 192.0.2.1 or 2001:db8::1.", option=option) from None
    if isinstance(found, IPv6Address) and (found.scope_id or found.ipv4_mapped):
        raise InvalidInput(f"{option}: {text!r} has a zone or is IPv4 within IPv6; give a plain address.", option=option)
    if found.is_multicast or found.is_unspecified or found.is_loopback or found.is_link_local:
        raise InvalidInput(f"{option}: {found} is multicast, loopback, link-local or unspecified; no host has it.", option=option)
    return found


def _network(text: Any, option: str) -> Network:
    try:
        return ip_network(str(text).strip())
    except ValueError as error:
        raise InvalidInput(f"{option}: {text!r} is not a subnet ({error}); write it as 192.0.2.0/24.", option=option) from None


def _inside(text: Any, network: Network, option: str) -> str:
    """Return an address that a host can have in a subnet."""
    found = _address(text, option)
    if found not in network or found in (network.network_address, network.broadcast_address):
        raise InvalidInput(f"{option}: no host can have the address {found} in {network}; use another of it.", option=option)
    return str(found)


def _subnets(items: Sequence[Mapping[str, Any]]) -> tuple[Subnet, ...]:
    found: list[Subnet] = []
    for place, item in enumerate(items):
        option = f"subnets[{place}]"
        made = _subnet(item, option)
        other = next((one for one in found if _overlap(one.network, made.network)), None)
        if other:
            raise InvalidInput(f"{option}.subnet: {made.subnet} overlaps {other.subnet}; keep one.", option=f"{option}.subnet")
        found.append(made)
    return tuple(found)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _subnet(item: Mapping[str, Any], option: str) -> Subnet:
    network = _network(item.get("subnet"), f"{option}.subnet")
    low, high = (8, 30) if network.version == 4 else (64, 126)
    if not low <= network.prefixlen <= high or network.is_multicast or network.is_loopback or network.is_link_local:
        raise InvalidInput(
            f"{option}.subnet: {network} must be unicast with a prefix length of {low} to {high}.", option=f"{option}.subnet"
        )
    address = _inside(item.get("address"), network, f"{option}.address")
    gateway = None if item.get("gateway") is None else _inside(item["gateway"], network, f"{option}.gateway")
    if gateway == address:
        raise InvalidInput(
            f"{option}.gateway: {gateway} is the address of the service, which forwards nothing; name the router.",
            option=f"{option}.gateway",
        )
    routes = item.get("routes") or ()
    if routes and (network.version == 6 or len(routes) > MOST_ROUTES):
        raise InvalidInput(
            f"{option}.routes: DHCP tells at most {MOST_ROUTES} routes, and only of IPv4; IPv6 routes come from the router.",
            option=f"{option}.routes",
        )
    return Subnet(
        str(network), address, gateway, tuple(_route(one, network, f"{option}.routes[{at}]") for at, one in enumerate(routes))
    )


def _route(item: Mapping[str, Any], network: Network, option: str) -> Route:
    to = _network(item.get("to"), f"{option}.to")
    if to.version != 4:
        raise InvalidInput(f"{option}.to: {to} is not IPv4.", option=f"{option}.to")
    return Route(str(to), _inside(item.get("via"), network, f"{option}.via"))


def _hosts(items: Sequence[Mapping[str, Any]]) -> tuple[Host, ...]:
    return tuple(sorted((_host(item, f"hosts[{place}]") for place, item in enumerate(items)), key=lambda host: host.mac))


def _host(item: Mapping[str, Any], option: str) -> Host:
    name = str(item.get("name") or "")
    with about_option(f"{option}.name"):
        if not 1 <= len(name) <= 255 or not name.isprintable():
            raise InvalidInput(f"{name!r:.80} is not the name of a VM.")
    asked, path = (item["hostname"], "hostname") if item.get("hostname") else (name, "name")
    try:
        hostname = host_name(str(asked), f"{option}.{path}")
    except InvalidInput as error:
        if path == "name":
            error.message += " Or give it one by hostname."
        raise
    mac = mac_address(str(item.get("mac") or ""), f"{option}.mac")
    addresses = [_address(text, f"{option}.addresses[{at}]") for at, text in enumerate(item.get("addresses") or ())]
    for version in (4, 6):
        if sum(address.version == version for address in addresses) > 1:
            raise InvalidInput(
                f"{option}.addresses: DHCP gives a NIC one IPv{version} address; keep one of them.", option=f"{option}.addresses"
            )
    if not addresses:
        raise InvalidInput(f"{option}.addresses: the NIC {mac} has none; give its address.", option=f"{option}.addresses")
    return Host(name, mac, tuple(map(str, sorted(addresses, key=lambda address: address.version))), hostname)


def _servers(items: Sequence[Any], option: str) -> tuple[str, ...]:
    if len(items) > MOST_SERVERS:
        raise InvalidInput(f"{option}: {len(items)} servers are more than the {MOST_SERVERS} that fit.", option=option)
    return tuple(str(_address(text, f"{option}[{place}]")) for place, text in enumerate(items))


def _lease(seconds: int | None) -> int:
    if seconds is None:
        return LEASE_SECONDS
    if not SHORTEST <= seconds <= LONGEST:
        raise InvalidInput(
            f"lease_seconds: {seconds} is out of range; use {SHORTEST} to {LONGEST} seconds.", option="lease_seconds"
        )
    return seconds


def _require_mtu(found: Definition) -> None:
    if found.mtu is not None and found.mtu < 1280 and any(subnet.network.version == 6 for subnet in found.subnets):
        raise InvalidInput(f"mtu: {found.mtu} is too small for IPv6, which needs 1280.", option="mtu")


def _refuse_clashes(found: Definition) -> None:
    """Raise InvalidInput where two things have one address, MAC or name; the message names both."""
    taken: dict[str, str] = {service_mac(found.name): "the service"}
    for subnet in found.subnets:
        taken |= {subnet.address: "the service"} | ({subnet.gateway: "the gateway"} if subnet.gateway else {})
    named: dict[str, str] = {}
    for host in found.hosts:
        for what in (host.mac, *host.addresses):
            if what in taken:
                raise InvalidInput(f"hosts: {what} of the VM {host.name} belongs to {taken[what]} already.", option="hosts")
            taken[what] = f"the VM {host.name}"
        for address in host.addresses:
            subnet_of = next((one for one in found.subnets if ip_address(address) in one.network), None)
            if subnet_of is None:
                shown = ", ".join(one.subnet for one in found.subnets)
                raise InvalidInput(f"hosts: {address} of the VM {host.name} is in no subnet of {shown}.", option="hosts")
            _inside(address, subnet_of.network, "hosts")
        if named.setdefault(host.hostname, host.name) != host.name:
            raise InvalidInput(
                f"hosts: the VMs {named[host.hostname]} and {host.name} both have the host name {host.hostname}.", option="hosts"
            )
