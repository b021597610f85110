# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of virtual networks, as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from ipaddress import ip_interface
from typing import Any

from ..link.model import Link
from .definition import MODULE
from .names import MAKING, links_of, mac_of, mark, marked_for

Record = Mapping[str, Mapping[str, Any]]  # the definitions that are made at boot, by name


@dataclass(frozen=True)
class Peer:
    """Where a VXLAN link floods frames to; only an entry of others has more than the address."""

    dst: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tap:
    """A port of a VM: its network, the device's ``index``, which no later device has, and whether it is isolated from others.

    ``vlans`` are what passes it, if its bridge tells VLANs apart.
    """

    network: str
    index: int
    isolated: bool = False
    vlans: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """A host at one moment: its links, where VXLAN links flood to, what is made at boot, its identity and limit of groups.

    ``learned`` has what VXLAN links learned: pairs of a MAC address and the host behind which it is. ``ipv6`` is False where the
    kernel has none at all. ``in_software`` are the VXLAN links whose checksums the kernel computes, not the card. ``vlans`` has
    what passes VLAN-aware bridges and their ports. ``cloud`` is the one without layer 2 that the host is in.
    """

    links: Mapping[str, Link]
    peers: Mapping[str, tuple[Peer, ...]] = field(default_factory=dict)
    learned: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    record: Record = field(default_factory=dict)
    machine_id: str = ""
    most_groups: int = 20
    ipv6: bool = True
    in_software: frozenset[str] = frozenset()
    vlans: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cloud: str | None = None

    @cached_property
    def by_alias(self) -> Mapping[str, list[Link]]:
        """The links that have an alias, by it."""
        return _grouped((link.alias, link) for link in self.links.values())

    @cached_property
    def by_master(self) -> Mapping[str, list[Link]]:
        """The links that are ports, by their master."""
        return _grouped((link.master or "", link) for link in self.links.values())

    @cached_property
    def addressed(self) -> Mapping[str, str]:
        """The host's addresses, with the link that has each."""
        return {address: link.name for link in self.links.values() for address in addresses_of(link)}

    @cached_property
    def by_other_name(self) -> Mapping[str, str]:
        """The names of links by their further names, which the kernel takes as well."""
        return {other: link.name for link in self.links.values() for other in link.altnames}

    def networks(self) -> list[str]:
        """Return the names of all networks that the host has, or makes at boot."""
        marked = {marked_for(link.alias) for link in self.links.values()} - {None}
        return sorted({*(name for name in marked if name), *self.record})

    def ours(self, network: str) -> list[Link]:
        """Return the links of a network: those with its mark, and those that a killed run made and could not mark yet."""
        named = [self.links[name] for name in (*links_of(network), network) if name in self.links]
        unmarked = [link for link in named if unfinished(link, self.machine_id)]
        return [*self.by_alias.get(mark(network), ()), *unmarked]


def _grouped(items: Iterable[tuple[str, Link]]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for key, link in items:
        if key:
            found.setdefault(key, []).append(link)
    return found


def addresses_of(link: Link) -> list[str]:
    """Return the addresses of a link that last, without prefix length."""
    return [_address(one.cidr) for one in link.addresses if not one.temporary]


@lru_cache(1 << 12)
def _address(cidr: str) -> str:
    return str(ip_interface(cidr).ip)


def unfinished(link: Link, machine_id: str) -> bool:
    """Return whether a link without a mark was made by a run of ours that was killed before it gave the mark."""
    return not link.alias and link.group == MAKING and link.mac == mac_of(machine_id, link.name)


@dataclass(frozen=True)
class VirtualLink:
    """A link of a network; ``details`` cannot be changed while it exists. ``marked`` is False of a link that is half made.

    ``quiet`` says that the kernel is to give the link no IPv6 address by itself; it is a way of making it, and no property of it.
    ``learns`` tells whether the bridge learns addresses behind it.
    """

    name: str
    kind: str
    mac: str
    mtu: int
    up: bool = True
    master: str | None = None
    details: tuple[tuple[str, Any], ...] = ()
    marked: bool = True
    software_checksums: bool = False
    vlan_filtering: bool = False
    vlans: tuple[str, ...] = ()
    quiet: bool = field(default=True, compare=False)
    learns: bool = True

    def view(self) -> dict[str, Any]:
        """Return the link as JSON."""
        shown = {"name": self.name, "kind": self.kind, "mac": self.mac, "mtu": self.mtu, "up": self.up, "master": self.master}
        more: dict[str, Any] = {"software_checksums": self.software_checksums} if self.kind == "vxlan" else {}
        more |= {"vlan_filtering": self.vlan_filtering} if self.kind == "bridge" else {}
        more |= {"vlans": list(self.vlans)} if self.vlans else {}
        return {**shown, **{key: value for key, value in self.details if value is not None}, **more}


@dataclass(frozen=True)
class NetworkState:
    """One network of a host: what it is at boot (``boot``) and now. ``bridge`` is what VMs attach to, ``mtu`` what they can use."""

    name: str
    boot: Mapping[str, Any] | None = None
    bridge: str | None = None
    mtu: int | None = None
    links: tuple[VirtualLink, ...] = ()
    peers: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    @property
    def module(self) -> str | None:
        """The module of which the network, or the link alone, is; None if the host has nothing of that name."""
        if self.boot is not None:
            return str(self.boot["type"]) if self.boot.get("bare") else MODULE
        kinds = [link.kind if link.name == self.name else MODULE for link in self.links]
        return kinds[0] if kinds else None

    def link_view(self) -> dict[str, Any]:
        """Return a link alone as JSON; nothing but name and state if the host knows nothing of it."""
        if self.module is None:
            return {"name": self.name, "state": "absent"}
        found = next((link.view() for link in self.links), {})
        peers = {"peers": list(self.peers)} if self.module == "vxlan" else {}
        return {"name": self.name, "state": "present", **found, **peers, "boot": None if self.boot is None else dict(self.boot)}

    def view(self) -> dict[str, Any]:
        """Return the network as JSON; nothing but name and state if the host knows nothing of it."""
        if self.boot is None and not self.links:
            return {"name": self.name, "state": "absent"}
        return {
            "name": self.name,
            "state": "present",
            "module": self.module,
            "bridge": self.bridge,
            "mtu": self.mtu,
            "links": [link.view() for link in self.links],
            "peers": list(self.peers),
            "ports": list(self.ports),
            "boot": None if self.boot is None else dict(self.boot),
        }

    def with_link(self, link: VirtualLink) -> NetworkState:
        """Return the network with a link added or changed."""
        others = (one for one in self.links if one.name != link.name)
        changed = replace(self, links=tuple(sorted((*others, link), key=lambda one: one.name)))
        return replace(changed, bridge=link.name, mtu=link.mtu) if link.kind == "bridge" else changed

    def without_link(self, name: str) -> NetworkState:
        """Return the network without a link."""
        changed = replace(self, links=tuple(one for one in self.links if one.name != name))
        return replace(changed, bridge=None, mtu=None, ports=()) if name == self.bridge else changed


Networks = Mapping[str, NetworkState]


def observed(facts: Facts, network: str) -> NetworkState:
    """Return what a host has of one network."""
    links = tuple(sorted((virtual_link(link, facts) for link in facts.ours(network)), key=lambda one: one.name))
    boot = facts.record.get(network)
    named, least = (boot or {}).get("bridge"), (boot or {}).get("mtu")
    bridge = next((link.name for link in links if link.kind == "bridge"), named if named in facts.links else None)
    own = {link.name for link in links}
    others = facts.by_master.get(bridge, ()) if bridge else ()
    return NetworkState(
        name=network,
        boot=boot,
        bridge=bridge,
        mtu=(least if bridge == named and least else facts.links[bridge].mtu) if bridge else None,
        links=links,
        peers=tuple(peer.dst for link in links if link.kind == "vxlan" for peer in flooded(facts, link)),
        ports=tuple(sorted(link.name for link in others if link.name not in own)),
    )


def flooded(facts: Facts, link: VirtualLink) -> tuple[Peer, ...]:
    """Return where a VXLAN link floods to, sorted, without its multicast group."""
    group = dict(link.details).get("group")
    return tuple(sorted((one for one in facts.peers.get(link.name, ()) if one.dst != group), key=lambda one: (one.dst, one.more)))


def virtual_link(link: Link, facts: Facts) -> VirtualLink:
    """Return a link of the host as one of a network."""
    details = {}
    if link.kind == "vxlan":
        data = link.data
        details = {
            "vni": data.get("id"),
            "underlay": data.get("link"),
            "local": data.get("local", data.get("local6")),
            "group": data.get("group", data.get("group6", data.get("remote", data.get("remote6")))),
            "port": data.get("port"),
            "learning": bool(data.get("learning")),
        }
    elif link.kind == "vlan":
        details = {"vlan_id": link.data.get("id"), "vlan_protocol": link.data.get("protocol"), "underlay": link.lower}
    return VirtualLink(
        name=link.name,
        kind=link.kind,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        master=link.master,
        details=tuple(details.items()),
        marked=bool(link.alias),
        software_checksums=link.name in facts.in_software,
        vlan_filtering=link.vlan_filtering and link.kind == "bridge",
        vlans=facts.vlans.get(link.name, ()) if _filtered(link, facts) else (),
        learns=link.learns,
    )


def _filtered(link: Link, facts: Facts) -> bool:
    """Return whether a link is a port of the VLAN-aware bridge of its own network."""
    bridge = facts.links.get(link.master or "")
    return bridge is not None and bridge.vlan_filtering and bridge.alias == link.alias
