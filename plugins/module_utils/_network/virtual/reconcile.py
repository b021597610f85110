# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring virtual networks of this host to what was asked: observe, plan, apply, read back. Modules and ``edge-host`` call this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..._errors import EdgeError, InvalidInput
from ..._files import locked
from ..._plan import Plan
from . import record
from .definition import MODULE, Definition, Wanted
from .iproute import Networking
from .names import bridge_link
from .plan import Draft, plan
from .state import Facts, Networks, Record, Tap, observed
from .steps import AddLink, AttachTap, Forget, NetworkStep, Remember
from .underlay import vxlan_overhead

LOCK_SECONDS = 120.0
LEAST_MTU = 1500 - vxlan_overhead(6)
Taps = Mapping[str, Tap]


@dataclass(frozen=True)
class Made:
    """What was done for the networks that are made at boot, which of them failed, and the ports of VMs by their name."""

    actions: list[str]
    failed: dict[str, EdgeError]
    taps: Taps


def checked(items: Sequence[Mapping[str, Any]], option: str) -> list[Wanted]:
    """Return the canonical form of a list of networks, each named once; ``option`` is the path of the list."""
    found: dict[str, int] = {}
    asked = []
    for place, item in enumerate(items):
        wanted = Wanted.checked(item, f"{option}[{place}].")
        if found.setdefault(wanted.name, place) != place:
            path = f"{option}[{place}].name"
            raise InvalidInput(f"{path}: {wanted.name} is {option}[{found[wanted.name]}] already; name each once.", option=path)
        asked.append(wanted)
    return asked


def reconcile(net: Networking, asked: Sequence[Wanted], *, check: bool) -> tuple[Plan[Networks], Networks | None]:
    """Return the plan and, unless ``check``, the networks after it; if one network has an error, nothing is changed."""
    if check:
        return _draft(net, asked).require(), None
    with _alone(net):
        made = _draft(net, asked).require()
        return made, _carry_out(net, asked, made) if made.changed else made.before


def make_recorded(net: Networking, taps: Taps = MappingProxyType({}), *, check: bool) -> Made:
    """Make the networks of the host's file, as at boot; one that cannot be made does not stop the others.

    Of one that cannot be made yet, for instance because its underlay has no address, at least the bridge is made, so that VMs can
    start. ``taps`` are ports of VMs that were seen before: one that lost its bridge gets it again.
    """
    asked: list[Wanted] = []
    failed: dict[str, EdgeError] = {}
    known = {}
    with _alone(net):
        for name, raw in record.read(net.places.record).items():
            try:
                definition = Definition.checked(raw)
                known[name] = definition.over(raw)  # the file is only read here
                asked.append(Wanted(name, definition, where=f"{name}: ", module=definition.module))
            except EdgeError as error:
                failed[name] = error
        # A network may be over a link alone, which has to be there first, and that over another one.
        first = [wanted for wanted in asked if wanted.module != MODULE]
        actions = _links_alone(net, first, known, failed, check=check) if first else []
        actions += _each_that_can(net, [one for one in asked if one.module == MODULE], known, failed, check=check)
        if not check:
            actions += _bridges_only(net, [wanted for wanted in asked if wanted.name in failed])
        facts = net.facts({})
        bridges = {
            one.name: (one.definition and one.definition.bridge) or bridge_link(one.name) for one in asked if one.module == MODULE
        }
        shut = frozenset(one.name for one in asked if one.definition and one.definition.peers_isolated)
        if not check and (again := _lost(facts, taps, bridges, shut)):
            net.apply(again)
            actions += [step.sentence for step in again]
            facts = net.facts({})
    ports = {
        tap.name: Tap(name, tap.index, tap.isolated, facts.vlans.get(tap.name, ()))
        for name, bridge in bridges.items()
        for tap in facts.by_master.get(bridge, ())
        if tap.of_vm
    }
    return Made(actions, failed, ports)


def _links_alone(
    net: Networking, asked: Sequence[Wanted], known: Record, failed: dict[str, EdgeError], *, check: bool
) -> list[str]:
    """Make the links without a bridge, as often as one more can be made upon those that are there since."""
    actions: list[str] = []
    missed: dict[str, EdgeError] = {}
    for _deeper in range(1 if check else len(asked)):
        missed = {}
        done = _each_that_can(net, asked, known, missed, check=check)
        actions += done
        asked = [wanted for wanted in asked if wanted.name in missed]
        if not (done and asked):
            break
    failed |= missed
    return actions


def _each_that_can(
    net: Networking, asked: Sequence[Wanted], known: Record, failed: dict[str, EdgeError], *, check: bool
) -> list[str]:
    """Make all networks but those that cannot be, which are added to ``failed``: also one of which the kernel refuses a command."""
    actions: list[str] = []
    while True:
        draft = plan(net.facts(known), asked)
        failed |= {wanted.name: error for wanted, error in draft.errors}
        asked = [wanted for wanted in asked if wanted.name not in failed]
        if check or not draft.plan.changed:
            return actions + draft.plan.actions
        try:
            _carry_out(net, asked, draft.plan)
        except EdgeError as error:
            guilty = {*error.details.get("networks", ()), error.details.get("network")} & {wanted.name for wanted in asked}
            if not guilty:
                raise
            failed |= dict.fromkeys(guilty, error)
            asked = [wanted for wanted in asked if wanted.name not in guilty]
            actions += error.details.get("done", [])
        else:
            return actions + draft.plan.actions


def _bridges_only(net: Networking, asked: Sequence[Wanted]) -> list[str]:
    """Make the bridges of networks that have no link yet, with an MTU that will do wherever they are carried."""
    facts = net.facts({}) if asked else Facts({})
    plain = [
        replace(one, definition=_plain(one.definition))
        for one in asked
        if one.definition is not None and one.module == MODULE and one.definition.bridge is None and not facts.ours(one.name)
    ]
    made = []
    for step in plan(facts, plain).plan.steps:
        with suppress(EdgeError):  # the error of this network is known already
            net.apply([step] if isinstance(step, AddLink) else [])
            made += [step.sentence]
    return made


def _plain(definition: Definition) -> Definition:
    """Return the bridge of a network alone."""
    return Definition(definition.name, "bridge", mtu=definition.mtu or LEAST_MTU, vlan_filtering=definition.vlan_filtering)


def _lost(facts: Facts, taps: Taps, bridges: Mapping[str, str], shut: frozenset[str]) -> list[AttachTap]:
    """Return the steps for ports of VMs that have no bridge any more; ``shut`` are the networks whose VMs are isolated.

    A port that a VM got since is libvirt's to attach, whatever its name.
    """
    found = []
    for name, tap in sorted(taps.items()):
        link, bridge = facts.links.get(name), bridges.get(tap.network)
        if link and link.index == tap.index and not link.master and bridge in facts.links:
            found.append(AttachTap(tap.network, name, str(bridge), tap.isolated or tap.network in shut, tap.vlans))
    return found


def _draft(net: Networking, asked: Sequence[Wanted]) -> Draft:
    return plan(net.facts(record.read(net.places.record)), asked)


def _alone(net: Networking) -> AbstractContextManager[None]:
    """Hold the lock of who changes networks on this host."""
    return locked(net.places.lock, wait=LOCK_SECONDS, make_folder=True)


def _carry_out(net: Networking, asked: Sequence[Wanted], made: Plan[Networks]) -> Networks:
    """Apply a plan, and return what is there then.

    A network that goes is forgotten before its links go, and one that comes is remembered when its links are there, so that what
    is made at boot is never more than what was asked.
    """
    steps: list[NetworkStep] = [step for step in made.steps if isinstance(step, NetworkStep)]
    _rewrite(net, [step for step in steps if isinstance(step, Forget)])
    net.apply(steps)
    facts = net.facts(record.read(net.places.record))
    draft = plan(facts, asked)
    left = [one for one in draft.require().steps if isinstance(one, NetworkStep) and not isinstance(one, Remember)]
    if left:
        raise EdgeError(
            "The kernel did not take everything; what it lacks: " + "; ".join(step.sentence for step in left) + ".",
            done=made.actions,
            left=[step.sentence for step in left],
            networks=sorted({step.network for step in left}),
        )
    _rewrite(net, [step for step in steps if isinstance(step, Remember)])
    facts = replace(facts, record=record.read(net.places.record))
    return {wanted.name: observed(facts, wanted.name) for wanted in asked}


def _rewrite(net: Networking, steps: Sequence[Forget | Remember]) -> None:
    if not steps:
        return
    known = record.read(net.places.record)
    for step in steps:
        known.pop(step.network, None)
        if isinstance(step, Remember):
            known[step.network] = step.definition
    record.write(net.places.record, known)
