# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a host has to the service that is wanted there. Pure.

The filter is there before the port, and the port before the service; what is not whole is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..._errors import Conflict, InvalidInput, NotFound
from ..._plan import Plan
from ..._shown import few
from ..link.model import Host
from . import filtering, steps
from .definition import Definition
from .names import link_of
from .state import State, as_files
from .steps import Change
from .texts import texts


@dataclass(frozen=True)
class Facts:
    """What else a host has: its links, and the folder where services have their copies of files."""

    host: Host
    run: str


def plan(state: State, facts: Facts, wanted: Definition | None) -> Plan[State]:
    """Return the steps that make the service as ``wanted``, or remove all of it for None."""
    if wanted is None:
        return _planned(state, _removal)
    _require_bridge(state, facts, wanted)
    mtu = _mtu(facts, wanted)
    routed = _routed(facts, wanted)
    files = texts(wanted, mtu, f"{facts.run}/{wanted.name}")
    return _planned(state, lambda now: _next(now, wanted, mtu, routed, files))


def _planned(state: State, following: Callable[[State], Change | None]) -> Plan[State]:
    """Return the steps one after another, each from the state that those before it lead to."""
    found: list[Change] = []
    now = state
    while (step := following(now)) is not None:
        found.append(step)
        now = step.predict(now)
    return Plan(state, tuple(found))


def _next(now: State, wanted: Definition, mtu: int, routed: bool, files: Mapping[str, str]) -> Change | None:
    """Return the first step that is missing."""
    return next(_missing(now, wanted, mtu, routed, files), None)


def _missing(now: State, wanted: Definition, mtu: int, routed: bool, files: Mapping[str, str]) -> Iterator[Change]:
    name = wanted.name
    yield from _unusable(now)
    if now.filter.version != filtering.VERSION or not now.filter.covers(name, routed):
        yield steps.bar(now, routed)
    if now.space is None or not now.space.closed:
        yield steps.make_space(name, new=now.space is None)
    if now.port is None:
        yield steps.make_pair(name, mtu)
    gateways = wanted.gateways if routed else ()
    inner = steps.inner(name, mtu, (subnet.interface for subnet in wanted.subnets), gateways)
    if now.space is not None and now.space != inner:
        yield steps.set_inner(name, now.space, inner)
    port = now.port
    if port and not (port.ours and port.up and port.known and (port.bridge, port.mtu) == (wanted.bridge, mtu)):
        yield steps.attach(name, wanted.bridge, mtu)
    wanted_files = as_files(files)
    if now.files != wanted_files:
        yield steps.write(name, wanted_files)
    yield from _service(now)


def _unusable(now: State) -> Iterator[Change]:
    """Yield what removes an interrupted or damaged pair and name space, with the service that would run in it."""
    linked = now.space is not None and now.space.linked
    if linked and now.port and now.port.paired:
        return
    if now.running:
        yield steps.stop(now.name)
    if now.port:
        yield steps.remove_pair(now)
    if linked or now.broken:
        yield steps.remove_space(now.name)


def _service(now: State) -> Iterator[Change]:
    read = now.read
    if not now.running:
        yield steps.start(now.name, read, running=False)
    elif not steps.only_reloaded(read, now.loaded):
        yield steps.start(now.name, read, running=True)
    elif now.loaded != read:
        yield steps.reload(now.name, read)


def _removal(now: State) -> Change | None:
    ours = now.port is not None and (now.port.ours or now.port.paired)
    if now.files:  # first, so that no boot makes again what a killed run had begun to remove
        return steps.forget(now.name)
    if now.running:
        return steps.stop(now.name)
    if ours:
        return steps.remove_pair(now)
    if now.space or now.broken:
        return steps.remove_space(now.name)
    return steps.unbar(now) if now.filter.knows(now.name) else None


def _require_bridge(state: State, facts: Facts, wanted: Definition) -> None:
    found = facts.host.links.get(wanted.bridge)
    if found is None:
        bridges = sorted(link.name for link in facts.host.links.values() if link.kind == "bridge")
        raise NotFound(
            f"bridge: there is no {wanted.bridge} on this host; its bridges are {few(bridges)}. Make the network first.",
            option="bridge",
        )
    if found.kind != "bridge":
        raise Conflict(f"bridge: {wanted.bridge} is not a bridge; name the network's.", option="bridge")
    if state.port and not state.port.ours and not state.port.paired:
        raise Conflict(
            f"name: the link {link_of(wanted.name)}, which the service needs, exists and has no mark of ours; remove it or choose"
            " another name.",
            option="name",
        )


def _mtu(facts: Facts, wanted: Definition) -> int:
    """Return the MTU that VMs get. Our own port, which may be the one that holds the bridge down, does not count."""
    ports = [facts.host.links[name].mtu for name in facts.host.ports(wanted.bridge) if name != link_of(wanted.name)]
    room = min(ports, default=None)
    if wanted.mtu is None:
        return facts.host.links[wanted.bridge].mtu if room is None else room
    if room is not None and wanted.mtu > room:
        raise InvalidInput(
            f"mtu: {wanted.mtu} is more than the {room} that the ports of {wanted.bridge} take; give {room} or less.", option="mtu"
        )
    return wanted.mtu


def _routed(facts: Facts, wanted: Definition) -> bool:
    """Return whether the service may reach its forwarders through the host, which must be the gateway for that."""
    if not wanted.forwarders:
        return False
    own = {address.cidr.split("/")[0] for address in facts.host.links[wanted.bridge].addresses}
    if not own & set(wanted.gateways):
        raise InvalidInput(
            f"forwarders: the service reaches them only where this host is a gateway of the network, and {wanted.bridge} has the"
            f" addresses {few(sorted(own))}. Let VMs ask those servers themselves: name them in dns.",
            option="forwarders",
        )
    return True
