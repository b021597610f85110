# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declares the addresses of networks: a change is checked against other networks and against all leases before it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from ..._errors import Conflict, Refused
from ..._plan import Plan
from ..._shown import few
from .asked import GIVEN, SHARED, NetworkRequest
from .clock import Moment
from .database import opened
from .definition import Misfit, Network
from .tables import Tables, Used
from .values import span_of_subnet

LABELS = {"subnets": "subnets and ranges", "mac_prefix": "MAC prefix", "cool_down": "cool-down"}
SHOWN = 6  # leases that a message names


@dataclass(frozen=True)
class SetField:
    """Set one field of a network's addresses."""

    field: str
    value: Any
    network: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Set the {LABELS.get(self.field, self.field)} of the network {self.network}"

    def predict(self, state: Network) -> Network:
        """See Step."""
        return replace(state, **{self.field: self.value})


@dataclass(frozen=True)
class Declare:
    """Add a network with its addresses."""

    network: Network

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Declare the addresses of the network {self.network.name}"

    def predict(self, _state: Network) -> Network:
        """See Step."""
        return self.network


@dataclass(frozen=True)
class Remove:
    """Remove a network with its addresses."""

    network: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove the addresses of the network {self.network}"

    def predict(self, state: Network) -> Network:
        """See Step."""
        return replace(state, present=False)


def plan(before: Network | None, request: NetworkRequest) -> Plan[Network]:
    """Return the steps to what is asked for; see Plan."""
    absent = Network(request.name, "", present=False)
    if not request.present:
        return Plan(before or absent, (Remove(request.name),) if before else ())
    wanted = request.over(before)
    if before is None:
        return Plan(absent, (Declare(wanted),))
    names = [one.name for one in fields(Network) if one.name not in ("name", "present")]
    changes = [name for name in names if getattr(before, name) != getattr(wanted, name)]
    return Plan(before, tuple(SetField(name, getattr(wanted, name), request.name) for name in changes))


def reconcile(path: Path, request: NetworkRequest, now: Moment, *, check: bool) -> Plan[Network]:
    """Declare, change or remove a network in one transaction, and return what was done; with ``check`` only what would be."""
    if not path.exists():
        made = plan(None, request)
        if check or not made.changed:
            return made
    with opened(path, create=True, check=check) as database, database.transaction() as tables:
        return declare_in(tables, request, now)


def declare_in(tables: Tables, request: NetworkRequest, now: Moment) -> Plan[Network]:
    """Declare, change or remove a network in the transaction that the caller holds; an error must end that without a commit."""
    number, before = tables.network(request.name) or (None, None)
    made = plan(before, request)
    if not made.changed:
        return made
    leased = [one for one in tables.all_used(number) if one.lease is not None] if number else []
    if request.present:
        _require_routes(tables, made.after, request)
        _require_fit(made.after, leased, request)
        tables.keep_clock(now)
        _write(tables, number, made.after)
    else:
        _require_no_leases(request.name, leased)
        tables.write("DELETE FROM network WHERE id = ?", number)
    return made


def _require_no_leases(name: str, leased: list[Used]) -> None:
    if leased:
        raise Refused(
            f"name: the network {name} has leases: {_names(leased)}. Release them (edge.cloud.address with state: absent) first.",
            option="name",
            leases=len(leased),
        )


def _names(leased: Iterable[Used]) -> str:
    return few((f"{one.address} (VM {one.vm}, NIC {one.nic})" for one in leased), SHOWN)


def _require_fit(after: Network, leased: list[Used], request: NetworkRequest) -> None:
    """Raise Refused, with the names, where VMs have addresses that the network would no longer give them."""
    found = [(one, after.misfit(one.address, one.vm, static=one.static)) for one in leased]
    bad = [(one, misfit) for one, misfit in found if misfit]
    if not bad:
        return
    users, misfit = [one for one, _misfit in bad], bad[0][1]
    more = f" In all {len(users)} leases no longer fit: {_names(users)}." if len(users) > 1 else ""
    option = _given(misfit, request)
    raise Refused(
        f"{option}: {users[0].address} has a lease of the VM {users[0].vm}, NIC {users[0].nic}, and then {misfit.says}.{more} "
        "Release the leases (edge.cloud.address with state: absent) first, or leave those addresses to their VMs.",
        option=option,
        leases=[{"address": str(one.address), "vm": one.vm, "nic": one.nic} for one in users],
    )


def _given(misfit: Misfit, request: NetworkRequest) -> str:
    """Return the option that the user gave and that makes the misfit."""
    return next((name for name in (misfit.option, *GIVEN) if getattr(request, name) is not None), misfit.option)


def _require_routes(tables: Tables, after: Network, request: NetworkRequest) -> None:
    """Raise Conflict where a host could have to route one subnet to two networks."""
    if after.type not in SHARED:
        return
    for one in after.subnets:
        span = span_of_subnet(one.subnet)
        family, first, last = one.subnet.version, span.first.packed, span.last.packed
        other = tables.one(ROUTED, family, last, first, after.name, *SHARED, after.cluster, after.cluster)
        if other:
            name, kind, start, length = other
            given = list(request.subnets or ())
            option = f"subnets[{given.index(one.subnet)}]" if one.subnet in given else "type"
            raise Conflict(
                f"{option}: {one.subnet} overlaps {ip_network((start, length))} of the network {name} ({kind}), and hosts route "
                "both. Choose another subnet; networks on hosts of different clusters may overlap if both name theirs (cluster).",
                option=option,
                subnet=str(one.subnet),
                network=name,
            )


ROUTED = (
    "SELECT network.name, network.type, first, prefix_length FROM subnet JOIN network ON network.id = subnet.network"
    " WHERE family = ? AND first <= ? AND last >= ? AND network.name != ? AND network.type IN (?, ?)"
    " AND (network.cluster IS NULL OR ? IS NULL OR network.cluster = ?) ORDER BY first LIMIT 1"
)


def _write(tables: Tables, number: int | None, after: Network) -> None:
    values = (after.type, after.cluster, after.mac_prefix, after.cool_down)
    if number is None:
        sql = "INSERT INTO network (type, cluster, mac_prefix, cool_down, name) VALUES (?, ?, ?, ?, ?)"
        number = tables.write(sql, *values, after.name) or 0
    else:
        tables.write("UPDATE network SET type = ?, cluster = ?, mac_prefix = ?, cool_down = ? WHERE id = ?", *values, number)
    tables.write("DELETE FROM subnet WHERE network = ?", number)
    tables.write("DELETE FROM span WHERE network = ?", number)
    for one in after.subnets:
        span, gateway = span_of_subnet(one.subnet), one.gateway.packed if one.gateway else None
        ends = (span.first.packed, span.last.packed)
        tables.write("INSERT INTO subnet VALUES (?, ?, ?, ?, ?, ?)", number, span.version, *ends, one.subnet.prefixlen, gateway)
    spans = [
        *(("range", span, None) for one in after.subnets for span in one.ranges),
        *(("hold", span, None) for span in after.holds),
        *(("reservation", one.span, one.vm) for one in after.reservations),
    ]
    for kind, span, vm in spans:
        tables.write(
            "INSERT INTO span VALUES (?, ?, ?, ?, ?, ?)", number, kind, span.version, span.first.packed, span.last.packed, vm
        )
    used = [one.address for one in tables.all_used(number)]
    for family in (4, 6):
        tables.replace_free(number, family, after.free(family, [int(one) for one in used if one.version == family]))
