# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two networks, or a network and a link of others, cannot have at once on a host. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._errors import Conflict, EdgeError
from .definition import PROTOCOLS, Definition, Wanted, parsed
from .names import marked_for
from .state import Facts, NetworkState, VirtualLink, virtual_link
from .underlay import Meant

Drafts = Sequence[tuple[Wanted, Definition, Meant]]
Use = tuple[Hashable, str, str]  # what only one can have, its name for people, and the option


def clashes(facts: Facts, drafts: Drafts, gone: frozenset[str]) -> Iterator[tuple[Wanted, EdgeError]]:
    """Yield each request that cannot be beside the others, or what the host has and keeps; ``gone`` are networks that go."""
    asked = frozenset(wanted.name for wanted, _definition, _meant in drafts)
    taken = _Taken(facts, dict(_kept(facts, asked | gone)))
    groups = _Groups(facts, asked | gone)
    for wanted, definition, meant in drafts:
        error = _name(facts, wanted, meant) or taken.take(wanted, meant) or groups.join(wanted, definition)
        if error is not None:
            yield wanted, error


def same_module(found: NetworkState, wanted: Wanted) -> None:
    """Raise Conflict if what the host has of that name is of another module: a network, or a link alone."""
    if found.module not in (None, wanted.module):
        raise _conflict(
            wanted,
            "name",
            f"{wanted.name} is of edge.cloud.{found.module} on this host, not of edge.cloud.{wanted.module}; choose another name,"
            f" or remove it with edge.cloud.{found.module} first.",
            module=found.module,
        )


def _conflict(wanted: Wanted, option: str, message: str, **details: Any) -> Conflict:
    path = f"{wanted.where}{option}"
    return Conflict(f"{path}: {message}", option=path, network=wanted.name, **details)


def _name(facts: Facts, wanted: Wanted, meant: Meant) -> Conflict | None:
    """Return the error if a link of others has the name of one of the network's."""
    own = {link.name for link in facts.ours(wanted.name)}
    for link in meant.links:
        found, altname = facts.links.get(link.name), facts.by_other_name.get(link.name)
        if (found is None and altname is None) or link.name in own:
            continue
        if found is None:
            whose = f"is another name of {altname}"
        elif other := marked_for(found.alias):
            whose = f"belongs to the network {other}"
        else:
            whose = f"is not ours (kind {found.kind or 'physical'})"
        return _conflict(
            wanted,
            "name",
            f"{wanted.name} needs the link {link.name}, which exists and {whose}; remove or rename it, or choose another name.",
            link=link.name,
        )
    return None


def _vlans(facts: Facts, underlay: Any, number: Any, protocol: Any) -> Iterator[tuple[Hashable, str]]:
    """Yield what a VLAN takes, and its name: of a bridge or bond also that VLAN of each port, which has the same frames."""
    tag = f"VLAN {number}{'' if protocol == PROTOCOLS[0] else f' ({protocol})'} of {underlay}"
    left, seen = [underlay], set()
    while left:
        link = left.pop()
        if link not in seen:
            seen.add(link)
            yield ("vlan", link, number, protocol), tag if link == underlay else f"{tag}, whose port {link} has the same frames,"
            left += [one.name for one in facts.by_master.get(link, ()) if not one.of_vm]


def _uses(facts: Facts, link: VirtualLink) -> Iterator[Use]:
    details = dict(link.details)
    if link.kind == "vxlan":
        yield ("vni", details["vni"], details["port"]), f"VNI {details['vni']} (UDP port {details['port']})", "vni"
        if not details["learning"]:
            yield ("evpn", details["vni"]), f"VNI {details['vni']} of EVPN, which knows no ports,", "vni"
    elif link.kind == "vlan":
        for key, name in _vlans(facts, details["underlay"], details["vlan_id"], details["vlan_protocol"]):
            yield key, name, "vlan_id"
    yield ("link", link.name), f"the link {link.name}", "name"


def _kept(facts: Facts, without: frozenset[str]) -> Iterator[tuple[Hashable, str]]:
    """Yield what the host keeps, and by what it is used: links, those of networks ``without`` not, and networks of its boot."""
    own = {link.name for name in without for link in facts.ours(name)}
    for link in facts.links.values():
        network = marked_for(link.alias)
        if link.kind not in ("vxlan", "vlan") or link.name in own:
            continue
        by = f"the network {network} has it ({link.name})" if network else f"the link {link.name}, which is not ours, has it"
        if link.data.get("external"):
            yield ("external", link.data.get("port")), by
        yield from ((key, by) for key, _name, option in _uses(facts, virtual_link(link, facts)) if option != "name")
    for name, raw in facts.record.items():
        if name in without:
            continue
        by = f"the network {name} has it, which is made at boot"
        if raw.get("type") == "vxlan":
            yield ("vni", raw.get("vni"), raw.get("port")), by
            if raw.get("flood") == "evpn":
                yield ("evpn", raw.get("vni")), by
        elif raw.get("type") == "vlan":
            protocol = raw.get("vlan_protocol") or PROTOCOLS[0]
            yield from ((key, by) for key, _name in _vlans(facts, raw.get("underlay"), raw.get("vlan_id"), protocol))


@dataclass
class _Taken:
    """What is in use, by whom."""

    facts: Facts
    by: dict[Hashable, str]

    def take(self, wanted: Wanted, meant: Meant) -> Conflict | None:
        for key, name, option in [use for link in meant.links for use in _uses(self.facts, link)]:
            if key in self.by:
                return _conflict(wanted, option, f"{name} is in use: {self.by[key]}; choose another.", by=self.by[key])
            if isinstance(key, tuple) and key[0] == "vni" and ("external", key[2]) in self.by:
                by = self.by["external", key[2]]
                return _conflict(wanted, "port", f"UDP port {key[2]} takes every VNI: {by}; choose another port.", by=by)
            self.by[key] = f"the network {wanted.name} of this task has it"
        return None


@dataclass
class _Groups:
    """The multicast groups of IPv4 that the one socket of a UDP port has joined; the kernel limits their number."""

    facts: Facts
    without: frozenset[str]
    joined: dict[Any, set[tuple[Any, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for link in self.facts.links.values():
            if link.kind == "vxlan" and marked_for(link.alias) not in self.without:
                self._add(dict(virtual_link(link, self.facts).details))
        for name, raw in self.facts.record.items():
            if name not in self.without:
                self._add(raw)

    def _add(self, details: Mapping[str, Any]) -> set[tuple[Any, Any]]:
        found = self.joined.setdefault(details.get("port"), set())
        group = details.get("group")
        if group and parsed(str(group)).version == 4 and parsed(str(group)).is_multicast:
            found.add((group, details.get("underlay")))
        return found

    def join(self, wanted: Wanted, definition: Definition) -> Conflict | None:
        if definition.group is None:
            return None
        number = len(self._add(vars(definition)))
        most = self.facts.most_groups
        if parsed(definition.group).version == 6 or number <= most:
            return None
        return _conflict(
            wanted,
            "group",
            f"{definition.group} would be multicast group {number} of UDP port {definition.port}, and the kernel joins {most}"
            " (net.ipv4.igmp_max_memberships); raise that, share a group between networks, or use flood: static.",
            groups=number,
            most=most,
        )
