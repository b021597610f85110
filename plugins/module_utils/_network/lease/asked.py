# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of the modules ask for: read once, with the option's path in each error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from ..._shown import few
from ..link.addressing import mac_address, network_name, subnet_of
from .definition import DefinedSubnet, Network, Reservation
from .intervals import Address, Subnet, unusable
from .values import (
    COOL_DOWN_MAX,
    Span,
    address_of,
    bad,
    first_usable,
    mac_prefix,
    nic_name,
    span_of,
    span_of_subnet,
    vm_name,
)

SHARED = ("nat", "routed")  # types whose subnets are routes of the host
FAMILIES = {"ipv4": 4, "ipv6": 6}
FIRST_NIC = "nic0"
GIVEN = ("subnets", "gateway", "ranges", "holds", "reservations", "type")  # options that can make another one misfit
Item = TypeVar("Item")
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Placed:
    """Addresses with the path of the option that named them, and what it declares."""

    option: str
    what: str
    span: Span


def file_path(path: str) -> Path:
    """Return where the file is, or raise InvalidInput."""
    if not path.startswith("/") or path.endswith("/"):
        raise bad("path", "is not the absolute path of a file.", path)
    return Path(path)


@dataclass(frozen=True)
class NetworkRequest:
    """What is asked of a network's addresses; None leaves a field as it is."""

    name: str
    present: bool = True
    type: str | None = None
    cluster: str | None = None
    subnets: tuple[Subnet, ...] | None = None
    gateway: tuple[Address, ...] | None = None
    ranges: tuple[Span, ...] | None = None
    holds: tuple[Span, ...] | None = None
    reservations: tuple[Reservation, ...] | None = None
    mac_prefix: str | None = None
    cool_down: int | None = None

    @classmethod
    def checked(cls, options: Options) -> NetworkRequest:
        """Return the request, or raise InvalidInput."""
        cool_down, prefix, cluster = options["cool_down"], options["mac_prefix"], options["cluster"]
        if cool_down is not None and not 0 <= cool_down <= COOL_DOWN_MAX:
            raise bad("cool_down", f"is out of range; give 0 to {COOL_DOWN_MAX} seconds.", cool_down)
        return cls(
            name=network_name(options["name"], "name"),
            present=options["state"] == "present",
            type=options["type"],
            cluster=cluster and network_name(cluster, "cluster"),
            subnets=_each(options, "subnets", subnet_of),
            gateway=_each(options, "gateway", address_of),
            ranges=_each(options, "ranges", _span),
            holds=_each(options, "holds", _span),
            reservations=_each(options, "reservations", _reserved),
            mac_prefix=None if prefix is None else mac_prefix(prefix, "mac_prefix"),
            cool_down=cool_down,
        )

    def over(self, before: Network | None) -> Network:
        """Return the network as it is to be, or raise InvalidInput where its parts do not fit each other."""
        if before is None:
            for option, value in (("type", self.type), ("subnets", self.subnets)):
                if value is None:
                    raise bad(option, f"a new network needs it; {self.name} is not declared yet.")
        base = before or Network(self.name, self.type or "")
        kind = base.type if self.type is None else self.type
        found = Network(
            name=self.name,
            type=kind,
            cluster=base.cluster if self.cluster is None else self.cluster or None,
            subnets=self._subnets(base, kind),
            holds=base.holds if self.holds is None else _ordered(self.holds),
            reservations=base.reservations if self.reservations is None else _ordered_reservations(self.reservations),
            mac_prefix=self.mac_prefix or base.mac_prefix,
            cool_down=base.cool_down if self.cool_down is None else self.cool_down,
        )
        self._check(found)
        return found

    def _subnets(self, base: Network, kind: str) -> tuple[DefinedSubnet, ...]:
        """Return the subnets in order; what is not given of one stays, and a new one is given whole."""
        old = {one.subnet: one for one in base.subnets}
        found = []
        for subnet in old if self.subnets is None else self.subnets:
            before = old.get(subnet) or DefinedSubnet(subnet, None, (span_of_subnet(subnet),))
            ranges = before.ranges if self.ranges is None else _ordered(span for span in self.ranges if span.first in subnet)
            gateway = before.gateway if self.gateway is None else next((one for one in self.gateway if one in subnet), None)
            if gateway is None and kind in SHARED:  # the host is the gateway
                gateway = first_usable(subnet)
            found.append(DefinedSubnet(subnet, gateway, ranges))
        return tuple(sorted(found, key=lambda one: (one.subnet.version, int(one.subnet.network_address))))

    def _check(self, found: Network) -> None:
        """Raise InvalidInput, about an option that was given, where spans overlap or lie outside."""
        _refuse_overlaps([Placed(f"subnets[{at}]", "subnet", span_of_subnet(one)) for at, one in enumerate(self.subnets or ())])
        ranges = [Placed(f"ranges[{at}]", "range", span) for at, span in enumerate(self.ranges or ())]
        reserved = None if self.reservations is None else [one.span for one in self.reservations]
        kept = [
            *self._placed(self.holds, found.holds, "holds", "hold"),
            *self._placed(reserved, [one.span for one in found.reservations], "reservations", "reservation"),
        ]
        _refuse_overlaps(ranges)
        _refuse_overlaps(kept)
        self._check_gateways(found)
        for one in (*ranges, *kept):
            subnet = found.subnet_with(one.span.first)
            if subnet is None or one.span.last not in subnet.subnet:
                raise bad(one.option, f"the {one.what} {one.span} lies in no subnet of the network ({_list(found.subnets)}).")
            if one.what == "reservation":
                _refuse_specials(one, subnet)

    def _check_gateways(self, found: Network) -> None:
        others: dict[Subnet, Address] = {}
        for at, gateway in enumerate(self.gateway or ()):
            one, option = found.subnet_with(gateway), f"gateway[{at}]"
            if one is None:
                raise bad(option, f"{gateway} lies in no subnet of the network ({_list(found.subnets)}).")
            never = unusable(one.subnet)
            if gateway in never:
                raise bad(option, f"{gateway} is {never[gateway]} of {one.subnet}; give an address that a host can have.")
            if one.subnet in others:
                raise bad(option, f"{gateway} and {others[one.subnet]} are both in {one.subnet}; give one gateway of it.")
            others[one.subnet] = gateway

    def _placed(self, asked: Sequence[Span] | None, found: Sequence[Span], option: str, what: str) -> list[Placed]:
        """Return spans with their options; what was declared before is in the way of the option that was given."""
        if asked is not None:
            return [Placed(f"{option}[{at}]", what, span) for at, span in enumerate(asked)]
        given = (name for name in GIVEN if getattr(self, name) is not None)
        return [Placed(next(given, option), what, span) for span in found]


def _each(options: Options, name: str, checked: Callable[[Any, str], Item]) -> tuple[Item, ...] | None:
    """Return the checked values of a list, None where it is left out."""
    return None if options[name] is None else tuple(checked(one, f"{name}[{at}]") for at, one in enumerate(options[name]))


def _span(options: Options, where: str) -> Span:
    start, end, subnet = options["start"], options["end"], options["subnet"]
    if subnet is None:
        if start is None:
            raise bad(where, "give start, with end if it is more than one address, or subnet.")
        return span_of(start, end, where)
    if start is not None or end is not None:
        raise bad(where, "give either subnet, or start and end.")
    return span_of_subnet(subnet_of(subnet, f"{where}.subnet"))


def _reserved(options: Options, where: str) -> Reservation:
    return Reservation(_span(options, where), vm_name(options["vm"], f"{where}.vm"))


def _ordered(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.version, int(span.first))))


def _ordered_reservations(found: Sequence[Reservation]) -> tuple[Reservation, ...]:
    return tuple(sorted(found, key=lambda one: (one.span.version, int(one.span.first))))


def _refuse_overlaps(placed: Sequence[Placed]) -> None:
    """Raise InvalidInput for the first overlap; each of the two that was not given now is the other one."""
    ordered = sorted(placed, key=lambda one: (one.span.version, int(one.span.first)))
    for pair in pairwise(ordered):
        if pair[0].span.overlaps(pair[1].span):
            one, other = sorted(pair, key=lambda placed: "[" not in placed.option)
            says = f"{one.span} overlaps the {other.what} {other.span} of this network ({other.option}); no address can be in both."
            raise bad(one.option, says)


def _refuse_specials(one: Placed, subnet: DefinedSubnet) -> None:
    for address, what in subnet.specials.items():
        if address in one.span:
            raise bad(one.option, f"{one.span} has {address}, which is {what} of {subnet.subnet} and no VM's; leave it out.")


def _list(subnets: Sequence[DefinedSubnet]) -> str:
    return few(str(one.subnet) for one in subnets)


@dataclass(frozen=True)
class LeaseRequest:
    """A lease that a VM's NIC is to have in a network; None of an address is one from a range, of a family all there are."""

    network: str
    vm: str
    nic: str
    addresses: tuple[tuple[int, Address], ...] = ()
    mac: str | None = None
    families: tuple[int, ...] | None = None

    @classmethod
    def checked(cls, options: Options) -> LeaseRequest:
        """Return the request, or raise InvalidInput."""
        given = {version: options[name] for name, version in FAMILIES.items() if options[name] is not None}
        families = options["families"]
        if families is not None:
            if not families:
                raise bad("families", "is empty; name ipv4, ipv6 or both, or leave it out.")
            for name, version in FAMILIES.items():
                if version in given and name not in families:
                    raise bad(name, f"{given[version]} is asked for, but families has only {', '.join(families)}.")
        if options["network"] is None:
            raise bad("network", "a lease needs the network that it is in.")
        return cls(
            network=network_name(options["network"], "network"),
            vm=vm_name(options["vm"], "vm"),
            nic=nic_name(FIRST_NIC if options["nic"] is None else options["nic"], "nic"),
            addresses=tuple((version, address_of(text, f"ipv{version}", version)) for version, text in given.items()),
            mac=None if options["mac"] is None else mac_address(options["mac"], "mac"),
            families=None if families is None else tuple(sorted({FAMILIES[name] for name in families})),
        )

    def asked(self, version: int) -> Address | None:
        """Return the address of this family that was asked for."""
        return dict(self.addresses).get(version)


@dataclass(frozen=True)
class ReleaseRequest:
    """The leases of a VM that are to end: those of one NIC or network where that is given."""

    vm: str
    network: str | None = None
    nic: str | None = None

    @classmethod
    def checked(cls, options: Options) -> ReleaseRequest:
        """Return the request, or raise InvalidInput."""
        for name in ("ipv4", "ipv6", "families", "mac"):
            if options[name] is not None:
                raise bad(name, "with state=absent the lease of a NIC ends whole; leave it out, and name network and nic instead.")
        return cls(
            vm=vm_name(options["vm"], "vm"),
            network=options["network"] and network_name(options["network"], "network"),
            nic=options["nic"] and nic_name(options["nic"], "nic"),
        )
