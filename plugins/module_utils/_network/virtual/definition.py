# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition of a virtual network, which all hosts of a cluster share, checked once at the edge. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import combinations
from typing import Any

from ..._errors import InvalidInput, Unsupported
from ..._vlans import tagged
from ..link.addressing import link_name, mtu_bytes, network_name, subnet_of
from .names import PREFIXES

VNIS, VLANS, PORTS = (1, 0xFFFFFF), (1, 4094), (1, 65535)
PORT = 4789
MODULE = "virtual_network"
OF_TYPE = {
    "bridge": ("bridge", "vlan_filtering"),
    "isolated": ("vlan_filtering",),
    "vlan": ("vlan_id", "vlan_protocol", "underlay", "vlan_filtering", "vlans"),
    "vxlan": ("vni", "underlay", "members", "flood", "group", "local", "port", "software_checksums", "vlan_filtering", "vlans"),
}
OF_BRIDGE = ("vlan_filtering", "vlans")
PROTOCOLS = ("802.1Q", "802.1ad")
OF_LINKS = IPv4Network("224.0.0.0/24")  # of protocols between neighbours, such as OSPF
LINKS = ("vlan", "vxlan")  # modules of a link alone, and types of a network that has such a link below its bridge
OF_LINK = ("underlay", "mtu", "name", "state", "allow_disruption")
FLOODS = ("static", "multicast", "evpn")
WITHOUT_MEMBERS = {"multicast": "with a multicast group each host joins it", "evpn": "with EVPN the hosts tell each other by BGP"}
NO_EVPN_OVER_IPV6 = "is of IPv6, over which the FRR of Debian 12 and 13 makes no EVPN; use an address of IPv4, or flood: static."
NEEDED = {"vlan": ("vlan_id", "underlay"), "vxlan": ("vni", "underlay")}
ELSEWHERE = {
    "nat": "type: a NAT network is libvirt's, with DHCP and DNS; make it with edge.cloud.nat_network.",
    "routed": "type: routed networks are not made yet; use edge.cloud.nat_network, or type: bridge and a router outside.",
}
# The options of a module, or of one of a list, as Ansible knows them.
NETWORK: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "type": {"type": "str", "choices": ["bridge", "isolated", "nat", "routed", "vlan", "vxlan"]},
    "bridge": {"type": "str"},
    "vni": {"type": "int"},
    "vlan_id": {"type": "int"},
    "vlan_protocol": {"type": "str", "choices": [*PROTOCOLS]},
    "underlay": {"type": "str"},
    "members": {"type": "list", "elements": "str"},
    "flood": {"type": "str", "choices": ["static", "multicast", "evpn"]},
    "group": {"type": "str"},
    "local": {"type": "str"},
    "port": {"type": "int"},
    "software_checksums": {"type": "bool", "default": False},
    "vlan_filtering": {"type": "bool", "default": False},
    "vlans": {"type": "list", "elements": "str"},
    "mtu": {"type": "int"},
    "subnets": {"type": "list", "elements": "str"},
    "gateway": {"type": "list", "elements": "str"},
    "dns": {"type": "list", "elements": "str"},
    "dhcp": {"type": "bool", "default": False},
    "peers_isolated": {"type": "bool", "default": False},
    "allow_disruption": {"type": "bool", "default": False},
}


def link_options(kind: str) -> dict[str, dict[str, Any]]:
    """Return the options of the module of a link alone, as Ansible knows them."""
    return {option: NETWORK[option] for option in dict.fromkeys((*OF_LINK, *OF_TYPE[kind])) if option not in OF_BRIDGE}


Subnet = IPv4Network | IPv6Network


@lru_cache(1 << 16)
def parsed(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; networks of a cluster have the same ones, so that each is read once."""
    return ip_address(text)


@dataclass(frozen=True)
class Definition:
    """One network, in canonical form; what its type does not use is None or empty.

    A ``bare`` one is a single link without a bridge, which has the name of the definition.
    """

    name: str
    type: str
    bridge: str | None = None
    vni: int | None = None
    vlan_id: int | None = None
    vlan_protocol: str | None = None
    underlay: str | None = None
    members: tuple[str, ...] = ()
    flood: str | None = None
    group: str | None = None
    local: str | None = None
    port: int | None = None
    software_checksums: bool = False
    vlan_filtering: bool = False
    vlans: tuple[str, ...] = ()
    mtu: int | None = None
    subnets: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dhcp: bool = False
    peers_isolated: bool = False
    bare: bool = False

    @property
    def module(self) -> str:
        """The module of which it is."""
        return self.type if self.bare else MODULE

    @classmethod
    def checked(cls, options: Mapping[str, Any], where: str = "") -> Definition:
        """Return the canonical form of a user's options, or raise an error that begins with the path of the bad one.

        ``where`` is the path of the definition, such as ``networks[2].``, or empty.
        """
        return _Reader(options, where).definition()

    def over(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition as JSON, with what a newer version of edge.cloud wrote in ``found`` and this one does not know."""
        return {**{key: value for key, value in found.items() if key not in FIELDS}, **self.as_json()}

    def as_json(self) -> dict[str, Any]:
        """Return the definition as JSON, without what it does not use."""
        found = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        unused: tuple[Any, ...] = (None, [], False) if self.bare else (None, [])
        return {key: value for key, value in found.items() if value not in unused and (value or key != "bare")}


FIELDS = frozenset(one.name for one in fields(Definition))


@dataclass(frozen=True)
class Wanted:
    """What a user asked of one network: its definition, or None where it must not exist. ``where`` begins errors about it.

    ``module`` is who asked; a network and a link alone are not the same, even if they have one name.
    """

    name: str
    definition: Definition | None
    allow_disruption: bool = False
    where: str = ""
    module: str = MODULE

    @classmethod
    def checked(cls, options: Mapping[str, Any], where: str = "") -> Wanted:
        """Return the canonical form of a module's options."""
        name = _Reader(options, where).name()
        absent = options.get("state") == "absent"
        definition = None if absent else Definition.checked(options, where)
        return cls(name, definition, bool(options.get("allow_disruption")), where)

    @classmethod
    def link(cls, kind: str, options: Mapping[str, Any]) -> Wanted:
        """Return the canonical form of the options of the module of a link alone, ``vlan`` or ``vxlan``."""
        return replace(cls.checked({**options, "type": kind, "bare": True}), module=kind)


class _Reader:
    """Reads and checks the options of one network."""

    def __init__(self, options: Mapping[str, Any], where: str) -> None:
        self.options, self.where = options, where

    def bad(self, option: str, message: str, value: Any = None) -> InvalidInput:
        path = f"{self.where}{option}"
        return InvalidInput(f"{path}: {message}", option=path, value=value)

    def name(self) -> str:
        try:
            name = network_name(str(self.options["name"]))
            if self.options.get("bare"):
                link_name(name)
        except InvalidInput as error:
            raise self.bad("name", error.message.removeprefix("name: "), self.options["name"]) from None
        if self.options.get("bare") and name.startswith(PREFIXES):
            raise self.bad("name", f"{name} has a prefix of links of virtual networks; choose another.", name)
        return name

    def definition(self) -> Definition:
        kind = self._type()
        subnets = self._subnets()
        made = Definition(
            name=self.name(),
            type=kind,
            bridge=self._link("bridge"),
            vni=self._number("vni", VNIS),
            vlan_id=self._number("vlan_id", VLANS),
            vlan_protocol=self._protocol() if kind == "vlan" else None,
            underlay=self._link("underlay"),
            vlan_filtering=self._filtering(),
            vlans=self._vlans(),
            mtu=self._mtu(),
            subnets=tuple(map(str, subnets)),
            gateway=self._gateways(subnets),
            dns=tuple(dict.fromkeys(self._address("dns", text, place) for place, text in self._list("dns"))),
            dhcp=bool(self.options.get("dhcp")),
            peers_isolated=bool(self.options.get("peers_isolated")),
            bare=bool(self.options.get("bare")),
            **(self._flooding() if kind == "vxlan" else {}),
        )
        if made.dhcp and not subnets:
            raise self.bad("dhcp", "addresses cannot be given out without subnets; give subnets too.")
        return made

    def _type(self) -> str:
        kind = str(self.options.get("type"))
        if kind in ELSEWHERE:
            raise Unsupported(f"{self.where}{ELSEWHERE[kind]}", option=f"{self.where}type")
        if kind not in OF_TYPE:
            raise self.bad("type", f"{kind!r:.40} is not a type of network; use {', '.join(OF_TYPE)}.", kind)
        if self.options.get("bare") and kind not in LINKS:
            raise self.bad("type", f"{kind} is not a type of a link alone; use {' or '.join(LINKS)}.", kind)
        for option in {option for options in OF_TYPE.values() for option in options} - {*OF_TYPE[kind]}:
            value = self.options.get(option)
            if value is not None and value is not False and value != []:
                raise self.bad(option, f"a network of type {kind} has no such option.", value)
        for option in NEEDED.get(kind, ()):
            if self.options.get(option) is None:
                raise self.bad(option, f"a network of type {kind} needs it.")
        return kind

    def _number(self, option: str, allowed: tuple[int, int]) -> int | None:
        value = self.options.get(option)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not allowed[0] <= value <= allowed[1]:
            raise self.bad(option, f"{value!r:.40} is out of range; use {allowed[0]} to {allowed[1]}.", value)
        return value

    def _protocol(self) -> str:
        value = self.options.get("vlan_protocol") or PROTOCOLS[0]
        if value not in PROTOCOLS:
            raise self.bad("vlan_protocol", f"{value!r:.40} is unknown; use {' or '.join(PROTOCOLS)}.", value)
        return str(value)

    def _filtering(self) -> bool:
        value, bridge = bool(self.options.get("vlan_filtering")), self.options.get("bridge")
        if value and bridge is not None:
            raise self.bad(
                "vlan_filtering", f"the bridge {bridge} is there already, and is not changed; leave one of both out.", value
            )
        return value

    def _vlans(self) -> tuple[str, ...]:
        found = tagged([text for _place, text in self._list("vlans")], f"{self.where}vlans")
        if found and not self.options.get("vlan_filtering"):
            raise self.bad("vlans", "they are for vlan_filtering: true; without that, all VLANs pass.", list(found))
        return found

    def _mtu(self) -> int | None:
        value = self._number("mtu", (0, 1 << 31))
        try:
            return None if value is None else mtu_bytes(value)
        except InvalidInput as error:
            raise self.bad("mtu", error.message.removeprefix("mtu: "), value) from None

    def _link(self, option: str) -> str | None:
        value = self.options.get(option)
        if value is None:
            return None
        path = f"{self.where}{option}"
        name = link_name(str(value), path)
        if name.startswith(PREFIXES):
            raise self.bad(option, f"{name} has a prefix of links of virtual networks; name a link that is not one of them.", name)
        return name

    def _list(self, option: str) -> list[tuple[int, str]]:
        value = self.options.get(option) or ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.bad(option, f"{value!r:.40} is not a list.", value)
        return [(place, str(item).strip()) for place, item in enumerate(value)]

    def _address(self, option: str, text: str, place: int | None = None) -> str:
        path = option if place is None else f"{option}[{place}]"
        try:
            found = parsed(text)
        except ValueError:
            example = "239.1.2.3" if option == "group" else "192.0.2.10 or 2001:db8::10"
            raise self.bad(path, f"{text!r:.60} is not an IP address; write it alone, as {example}.", text) from None
        if getattr(found, "ipv4_mapped", None):
            raise self.bad(path, f"{text} stands for an IPv4 address; write that.", text)
        if option == "group":
            return str(found)
        if "%" in text or found.is_multicast or found.is_unspecified or found.is_loopback or str(found) == "255.255.255.255":
            raise self.bad(path, f"{text} is not the address of a host.", text)
        return str(found)

    def _flooding(self) -> dict[str, Any]:
        """Return the options of VXLAN that say where frames to unknown addresses go."""
        flood = self.options.get("flood") or "static"
        if flood not in FLOODS:
            raise self.bad("flood", f"{flood!r:.40} is unknown; use {', '.join(FLOODS)}.", flood)
        members = tuple(sorted({self._address("members", text, place) for place, text in self._list("members")}, key=_order))
        versions = {parsed(member).version for member in members}
        if len(versions) > 1:
            raise self.bad("members", "addresses of IPv4 and IPv6 are mixed; an underlay has one of them.", list(members))
        group = self._group(flood, members)
        local = None if self.options.get("local") is None else self._address("local", str(self.options["local"]))
        if flood == "evpn" and local and parsed(local).version == 6:
            raise Unsupported(f"{self.where}local: {local} {NO_EVPN_OVER_IPV6}", option=f"{self.where}local", value=local)
        known = {parsed(one).version for one in (local, group, *members[:1]) if one}
        if len(known) > 1:
            other = "group" if group else "members"
            raise self.bad("local", f"{local} is not of the same IP version as {other}.", local)
        return {
            "members": members,
            "flood": flood,
            "group": group,
            "local": local,
            "software_checksums": bool(self.options.get("software_checksums")),
            "port": PORT if self.options.get("port") is None else self._number("port", PORTS),
        }

    def _group(self, flood: str, members: tuple[str, ...]) -> str | None:
        value = self.options.get("group")
        if flood != "multicast" and value is not None:
            raise self.bad("group", "a multicast group is for flood: multicast.", value)
        if flood != "static" and members:
            raise self.bad("members", f"they are for flood: static; {WITHOUT_MEMBERS[flood]}.", list(members))
        if flood != "multicast":
            return None
        if value is None:
            raise self.bad("group", "flood: multicast needs the multicast group, such as 239.1.2.3.")
        group = self._address("group", str(value))
        if not parsed(group).is_multicast or _of_links(parsed(group)):
            raise self.bad("group", f"{group} is not a multicast group for networks; use one of 239.0.0.0/8 or ff05::/16.", group)
        return group

    def _subnets(self) -> list[Subnet]:
        found: list[Subnet] = []
        for place, text in self._list("subnets"):
            found.append(subnet_of(text, f"{self.where}subnets[{place}]"))
        for one, other in combinations(found, 2):
            if one.version == other.version and one.overlaps(other):
                raise self.bad("subnets", f"{one} and {other} overlap.", [str(one), str(other)])
        return found

    def _gateways(self, subnets: list[Subnet]) -> tuple[str, ...]:
        found: dict[int, str] = {}
        for place, text in self._list("gateway"):
            path = f"gateway[{place}]"
            address = parsed(self._address("gateway", text, place))
            subnet = next((one for one in subnets if address.version == one.version and address in one), None)
            if subnet is None:
                raise self.bad(path, f"{address} is in none of the subnets ({', '.join(map(str, subnets)) or 'none given'}).", text)
            if address in _of_no_host(subnet):
                raise self.bad(path, f"{address} is the first or last of {subnet}, which no host can have.", text)
            if address.version in found:
                raise self.bad(path, f"{found[address.version]} is the gateway of IPv{address.version} already; give one.", text)
            found[address.version] = str(address)
        return tuple(found[version] for version in sorted(found))


def _of_links(group: IPv4Address | IPv6Address) -> bool:
    """Return whether a multicast group is one of protocols between neighbours, or never leaves a host."""
    if isinstance(group, IPv4Address):
        return group in OF_LINKS
    flags, scope = divmod(group.packed[1], 16)
    return scope < 2 or (scope == 2 and not flags)  # RFC 4291: 0 is reserved, 1 the host, 2 the link


def _of_no_host(subnet: Subnet) -> Iterator[Any]:
    if subnet.version == 4 and subnet.prefixlen < 31:
        yield from (subnet.network_address, subnet.broadcast_address)
    if subnet.version == 6 and subnet.prefixlen < 127:  # the subnet-router anycast address
        yield subnet.network_address


def _order(text: str) -> tuple[int, int]:
    found = parsed(text)
    return found.version, int(found)
