# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of the modules ask for: read once, with the option's path in each error. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..._shown import few
from .definition import DefinedSubnet, Network, Reservation
from .intervals import Address, unusable
from .values import (
    COOL_DOWN_MAX,
    Span,
    address_of,
    bad,
    first_usable,
    mac_address,
    mac_prefix,
    network_name,
    nic_name,
    span_of,
    span_of_subnet,
    subnet_of,
    vm_name,
)

SHARED = ("nat", "routed")  # types whose subnets are routes of the host
FAMILIES = {"ipv4": 4, "ipv6": 6}
FIRST_NIC = "nic0"
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
    subnets: tuple[DefinedSubnet, ...] | None = None
    holds: tuple[Span, ...] | None = None
    reservations: tuple[Reservation, ...] | None = None
    mac_prefix: str | None = None
    cool_down: int | None = None

    @classmethod
    def checked(cls, options: Options) -> NetworkRequest:
        """Return the request, or raise InvalidInput."""
        subnets, holds, reserved = options["subnets"], options["holds"], options["reservations"]
        cool_down, prefix, cluster = options["cool_down"], options["mac_prefix"], options["cluster"]
        if cool_down is not None and not 0 <= cool_down <= COOL_DOWN_MAX:
            raise bad("cool_down", f"is out of range; give 0 to {COOL_DOWN_MAX} seconds.", cool_down)
        kind = options["type"]
        return cls(
            name=network_name(options["name"], "name"),
            present=options["state"] == "present",
            type=kind,
            cluster=cluster and network_name(cluster, "cluster"),
            subnets=None if subnets is None else tuple(_subnet(one, f"subnets[{at}]") for at, one in enumerate(subnets)),
            holds=None if holds is None else tuple(_span(one, f"holds[{at}]") for at, one in enumerate(holds)),
            reservations=None
            if reserved is None
            else tuple(_reserved(one, f"reservations[{at}]") for at, one in enumerate(reserved)),
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
            subnets=_with_gateways(base.subnets if self.subnets is None else self.subnets, kind),
            holds=base.holds if self.holds is None else _ordered(self.holds),
            reservations=base.reservations if self.reservations is None else _ordered_reservations(self.reservations),
            mac_prefix=self.mac_prefix or base.mac_prefix,
            cool_down=base.cool_down if self.cool_down is None else self.cool_down,
        )
        self._check(found)
        return found

    def _check(self, found: Network) -> None:
        """Raise InvalidInput, about an option that was given, where spans overlap or lie outside."""
        if self.subnets is not None:
            _refuse_overlaps(
                [Placed(f"subnets[{at}].subnet", "subnet", span_of_subnet(one.subnet)) for at, one in enumerate(self.subnets)]
            )
        reserved = None if self.reservations is None else [one.span for one in self.reservations]
        kept = [
            *self._placed(self.holds, found.holds, "holds", "hold"),
            *self._placed(reserved, [one.span for one in found.reservations], "reservations", "reservation"),
        ]
        _refuse_overlaps(kept)
        for one in kept:
            subnet = found.subnet_with(one.span.first)
            if subnet is None or one.span.last not in subnet.subnet:
                raise bad(one.option, f"the {one.what} {one.span} lies in no subnet of the network ({_list(found.subnets)}).")
            if one.what == "reservation":
                _refuse_specials(one, subnet)

    def _placed(self, asked: Sequence[Span] | None, found: Sequence[Span], option: str, what: str) -> list[Placed]:
        """Return spans with their options; what was declared before is in the way of the option that was given."""
        if asked is not None:
            return [Placed(f"{option}[{at}]", what, span) for at, span in enumerate(asked)]
        given = (name for name in ("subnets", "holds", "reservations", "type") if getattr(self, name) is not None)
        return [Placed(next(given, option), what, span) for span in found]


def _subnet(options: Options, where: str) -> DefinedSubnet:
    subnet = subnet_of(options["subnet"], f"{where}.subnet")
    option = f"{where}.gateway"
    gateway = None if options["gateway"] is None else address_of(options["gateway"], option, subnet.version)
    if gateway and (gateway not in subnet or gateway in unusable(subnet)):
        says = f"is {unusable(subnet)[gateway]} of {subnet}" if gateway in subnet else f"is not in {subnet}"
        raise bad(option, f"{says}; give an address in it that a host can have.", gateway)
    asked = options["ranges"]
    if asked is None:
        return DefinedSubnet(subnet, gateway, (span_of_subnet(subnet),))
    paths = [f"{where}.ranges[{at}]" for at in range(len(asked))]
    placed = [Placed(path, "range", _span(one, path)) for path, one in zip(paths, asked, strict=True)]
    for one in placed:
        if one.span.first not in subnet or one.span.last not in subnet:
            raise bad(one.option, f"{one.span} is not in the subnet {subnet}.")
    _refuse_overlaps(placed)
    return DefinedSubnet(subnet, gateway, _ordered(one.span for one in placed))


def _span(options: Options, where: str) -> Span:
    return span_of(options["start"], options["end"], where)


def _reserved(options: Options, where: str) -> Reservation:
    return Reservation(_span(options, where), vm_name(options["vm"], f"{where}.vm"))


def _ordered(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.version, int(span.first))))


def _ordered_reservations(found: Sequence[Reservation]) -> tuple[Reservation, ...]:
    return tuple(sorted(found, key=lambda one: (one.span.version, int(one.span.first))))


def _with_gateways(subnets: Sequence[DefinedSubnet], kind: str) -> tuple[DefinedSubnet, ...]:
    """Return the subnets in order; of a type that the host routes, one without a gateway has the host at its first address."""
    found = [
        DefinedSubnet(one.subnet, one.gateway or (first_usable(one.subnet) if kind in SHARED else None), one.ranges)
        for one in subnets
    ]
    return tuple(sorted(found, key=lambda one: (one.subnet.version, int(one.subnet.network_address))))


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
