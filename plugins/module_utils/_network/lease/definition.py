# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a network as data: subnets, ranges, holds, reservations; who may have which of them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from .intervals import Address, Interval, Subnet, unusable, without
from .values import Span, span_of_subnet

Item = TypeVar("Item")
Owner = str  # the VM that a free address is reserved for, empty for one that any VM may have
ANYONE: Owner = ""


@dataclass(frozen=True)
class DefinedSubnet:
    """A subnet of a network, with the ranges that addresses are given from."""

    subnet: Subnet
    gateway: Address | None
    ranges: tuple[Span, ...]

    @property
    def specials(self) -> dict[Address, str]:
        """The addresses that no VM can have, and what they are."""
        return {**unusable(self.subnet), **({self.gateway: "the gateway"} if self.gateway else {})}


@dataclass(frozen=True)
class Reservation:
    """Addresses that only one VM may have."""

    span: Span
    vm: str

    def view(self) -> dict[str, str]:
        """Return it as a module shows it."""
        return {**self.span.view(), "vm": self.vm}


class Finder(Generic[Item]):
    """Finds the one of many spans, which do not overlap, that has an address."""

    def __init__(self, items: Iterable[tuple[Span, Item]]) -> None:
        self._items: dict[int, list[tuple[int, int, Item]]] = {4: [], 6: []}
        for span, item in items:
            self._items[span.version].append((*span.interval, item))
        for found in self._items.values():
            found.sort(key=lambda one: one[0])
        self._firsts = {version: [first for first, *_rest in found] for version, found in self._items.items()}

    def of(self, address: Address) -> Item | None:
        """Return what has the address."""
        place = bisect_right(self._firsts[address.version], int(address)) - 1
        if place < 0:
            return None
        _first, last, item = self._items[address.version][place]
        return item if int(address) <= last else None


@dataclass(frozen=True)
class Misfit:
    """Why a VM cannot have an address: the option of the network that says so, and in words that follow the address."""

    option: str
    says: str
    vm: str | None = None


@dataclass(frozen=True)
class Network:
    """The addresses of one virtual network. The spans of each kind do not overlap."""

    name: str
    type: str
    cluster: str | None = None
    subnets: tuple[DefinedSubnet, ...] = ()
    holds: tuple[Span, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    mac_prefix: str = "52:54"
    cool_down: int = 3600
    present: bool = field(default=True, compare=False)

    @cached_property
    def _finders(self) -> tuple[Finder[DefinedSubnet], Finder[Span], Finder[Span], Finder[Reservation]]:
        return (
            Finder((span_of_subnet(one.subnet), one) for one in self.subnets),
            Finder((span, span) for one in self.subnets for span in one.ranges),
            Finder((span, span) for span in self.holds),
            Finder((one.span, one) for one in self.reservations),
        )

    def subnet_with(self, address: Address) -> DefinedSubnet | None:
        """Return the subnet that an address is in."""
        return self._finders[0].of(address)

    def misfit(self, address: Address, vm: str, *, static: bool) -> Misfit | None:
        """Return why a VM cannot have an address, also where it is leased; a dynamic one is in a range or reserved."""
        subnets, ranges, holds, reservations = self._finders
        subnet = subnets.of(address)
        if subnet is None:
            return Misfit("subnets", f"is in no subnet of the network {self.name}")
        if address in subnet.specials:
            option = "gateway" if address == subnet.gateway else "subnets"
            return Misfit(option, f"is {subnet.specials[address]} of {subnet.subnet}")
        hold, reservation = holds.of(address), reservations.of(address)
        if hold:
            return Misfit("holds", f"is held ({hold})")
        if reservation and reservation.vm != vm:
            return Misfit("reservations", f"is reserved for the VM {reservation.vm} ({reservation.span})", reservation.vm)
        if not static and not reservation and not ranges.of(address):
            return Misfit("ranges", f"is in no range of {subnet.subnet}")
        return None

    def owner(self, address: Address) -> Owner | None:
        """Return for whom an unused address is free: a VM, ANYONE, or None where only a static lease may have it."""
        reservation = self._finders[3].of(address)
        owner = reservation.vm if reservation else ANYONE
        return None if self.misfit(address, owner, static=False) else owner

    def free(self, version: int, used: Sequence[int]) -> list[tuple[Owner, list[Interval]]]:
        """Return what may be given to whom of a family; ``used`` are the addresses that are leased or cool down, in order."""
        reserved = [one for one in self.reservations if one.span.version == version]
        never = [
            *(int(address) for one in self.subnets if one.subnet.version == version for address in one.specials),
            *used,
        ]
        held = [span.interval for span in self.holds if span.version == version]
        ranges = [span.interval for one in self.subnets for span in one.ranges if span.version == version]
        taken = [*((number, number) for number in never), *held, *(one.span.interval for one in reserved)]
        return [(ANYONE, without(ranges, taken)), *((one.vm, _unused(one.span.interval, used)) for one in reserved)]

    def view(self) -> dict[str, Any]:
        """Return it as a module shows it."""
        if not self.present:
            return {"state": "absent"}
        return {
            "state": "present",
            "name": self.name,
            "type": self.type,
            "cluster": self.cluster,
            "subnets": [str(one.subnet) for one in self.subnets],
            "gateway": [str(one.gateway) for one in self.subnets if one.gateway],
            "ranges": [span.view() for one in self.subnets for span in one.ranges],
            "holds": [span.view() for span in self.holds],
            "reservations": [one.view() for one in self.reservations],
            "mac_prefix": self.mac_prefix,
            "cool_down": self.cool_down,
        }


def _unused(interval: Interval, used: Sequence[int]) -> list[Interval]:
    inside = used[bisect_left(used, interval[0]) : bisect_right(used, interval[1])]
    return without([interval], [(number, number) for number in inside])
