# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a host has to the public addresses that are wanted there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._plan import Plan
from . import filtering
from .check import check
from .definition import Definition
from .entries import Entry
from .filtering import NAT, TABLES
from .needs import needs, uplink_of
from .state import Facts, State
from .steps import Announce, Forget, Remember, SetFilter, SetRoutes, SetSettings

IP = ("route", "neighbour", "proxy", "gateway")


def state_of(address: str, facts: Facts) -> State:
    """Return one address as the host has it."""
    found = facts.record.get(address)
    needed = frozenset(one.key for one in needs(found, facts)) if found else frozenset()
    uplink = uplink_of(found, facts) if found else None
    return State(address, found, uplink, frozenset(one.key for one in facts.entries), needed)


def plan(facts: Facts, address: str, wanted: Definition | None) -> Plan[State]:
    """Return the steps that give a VM the address as ``wanted``, or take all of it away for None; other addresses stay.

    What is ours and belongs to no address, as a killed run leaves it, goes too.
    """
    before = state_of(address, facts)
    record = {key: one for key, one in facts.record.items() if key != address}
    if wanted is None:
        forget = [Forget(address)] if before.definition else []
        return Plan(before, (*forget, *_steps(facts, record, frozenset())))
    check(wanted, facts)
    record[address] = wanted
    steps: list[Any] = list(_steps(facts, record, frozenset({address})))
    uplink = uplink_of(wanted, facts)
    came = {one.words for step in steps if isinstance(step, SetRoutes) for one in step.come if one.kind in ("proxy", "route")}
    if before.definition != wanted:
        steps.append(Remember(wanted, uplink, needs(wanted, facts)))
    if (address, uplink) in came or (address, wanted.bridge) in came:
        steps.append(Announce(wanted, uplink))
    return Plan(before, tuple(steps))


def plan_recorded(facts: Facts, can: Iterable[str]) -> Plan[State]:
    """Return the steps that bring the recorded addresses ``can`` back, as at boot; nothing of the others is taken away.

    Settings of the kernel are not among them: those have a file of their own.
    """
    steps = [step for step in _steps(facts, facts.record, frozenset(can)) if not isinstance(step, SetSettings)]
    return Plan(State("", None, None, frozenset(one.key for one in facts.entries), frozenset()), tuple(steps))


def _steps(facts: Facts, record: Mapping[str, Definition], now: frozenset[str]) -> Iterator[Any]:
    """Yield the steps to a record of which the addresses ``now`` are made; of the others nothing is made and nothing taken."""
    desired = {address: needs(definition, facts) for address, definition in record.items()}
    everything = {one.key: one for entries in desired.values() for one in entries}
    there = {one.key: one for one in facts.entries}
    kept = frozenset(_kept(facts, record))
    gone = frozenset(one for key, one in there.items() if key not in everything and one not in kept)
    come = frozenset(one for address in now for one in desired.get(address, ()) if one.key not in there)
    tables = frozenset(one.words[0] for entries in desired.values() for one in entries if one.kind == "element")
    rules = list(_filter(facts, everything.values(), gone, come, tables))
    routes = SetRoutes(_of(IP, gone), _of(IP, come))
    changed = [routes] if routes.gone or routes.come else []
    # Who gets an address is filtered before it is routed, and who loses it after.
    yield from (*rules, *changed) if now else (*changed, *rules)
    settings = SetSettings(_of(("setting",), gone), _of(("setting",), come))
    if settings.gone or settings.come:
        on = {one.words[0] for one in everything.values() if one.kind == "setting"}
        yield SetSettings(settings.gone, settings.come, frozenset(on))


def _filter(
    facts: Facts, everything: Iterable[Entry], gone: frozenset[Entry], come: frozenset[Entry], tables: frozenset[str]
) -> Iterator[SetFilter]:
    """Yield the change of our tables, if there is one; a table that is not whole gets all that any address needs of it."""
    again = frozenset(name for name in tables if name not in facts.filter.whole)
    takes = _of(("element",), gone)
    gives = _of(("element",), come) | {one for one in everything if one.kind == "element" and one.words[0] in again}
    useless = [name for name in TABLES if name in facts.filter.there and name not in tables]
    if takes or gives or useless or again:
        text = filtering.text(facts.filter, takes, gives, tables)
        yield SetFilter(takes, frozenset(gives), text)


def _kept(facts: Facts, record: Mapping[str, Definition]) -> Iterator[Entry]:
    """Yield what stays although it is not needed now: that of an uplink which is not known at this moment."""
    for definition in record.values():
        if uplink_of(definition, facts) in facts.links:
            continue
        for one in facts.entries:
            if one.words[0] == definition.address or one.words[:2] == (NAT, "uplinks") or one.kind == "setting":
                yield one


def _of(kinds: Iterable[str], entries: Iterable[Entry]) -> frozenset[Entry]:
    return frozenset(one for one in entries if one.kind in kinds)
