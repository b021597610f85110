# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases: observed, planned and written in one transaction, so that no two NICs ever get the same address.

An address is looked for in this order: the one that the NIC has, what is reserved for its VM, the one that it had and that cools
down, the lowest free one of the ranges. A check runs the same on a copy of the file, and so tells the very address of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from ..._errors import Busy, Conflict, InvalidInput, NotFound
from ..._plan import Plan
from ..._shown import few, nearest
from .asked import FAMILIES, LeaseRequest, ReleaseRequest
from .clock import Moment
from .database import opened
from .definition import ANYONE, DefinedSubnet, Finder
from .intervals import Address
from .lease_plan import End, Holder, Lease, LeasedAddress, Leases, LeaseStep, Release, SetMac, Take, leased_in
from .tables import Row, Tables, address_at
from .usage import exhausted
from .values import FAMILY, bad, macs_of, span_of_subnet

NAMES = {version: name for name, version in FAMILIES.items()}


def lease(path: Path, request: LeaseRequest, now: Moment, *, check: bool) -> Plan[Leases]:
    """Lease addresses to a NIC, and return what was done; with ``check`` only what would be, and no file is changed."""
    with opened(path, check=check) as database, database.transaction() as tables:
        return lease_in(tables, request, now)


def release(path: Path, request: ReleaseRequest, now: Moment, *, check: bool) -> Plan[Leases]:
    """Release all leases that are asked for, and return what was done; with ``check`` only what would be."""
    if not path.exists():
        return Plan({})
    with opened(path, check=check) as database, database.transaction() as tables:
        return release_in(tables, request, now)


def lease_in(tables: Tables, request: LeaseRequest, now: Moment) -> Plan[Leases]:
    """Lease addresses to a NIC in the transaction that the caller holds; an error must end that without a commit."""
    row, passed = _row(tables, request.network), tables.passed(now)
    holder = Holder(request.network, request.vm, request.nic)
    before = next(iter(leases_of(tables, request.vm, request.network, request.nic)), None)
    mac = _mac(tables, row, request, before)
    steps: list[LeaseStep] = [SetMac(holder, mac)] if before is None or before.mac != mac else []
    for version in (4, 6):
        steps += _family_steps(tables, row, request, before.of(version) if before else None, version=version, passed=passed)
    if before is None and len(steps) == 1:
        _require_an_address(tables, row, request)
    return _applied(tables, Plan({holder: before} if before else {}, tuple(steps)), now)


def release_in(tables: Tables, request: ReleaseRequest, now: Moment) -> Plan[Leases]:
    """Release leases in the transaction that the caller holds."""
    before = {found.holder: found for found in leases_of(tables, request.vm, request.network, request.nic)}
    steps: list[LeaseStep] = []
    for holder, found in before.items():
        row = _row(tables, holder.network)
        steps += [Release(holder, one.address, row.cool_down) for one in found.addresses]
        steps.append(End(holder))
    return _applied(tables, Plan(before, tuple(steps)), now)


def leases_of(tables: Tables, vm: str | None = None, network: str | None = None, nic: str | None = None) -> Iterator[Lease]:
    """Yield leases, of one VM, network and NIC where that is given."""
    asked = {"lease.vm": vm, "network.name": network, "lease.nic": nic}
    given = {column: value for column, value in asked.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in given) or "1"
    subnets: dict[int, Finder[DefinedSubnet]] = {}
    rows = tables.rows(LEASES + where + ORDER, *given.values())
    for (network_id, *names, mac), group in groupby(rows, key=lambda row: row[:5]):
        if network_id not in subnets:
            subnets[network_id] = Finder((span_of_subnet(one.subnet), one) for one in tables.subnets(network_id))
        held = [(address_at(row[5]), bool(row[6])) for row in group if row[5] is not None]
        addresses = tuple(leased_in(subnets[network_id].of(address), address, static=static) for address, static in held)
        yield Lease(Holder(*names), mac, addresses)


LEASES = (
    "SELECT network.id, network.name, lease.vm, lease.nic, lease.mac, address.address, address.static FROM lease"
    " JOIN network ON network.id = lease.network LEFT JOIN address ON address.lease = lease.id WHERE "
)
SET_MAC = (
    "INSERT INTO lease (mac, network, vm, nic) VALUES (?, ?, ?, ?) ON CONFLICT (network, vm, nic) DO UPDATE SET mac = excluded.mac"
)
ORDER = " ORDER BY network.name, lease.vm, lease.nic, length(address.address)"


def _row(tables: Tables, network: str) -> Row:
    row = tables.network_row(network)
    if row is None:
        names = few(nearest(network, tables.names()))
        raise NotFound(
            f"network: no network {network} has addresses here; there are: {names}. Declare it with edge.cloud.address_network.",
            option="network",
            network=network,
        )
    return row


def set_cooled_free(tables: Tables, row: Row, passed: float) -> bool:
    """Set some addresses free whose cool-down is over; tell whether there were any."""
    cooled = tables.cooled(row, passed)
    for address in cooled:
        tables.drop_cooling(row, address)
        owner = tables.part_with(row, address).owner(address)
        if owner is not None:
            tables.set_free(row, address, owner)
    return bool(cooled)


def _mac(tables: Tables, row: Row, request: LeaseRequest, before: Lease | None) -> str:
    """Return the MAC address that the NIC is to have: the one asked for, the one it has, or one by its names."""
    others = "SELECT vm, nic FROM lease WHERE network = ? AND mac = ? AND NOT (vm = ? AND nic = ?)"
    if request.mac is not None:
        other = tables.one(others, row.id, request.mac, request.vm, request.nic)
        if other:
            raise Conflict(
                f"mac: {request.mac} has a lease of the VM {other[0]}, NIC {other[1]}, in the network {row.name}; choose another, "
                "or leave mac out to get a free one.",
                option="mac",
                vm=other[0],
                nic=other[1],
            )
        return request.mac
    if before:
        return before.mac
    for mac in macs_of(row.mac_prefix, request.vm, request.nic):
        if not tables.one(others, row.id, mac, request.vm, request.nic):
            return mac
    raise Conflict(
        f"network: {row.name} has too many MAC addresses that begin with {row.mac_prefix}; give it a shorter mac_prefix.",
        option="network",
    )


def _family_steps(
    tables: Tables, row: Row, request: LeaseRequest, current: LeasedAddress | None, *, version: int, passed: float
) -> Iterator[LeaseStep]:
    holder, asked = Holder(request.network, request.vm, request.nic), request.asked(version)
    if request.families is not None and version not in request.families:
        if current:
            yield Release(holder, current.address, row.cool_down)
        return
    if current and asked in (None, current.address):
        if asked and not current.static:
            yield Take(holder, leased_in(tables.subnet_with(row, asked), asked, static=True))
        return
    if asked:
        _require_available(tables, row, request, asked, passed)
        chosen: Address | None = asked
    else:
        chosen = _chosen(tables, row, request, version, passed)
    if current and chosen:
        yield Release(holder, current.address, row.cool_down)
    if chosen:
        yield Take(holder, leased_in(tables.subnet_with(row, chosen), chosen, static=asked is not None))


def _chosen(tables: Tables, row: Row, request: LeaseRequest, version: int, passed: float) -> Address | None:
    """Return an unused address, or None where the network gives none of this family."""
    if not tables.gives(row, version, request.vm):
        if request.families:
            raise bad(
                "families",
                f"the network {row.name} has no range of {FAMILY[version]} addresses; declare one, or ask for an address.",
            )
        return None
    set_cooled_free(tables, row, passed)
    reserved = tables.lowest_free(row, version, request.vm)
    if reserved:
        return reserved
    for address in tables.former(row, request.vm, request.nic, version):
        if tables.part_with(row, address).misfit(address, request.vm, static=False) is None:
            return address
    free = tables.lowest_free(row, version, ANYONE)
    while free is None and set_cooled_free(tables, row, passed):
        free = tables.lowest_free(row, version, ANYONE)
    if free is None:
        raise exhausted(tables, row, version, passed)
    return free


def _require_an_address(tables: Tables, row: Row, request: LeaseRequest) -> None:
    """Raise InvalidInput where a network has subnets, but no range of them, and no address was asked for."""
    if tables.one("SELECT 1 FROM subnet WHERE network = ?", row.id):
        raise bad(
            "network",
            f"{row.name} has subnets but no range to give an address from; ask for one (ipv4 or ipv6), reserve one for the VM "
            f"{request.vm}, or declare a range.",
        )


def _require_available(tables: Tables, row: Row, request: LeaseRequest, asked: Address, passed: float) -> None:
    """Raise an error that says why the NIC cannot have this address."""
    option = NAMES[asked.version]
    misfit = tables.part_with(row, asked).misfit(asked, request.vm, static=True)
    if misfit:
        kind = InvalidInput if misfit.option in ("subnets", "gateway") else Conflict
        subnets = few(
            (str(one.subnet) for one in tables.subnets(row.id, asked.version)), otherwise="none, the network has no such subnet"
        )
        by = {"vm": misfit.vm} if misfit.vm else {}
        raise kind(f"{option}: {asked} {misfit.says}; choose another address of {subnets}.", option=option, **by)
    used = tables.used(row, asked)
    if used is None or (used.vm, used.nic) == (request.vm, request.nic):
        return
    if used.released is None:
        free = tables.lowest_free(row, asked.version, ANYONE)
        advice = f", such as {free}" if free else ""
        raise Conflict(
            f"{option}: {asked} has a lease of the VM {used.vm}, NIC {used.nic}, in the network {row.name}; release that, or "
            f"choose another address{advice}.",
            option=option,
            vm=used.vm,
            nic=used.nic,
        )
    left = used.released + row.cool_down - passed
    if left > 0:
        raise Busy(
            f"{option}: {asked} was released by the VM {used.vm}, NIC {used.nic}, and cools down for {left:.0f} more seconds; "
            f"wait, choose another address, or lower cool_down of the network {row.name}.",
            option=option,
            vm=used.vm,
            nic=used.nic,
            seconds=round(left),
        )


def _applied(tables: Tables, plan: Plan[Leases], now: Moment) -> Plan[Leases]:
    """Write all steps of a plan, and return it."""
    if plan.changed:
        passed = tables.keep_clock(now)
        for step in plan.steps:
            _apply(tables, step, passed)  # type: ignore[arg-type]
    return plan


def _apply(tables: Tables, step: LeaseStep, passed: float) -> None:
    holder = step.holder
    row = _row(tables, holder.network)
    mine = (row.id, holder.vm, holder.nic)
    if isinstance(step, SetMac):
        tables.write(SET_MAC, step.mac, *mine)
    elif isinstance(step, Release):
        sql = "UPDATE address SET lease = NULL, released = ? WHERE network = ? AND address = ?"
        tables.write(sql, passed, row.id, step.address.packed)
    elif isinstance(step, End):
        tables.write("DELETE FROM lease WHERE network = ? AND vm = ? AND nic = ?", *mine)
    else:
        address = step.taken.address
        tables.take_free(row, address)
        tables.drop_cooling(row, address)
        (lease_id,) = tables.one("SELECT id FROM lease WHERE network = ? AND vm = ? AND nic = ?", *mine)
        tables.lease_address(row, lease_id, holder.vm, holder.nic, address, static=step.taken.static)
