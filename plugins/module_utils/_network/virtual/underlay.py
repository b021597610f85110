# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that a definition means on one host: what carries them, the host's own address there, and their MTU. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import Any

from ..._errors import Conflict, EdgeError, InvalidInput, NotFound, Refused, Unsupported
from ..._shown import few, nearest
from ..._vlans import DEFAULT, collapsed, expanded
from ..link.cloud import OTHERWISE
from ..link.model import Link
from .definition import Definition, Wanted, parsed
from .names import bare, bridge_link, mac_of, marked_for, vlan_link, vxlan_link
from .state import Facts, VirtualLink, addresses_of

VXLAN = {4: 50, 6: 70}  # inner Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40
TAG = 4
# A card sends frames that are 4 bytes longer for one tag. A tunnel does not, nor does a card for a second tag.
WITH_ONE_MAC = ("bond", "team")  # a master of these kinds gives its ports the MAC address that it has
OVER_IP = ("vxlan", "geneve", "gretap", "ip6gretap")
WITHOUT_ROOM_FOR_A_TAG = ("vlan", *OVER_IP, "macvlan", "macsec")
SMALLEST = {4: 576, 6: 1280}  # what each host must be able to receive


@dataclass(frozen=True)
class Meant:
    """What a definition means on one host: its links, where VXLAN floods to, what VMs attach to and the MTU that they have.

    A link alone has no bridge, and no VMs. ``peers`` is None where another program says where to flood to.
    """

    links: tuple[VirtualLink, ...]
    peers: tuple[str, ...] | None
    bridge: str | None
    mtu: int | None


def meant(facts: Facts, wanted: Wanted, definition: Definition) -> Meant:
    """Return what ``definition`` means, or raise an error that begins with the path of the option that cannot be."""
    return _Reading(facts, wanted.where, definition).meant()


class _Reading:
    """Reads one definition against one host."""

    def __init__(self, facts: Facts, where: str, definition: Definition) -> None:
        self.facts, self.where, self.definition = facts, where, definition

    def error(self, kind: type[EdgeError], option: str, message: str, **details: Any) -> EdgeError:
        path = f"{self.where}{option}"
        return kind(f"{path}: {message}", option=path, network=self.definition.name, **details)

    def meant(self) -> Meant:
        given = self.definition
        if given.bridge is not None:
            return self._existing(given.bridge)
        if given.underlay is None:
            mtu = given.mtu or 1500
            self._large_enough(mtu, "mtu", f"{mtu} was asked")
            bridge = self._bridge(mtu)
            return Meant((bridge,), (), bridge.name, mtu)
        underlay = self._underlay(given.underlay)
        return self._vlan(underlay) if given.type == "vlan" else self._vxlan(underlay)

    def _existing(self, name: str) -> Meant:
        link = self._found("bridge", name)
        if link is None:
            raise self.error(NotFound, "bridge", f"there is no bridge {name} on this host; {self._there_is('bridge')}")
        if link.kind != "bridge":
            raise self.error(
                Conflict, "bridge", f"{name} is {_called(link)}, not a bridge; {self._there_is('bridge')}", bridge=name
            )
        if card := self._on_a_cloud(name):
            raise self.error(
                Unsupported,
                "bridge",
                f"{name} has the port {card}, a card of {self.facts.cloud}, whose network has no layer 2, and drops what comes from"
                f" addresses of VMs; use edge.cloud.nat_network, or type: vxlan{OTHERWISE}.",
                cloud=self.facts.cloud,
            )
        mtu = self.definition.mtu or link.mtu
        if mtu > link.mtu:
            raise self.error(
                Conflict, "mtu", f"{mtu} was asked, and the bridge {name} has {link.mtu}; ask for no more.", mtu=link.mtu
            )
        self._large_enough(mtu, "bridge", f"{name} has an MTU of {link.mtu}")
        return Meant((), (), name, mtu)

    def _found(self, option: str, name: str) -> Link | None:
        """Return a link by its name; of one that is only called so as well, the kernel's answers have another name."""
        other = self.facts.by_other_name.get(name)
        if other is not None:
            raise self.error(InvalidInput, option, f"{name} is another name of {other}; give that.", value=name)
        return self.facts.links.get(name)

    def _on_a_cloud(self, name: str) -> str | None:
        """Return the card below a link if the host is in a cloud without layer 2."""
        cards = [link.name for link in below(self.facts.links, name, tunnels=False) if not link.kind and link.ethernet]
        return cards[0] if self.facts.cloud and cards else None

    def _there_is(self, kind: str = "") -> str:
        names = [link.name for link in self.facts.links.values() if kind in ("", link.kind) and _of_host(link)]
        wanted = self.definition.bridge or self.definition.underlay or ""
        return f"there is {few(nearest(wanted, (name for name in names if name != 'lo')))}."

    def _underlay(self, name: str) -> Link:
        link = self._found("underlay", name)
        if link is None:
            raise self.error(NotFound, "underlay", f"there is no link {name} on this host; {self._there_is()}", underlay=name)
        network = marked_for(link.alias)
        if network is not None and not bare(name, link.alias):
            raise self.error(Conflict, "underlay", f"{name} belongs to the virtual network {network}; name a link of the host.")
        if link.of_vm and link.ethernet:  # a tunnel of a VPN program is of the same kind, without layer 2
            raise self.error(Conflict, "underlay", f"{name} belongs to a VM; name a link of the host.")
        own = {one.name for one in self.facts.ours(self.definition.name)}
        if over := [one.name for one in below(self.facts.links, name) if one.name in own]:
            raise self.error(
                Conflict, "underlay", f"{name} is over {over[0]}, which is of {self.definition.name} itself; name what is below."
            )
        return link

    def _vlan(self, underlay: Link) -> Meant:
        name, given = underlay.name, self.definition
        own = given.name if given.bare else vlan_link(given.name)
        if not underlay.ethernet:
            raise self.error(
                Unsupported,
                "underlay",
                f"{name} ({_called(underlay)}) has no layer 2, and carries no VLAN {given.vlan_id}; use a network card or bridge,"
                " or type: vxlan.",
            )
        if not underlay.up:
            raise self.error(Refused, "underlay", f"{name} is down, and a VLAN on it cannot be set up; set {name} up first.")
        self._passes(underlay)
        mtu = self._mtu(underlay, vlan_overhead(self.facts.links, name), "a VLAN tag")
        details = {"vlan_id": given.vlan_id, "vlan_protocol": given.vlan_protocol, "underlay": name}
        return self._composed(VirtualLink(own, "vlan", "", mtu, details=tuple(details.items())), ())

    def _passes(self, underlay: Link) -> None:
        """Raise an error if what carries a VLAN would drop its frames."""
        name, given = underlay.name, self.definition
        if card := self._on_a_cloud(name):
            raise self.error(
                Unsupported,
                "underlay",
                f"{card} is a card of {self.facts.cloud}, whose network has no layer 2, and carries no VLAN {given.vlan_id}; use"
                f" type: vxlan, which needs IP between the hosts only{OTHERWISE}.",
                cloud=self.facts.cloud,
            )
        same = underlay.vlan_filtering and underlay.data.get("vlan_protocol", given.vlan_protocol) == given.vlan_protocol
        if same and given.vlan_id not in expanded(self.facts.vlans.get(name, ())):
            raise self.error(
                Refused,
                "underlay",
                f"the bridge {name} tells VLANs apart, and VLAN {given.vlan_id} does not pass it; let it pass the bridge and the"
                f" ports that are to have it, for example by: bridge vlan add vid {given.vlan_id} dev {name} self.",
            )

    def _vxlan(self, underlay: Link) -> Meant:
        given = self.definition
        if given.group is not None and (underlay.kind == "wireguard" or not underlay.multicast):
            raise self.error(
                Unsupported,
                "flood",
                f"{underlay.name} ({_called(underlay)}) carries no multicast, so not the group {given.group}; use flood: static.",
            )
        self._without_ipv6()
        local = self._local(underlay)
        version = parsed(local).version
        mtu = self._mtu(underlay, vxlan_overhead(version), f"VXLAN over IPv{version}")
        details = {
            "vni": given.vni,
            "underlay": underlay.name,
            "local": local,
            "group": given.group,
            "port": given.port,
            "learning": given.flood != "evpn",
        }
        name = given.name if given.bare else vxlan_link(given.name)
        # What this module set is undone; what another program did about a card's faults is left alone.
        ours = self.facts.record.get(given.name, {}).get("software_checksums")
        software = given.software_checksums or (name in self.facts.in_software and not ours)
        link = VirtualLink(name, "vxlan", "", mtu, details=tuple(details.items()), software_checksums=software)
        others = tuple(sorted(member for member in given.members if member != local))
        return self._composed(replace(link, learns=given.flood != "evpn"), None if given.flood == "evpn" else others)

    def _composed(self, link: VirtualLink, peers: tuple[str, ...] | None) -> Meant:
        """Return the link with the bridge of which it is a port; alone, it is a port of what others made it one of."""
        mac = mac_of(self.facts.machine_id, link.name)
        if self.definition.bare:
            found = next((one for one in self.facts.ours(link.name) if one.name == link.name), None)
            master = self.facts.links.get(found.master or "") if found else None
            if found and master and master.kind in WITH_ONE_MAC:
                mac = found.mac
            attached, learns = (found.master, found.learns) if found else (None, True)
            return Meant((replace(link, mac=mac, master=attached, learns=learns, quiet=False),), peers, None, None)
        bridge = self._bridge(link.mtu)
        vlans = collapsed(expanded((*DEFAULT, *self.definition.vlans))) if bridge.vlan_filtering else ()
        port = replace(link, mac=mac, master=bridge.name, vlans=vlans, quiet=self.facts.ipv6)
        return Meant((bridge, port), peers, bridge.name, bridge.mtu)

    def _bridge(self, mtu: int) -> VirtualLink:
        name = bridge_link(self.definition.name)
        filtering = self.definition.vlan_filtering
        mac = mac_of(self.facts.machine_id, name)
        return VirtualLink(name, "bridge", mac, mtu, vlan_filtering=filtering, quiet=self.facts.ipv6)

    def _mtu(self, underlay: Link, overhead: int, what: str) -> int:
        room = underlay.mtu - overhead
        takes = f"{underlay.name} has an MTU of {underlay.mtu}, of which {what} takes {overhead}"
        wanted = self.definition.mtu
        if wanted is not None and wanted > room:
            raise self.error(Conflict, "mtu", f"{wanted} was asked, and {takes}: {room} at most.", mtu=wanted, room=room)
        self._large_enough(wanted or room, "underlay" if wanted is None else "mtu", takes)
        return wanted or room

    def _large_enough(self, mtu: int, option: str, why: str) -> None:
        version = 6 if any(":" in subnet for subnet in self.definition.subnets) else 4
        if mtu < SMALLEST[version]:
            left = f"{why}: {mtu} are left for VMs, and IPv{version} needs {SMALLEST[version]}; raise the MTU of what is below."
            raise self.error(Conflict, option, left, mtu=mtu)

    def _local(self, underlay: Link) -> str:
        """Return the address of this host on the underlay that the other members know it by."""
        given = self.definition
        own = addresses_of(underlay)
        self._own_elsewhere(underlay, own)
        if given.local is not None:
            if given.local not in own:
                raise self.error(
                    NotFound, "local", f"{underlay.name} has no address {given.local}; it has {few(own)}.", value=given.local
                )
            return given.local
        own = self._of_version(own, underlay)
        named = [address for address in own if address in given.members]
        for candidates in (named, own, (address for address in own if self._near(underlay, address))):
            found = list(candidates)
            if len(found) == 1:
                return found[0]
        raise self.error(
            InvalidInput,
            "local",
            f"{underlay.name} has the addresses {few(named or own)}, and which of them the other hosts know is not clear; "
            "name one in members, or as local.",
            addresses=own,
        )

    def _of_version(self, own: list[str], underlay: Link) -> list[str]:
        """Return the addresses that are of the IP version of the members or group; of IPv4, if there are some, without these."""
        named = [*self.definition.members, *([self.definition.group] if self.definition.group else [])]
        versions = [4] if self.definition.flood == "evpn" else [parsed(named[0]).version] if named else [4, 6]
        for version in versions:
            if found := [address for address in own if parsed(address).version == version]:
                return found
        wants = f"IPv{versions[0]} " if len(versions) == 1 else ""
        on = f" (its master {underlay.master} may have it)" if underlay.master else ""
        raise self.error(
            NotFound, "underlay", f"{underlay.name} has no {wants}address that tunnels could start at{on}; it has {few(own)}."
        )

    def _without_ipv6(self) -> None:
        """Raise Unsupported if the kernel has no IPv6, and the hosts are to reach each other by it."""
        given = self.definition
        asked = (("members", given.members[:1]), ("group", (given.group,)), ("local", (given.local,)))
        for option, address in ((option, one) for option, found in asked for one in found if one):
            if not self.facts.ipv6 and parsed(address).version == 6:
                raise self.error(
                    Unsupported,
                    option,
                    f"{address} is IPv6, and the kernel of this host has none (it was booted with ipv6.disable=1, or is without"
                    " it); use IPv4 between the hosts, or boot it with IPv6.",
                    value=address,
                )

    def _own_elsewhere(self, underlay: Link, own: list[str]) -> None:
        for member in self.definition.members:
            on = self.facts.addressed.get(member)
            if on is not None and member not in own:
                raise self.error(
                    Conflict,
                    "members",
                    f"{member} is this host's own address, but on {on}, not on the underlay {underlay.name}.",
                    value=member,
                )

    def _near(self, underlay: Link, address: str) -> bool:
        """Return whether a member is in the subnet of an address."""
        nets = [ip_interface(one.cidr).network for one in underlay.addresses if one.cidr.partition("/")[0] == address]
        members = [parsed(member) for member in self.definition.members]
        return any(member.version == net.version and member in net for member in members for net in nets)


def _of_host(link: Link) -> bool:
    return not marked_for(link.alias) or bare(link.name, link.alias)


def _called(link: Link) -> str:
    return f"a link of kind {link.kind}" if link.kind else "a physical link"


def vxlan_overhead(version: int) -> int:
    """Return the bytes that VXLAN takes of the underlay's MTU; ``version`` is the IP version of the underlay."""
    return VXLAN[version]


def vlan_overhead(links: Mapping[str, Link], underlay: str) -> int:
    """Return the bytes that an 802.1Q tag takes of the underlay's MTU: none on a card, 4 where a tunnel or a tag is below."""
    return TAG if any(link.kind in WITHOUT_ROOM_FOR_A_TAG for link in below(links, underlay)) else 0


def below(links: Mapping[str, Link], name: str, *, tunnels: bool = True) -> list[Link]:
    """Return a link and all that frames of it leave by: its lower links and, of a bridge or bond, its ports except VMs'.

    Without ``tunnels`` what carries a tunnel is left out: its network sees IP packets of the host only.
    """
    found: dict[str, Link] = {}
    left = [name]
    while left:
        one = left.pop()
        if one in found or one not in links:
            continue
        found[one] = links[one]
        if links[one].kind in OVER_IP and not tunnels:
            continue
        left += [
            links[one].lower,
            str(links[one].data.get("link", "")),
            *(link.name for link in links.values() if link.master == one and not link.of_vm),
        ]
    return list(found.values())
