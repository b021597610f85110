# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that give interfaces their public addresses: taken away before a domain changes, given after. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..._plan import Plan
from ..model.public_address import GivenAddress, PublicTool
from ..model.spec import DomainSpec, Nic
from ..model.state import VmState


@dataclass(frozen=True)
class GiveAddress:
    """Have the host pass a public address on to an interface."""

    wanted: GivenAddress

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Give {self.wanted.vm} the public address {self.wanted.public.address}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return state


@dataclass(frozen=True)
class TakeAddress:
    """Have the host no longer pass it on."""

    vm: str
    address: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Take the public address {self.address} from {self.vm}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return state


def with_addresses(plan: Plan[VmState], wanted: DomainSpec | None, tool: PublicTool) -> Plan[VmState]:
    """Return a plan with the steps for the public addresses of what is wanted, and those that the domain has from us.

    An address that ``edge.cloud.public_address`` gave is none of the domain's, and stays.
    """
    given = tuple(_given(wanted)) if wanted else ()
    kept = {one.public.address for one in given}
    had = {one.address: nic.tap or "" for nic in _recorded(plan.before) for one in nic.public_address}
    if not given and not had:
        return plan
    lacking, there = tool.lacking(given, {address: tap for address, tap in had.items() if address not in kept})
    takes = [TakeAddress(plan.before.name, address) for address in there]
    return Plan(plan.before, (*takes, *plan.steps, *map(GiveAddress, lacking)))


def apply_address(step: object, tool: PublicTool) -> bool:
    """Carry out a step if it is one of these, and return whether it was."""
    if isinstance(step, GiveAddress):
        tool.give(step.wanted)
    elif isinstance(step, TakeAddress):
        tool.take(step.address)
    return isinstance(step, GiveAddress | TakeAddress)


def _recorded(state: VmState) -> tuple[Nic, ...]:
    return state.record.spec.nics if state.record else ()


def _given(spec: DomainSpec) -> Iterator[GivenAddress]:
    for place, nic in enumerate(spec.nics):
        for number, one in enumerate(nic.public_address):
            where = f"nics[{place}].public_address[{number}]."
            yield GivenAddress(where, spec.name, nic.bridge or "", nic.tap or "", nic.mac, one)
