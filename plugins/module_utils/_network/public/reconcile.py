# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring public addresses of this host to what was asked: observe, plan, apply, read back. Modules and ``edge-host`` call this.

A provider's driver calls ``reconcile`` once its cloud sends the packets of an address to this host: with mode routed where the
guest may have the address itself, with mode nat where the cloud only gives further addresses to a network card.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..._errors import EdgeError
from ..._files import locked
from ..._plan import Plan, execute
from . import record
from .check import check as check_host
from .definition import Definition
from .filtering import Filter
from .host import Addresses
from .needs import uplink_of
from .plan import plan, plan_recorded, state_of
from .state import Facts, State
from .steps import Announce

LOCK_SECONDS = 120.0


@dataclass(frozen=True)
class Made:
    """What was done for the addresses that are made at boot, which of them failed, the uplinks and bridges of all, and the filter
    after that.
    """

    actions: list[str]
    failed: dict[str, EdgeError]
    links: frozenset[str]
    filter: Filter | None = None


def reconcile(host: Addresses, address: str, wanted: Definition | None, *, check: bool) -> tuple[Plan[State], State]:
    """Return the plan and the state after it, in check mode as predicted; None for ``wanted`` takes the address away."""
    if check:
        made = plan(host.facts(), address, wanted)
        return made, made.after
    with _alone(host):
        made = plan(host.facts(), address, wanted)
        execute(made, host.apply)
        return made, _settled(host, made, wanted) if made.changed else made.before


def _settled(host: Addresses, made: Plan[State], wanted: Definition | None) -> State:
    left = plan(host.facts(), made.before.address, wanted)
    if left.changed:
        raise EdgeError(
            f"The kernel did not take everything of {made.before.address}; what it lacks: {'; '.join(left.actions)}.",
            done=made.actions,
            left=left.actions,
        )
    return left.before


def make_recorded(host: Addresses, *, check: bool = False) -> Made:
    """Make the addresses of the host's file, as at boot; one that cannot be made does not stop the others."""
    if not host.places.record.exists():
        return Made([], {}, frozenset())
    with _alone(host):
        facts = host.facts()
        failed: dict[str, EdgeError] = {}
        for address, definition in facts.record.items():
            try:
                check_host(definition, facts)
            except EdgeError as error:
                error.message = f"{address}: {error.message}"
                failed[address] = error
        made = plan_recorded(facts, [address for address in facts.record if address not in failed])
        if not check:
            execute(made, host.apply)
        return Made(made.actions, failed, _links(facts), host.filter())


def _links(facts: Facts) -> frozenset[str]:
    """Return the uplinks and bridges of all addresses; where an uplink is not known yet, each link may become it."""
    uplinks = {uplink_of(one, facts) for one in facts.record.values()}
    known = frozenset(uplink for uplink in uplinks if uplink) | {one.bridge for one in facts.record.values()}
    return known | {link.name for link in facts.links.values() if not link.of_vm} if None in uplinks else known


def announce(host: Addresses, address: str) -> bool:
    """Tell all neighbours again where an address of this host is, as after a migration; return whether the host has it."""
    facts = host.facts()
    found = facts.record.get(address)
    if found is not None:
        host.announce(Announce(found, uplink_of(found, facts)))
    return found is not None


def listing(host: Addresses, address: str | None = None) -> list[dict[str, Any]]:
    """Return the public addresses of this host, or only one, as JSON, sorted; a host without any may lack nft(8) and the rest."""
    if not record.read(host.places.record):
        return []
    facts = host.facts()
    return [state_of(one, facts).view() for one in sorted(facts.record, key=_order) if address in (None, one)]


def of_taps(host: Addresses, taps: frozenset[str]) -> dict[str, Definition]:
    """Return the recorded addresses of some tap devices."""
    return {address: one for address, one in record.read(host.places.record).items() if one.tap in taps}


def _order(address: str) -> tuple[int, str]:
    return address.count(":"), address


def _alone(host: Addresses) -> AbstractContextManager[None]:
    """Hold the lock of who changes public addresses on this host."""
    return locked(host.places.lock, wait=LOCK_SECONDS, make_folder=True)
