# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a host has to the networks that were asked for, or the errors of each network. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._errors import Conflict, EdgeError
from ..._plan import Plan
from ..._shown import few
from .clashes import clashes, same_module
from .definition import Definition, Wanted
from .state import Facts, Networks, NetworkState, Peer, VirtualLink, flooded, observed
from .steps import AddLink, FloodTo, Forget, NetworkStep, Remember, RemoveLink, SetLink
from .underlay import Meant, meant
from .users import may_filter, may_go

CHANGEABLE = ("marked", "mac", "mtu", "master", "learns", "vlan_filtering", "vlans", "software_checksums", "up")


@dataclass(frozen=True)
class Draft:
    """The plan of networks that can be made, and the errors of those that cannot, in the order asked."""

    plan: Plan[Networks]
    errors: tuple[tuple[Wanted, EdgeError], ...] = ()

    def require(self) -> Plan[Networks]:
        """Return the plan, or raise the error; several are one error that has them all."""
        if not self.errors:
            return self.plan
        first = self.errors[0][1]
        if len(self.errors) == 1:
            raise first
        rows = [{"network": wanted.name, **error.as_result()["error"], "msg": error.message} for wanted, error in self.errors]
        raise type(first)("\n".join(error.message for _wanted, error in self.errors), **{**first.details, "errors": rows})


def plan(facts: Facts, asked: Sequence[Wanted]) -> Draft:
    """Return the steps to what was asked. A network with an error has no steps; nothing that others made is changed."""
    drafts: list[tuple[Wanted, Definition, Meant]] = []
    errors: list[tuple[Wanted, EdgeError]] = []
    networks = {wanted.name: observed(facts, wanted.name) for wanted in asked}
    for wanted in asked:
        try:
            same_module(networks[wanted.name], wanted)
            if wanted.definition is not None:
                drafts.append((wanted, wanted.definition, meant(facts, wanted, wanted.definition)))
        except EdgeError as error:
            errors.append((wanted, error))
    gone = frozenset(wanted.name for wanted in asked if wanted.definition is None)
    errors += clashes(facts, drafts, gone)
    known = {wanted.name: (definition, made) for wanted, definition, made in drafts}
    bad = {wanted.name for wanted, _error in errors}
    steps: list[NetworkStep] = []
    for wanted in asked:
        if wanted.name not in bad:
            try:
                steps += _steps(facts, wanted, networks[wanted.name], known.get(wanted.name))
            except EdgeError as error:
                errors.append((wanted, error))
    order = {wanted.name: place for place, wanted in enumerate(asked)}
    errors.sort(key=lambda item: order[item[0].name])
    return Draft(Plan(networks, tuple(sorted(steps, key=_order))), tuple(errors))


def _order(step: Any) -> tuple[int, bool]:
    # A bridge comes before its port, and goes after it.
    link = getattr(step, "link", None)
    bridge = isinstance(link, VirtualLink) and link.kind == "bridge"
    return step.phase, bridge if step.phase == RemoveLink.phase else not bridge


def _steps(facts: Facts, wanted: Wanted, state: NetworkState, known: tuple[Definition, Meant] | None) -> Iterator[NetworkStep]:
    name, made = wanted.name, known[1] if known else None
    links = {link.name: link for link in made.links} if made else {}
    if made is None and state.boot is not None:
        yield Forget(name, bool(state.boot.get("bare")))
    going = [link for link in state.links if link.name not in links or not _same(link, links[link.name])]
    for link in going:
        if link.kind == "bridge" or link.name == name:
            may_go(facts, wanted, state, link, links.get(link.name))
        yield RemoveLink(name, link)
    if known is None or made is None:
        return
    _isolated(facts, wanted, known[0], state, made.bridge)
    staying = {link.name: link for link in state.links if link not in going}
    for link in made.links:
        found = staying.get(link.name)
        if found is not None and found.vlan_filtering != link.vlan_filtering:
            may_filter(facts, wanted, state, found, link.vlan_filtering)
        yield from [AddLink(name, link)] if found is None else _changes(name, found, link)
    yield from _flooding(facts, name, staying, made)
    definition = known[0].over(state.boot or {})
    if state.boot != definition:
        yield Remember(name, definition, made.bridge, made.mtu, _ports(facts, state, made.bridge))


def _ports(facts: Facts, state: NetworkState, bridge: str | None) -> tuple[str, ...]:
    """Return the ports of a bridge that are no links of the network."""
    own = {link.name for link in state.links}
    return tuple(sorted(link.name for link in facts.by_master.get(bridge or "", ()) if link.name not in own))


def _same(found: VirtualLink, wanted: VirtualLink) -> bool:
    return (found.kind, dict(found.details)) == (wanted.kind, dict(wanted.details))


def _changes(network: str, found: VirtualLink, wanted: VirtualLink) -> Iterator[SetLink]:
    now = replace(found, quiet=wanted.quiet)
    for key in CHANGEABLE:
        before, value = getattr(now, key), getattr(wanted, key)
        if before != value:
            now = replace(now, **{key: value})
            now = replace(now, learns=True) if key == "master" else now  # as each new port does
            yield SetLink(network, now, key, before)


def _flooding(facts: Facts, network: str, staying: dict[str, VirtualLink], made: Meant) -> Iterator[FloodTo]:
    port = next((link for link in made.links if link.kind == "vxlan"), None)
    if port is None or made.peers is None:
        return
    found = flooded(facts, staying[port.name]) if port.name in staying else ()
    if found == tuple(map(Peer, made.peers)):
        return
    has = Counter(found)
    wanted = Counter(Peer(dst) for dst in made.peers)
    add, remove = (wanted - has).elements(), tuple((has - wanted).elements())
    gone = {peer.dst for peer in remove} - {*made.peers}
    learned = tuple(pair for pair in facts.learned.get(port.name, ()) if pair[1] in gone)
    step = FloodTo(network, port.name, tuple(peer.dst for peer in add), remove, learned)
    if step.fdb:
        yield step


def _isolated(facts: Facts, wanted: Wanted, definition: Definition, state: NetworkState, bridge: str | None) -> None:
    links = (facts.links[port] for port in _ports(facts, state, bridge))
    ports = [link.name for link in links if not (link.of_vm or link.of_dhcp)]
    if definition.type == "isolated" and ports:
        raise Conflict(
            f"{wanted.where}type: the network {wanted.name} is to be isolated, and {bridge} has the ports {few(ports)};"
            " detach them, or use type: bridge.",
            option=f"{wanted.where}type",
            network=wanted.name,
            ports=ports,
        )
