# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes the tables of the file of addresses, a row or a few at a time; who calls holds the transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from .clock import Moment
from .definition import DefinedSubnet, Network, Reservation
from .intervals import Address, Interval
from .values import Span

LENGTH = {4: 4, 6: 16}
BATCH = 64  # addresses whose cool-down is over that one call sets free


@dataclass(frozen=True)
class Row:
    """The row of a network: what a lease needs of it."""

    id: int
    name: str
    mac_prefix: str
    cool_down: int


@dataclass(frozen=True)
class Used:
    """An address that a NIC has, or had until it was released."""

    address: Address
    vm: str
    nic: str
    static: bool
    released: float | None
    lease: int | None


def key(version: int, number: int) -> bytes:
    """Return an address as the tables have it."""
    return number.to_bytes(LENGTH[version], "big")


def address_at(found: bytes) -> Address:
    """Return an address of the tables."""
    return ip_address(found)


class Tables:
    """The tables of one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        """Return the first row of a query, or None."""
        return self.connection.execute(sql, values).fetchone()

    def write(self, sql: str, *values: Any) -> int | None:
        """Change rows; return the number of the row that was added last."""
        return self.connection.execute(sql, values).lastrowid

    # The clock

    def passed(self, now: Moment) -> float:
        """Return the seconds that have passed since the file was made."""
        found = self.one("SELECT passed, boot, uptime, wall FROM clock")
        return found[0] + now.since(Moment(*found[1:])) if found else 0.0

    def keep_clock(self, now: Moment) -> float:
        """Write down and return the seconds that have passed."""
        passed = self.passed(now)
        self.write("INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", passed, now.boot, now.uptime, now.wall)
        return passed

    # Networks

    def network_row(self, name: str) -> Row | None:
        """Return the row of a network."""
        found = self.one("SELECT id, name, mac_prefix, cool_down FROM network WHERE name = ?", name)
        return Row(*found) if found else None

    def names(self) -> list[str]:
        """Return the names of all networks."""
        return [name for (name,) in self.rows("SELECT name FROM network ORDER BY name")]

    def network(self, name: str) -> tuple[int, Network] | None:
        """Return a network whole, with the number of its row."""
        found = self.one("SELECT id, name, type, cluster, mac_prefix, cool_down FROM network WHERE name = ?", name)
        if found is None:
            return None
        number, name, kind, cluster, prefix, cool_down = found
        subnets, spans = self.rows(SUBNETS, number), self.rows(SPANS, number)
        return number, _network(Network(name, kind, cluster, mac_prefix=prefix, cool_down=cool_down), subnets, spans)

    def part_with(self, row: Row, wanted: Address) -> Network:
        """Return of a network only the subnet, range, hold and reservation that have an address."""
        family, packed = wanted.version, wanted.packed
        subnets = self.rows(f"{SUBNETS} AND family = ? AND first <= ? ORDER BY first DESC LIMIT 1", row.id, family, packed)
        spans = [
            span
            for kind in ("range", "hold", "reservation")
            for span in self.rows(
                f"{SPANS} AND kind = ? AND family = ? AND first <= ? ORDER BY first DESC LIMIT 1", row.id, kind, family, packed
            )
            if span[2] >= packed
        ]
        return _network(Network(row.name, ""), [subnet for subnet in subnets if subnet[1] >= packed], spans)

    def subnet_with(self, row: Row, wanted: Address) -> DefinedSubnet | None:
        """Return the subnet that has an address, without its ranges."""
        found = self.one(
            f"{SUBNETS} AND family = ? AND first <= ? ORDER BY first DESC LIMIT 1", row.id, wanted.version, wanted.packed
        )
        return _subnet(found, []) if found and found[1] >= wanted.packed else None

    def subnets(self, network: int, *families: int) -> list[DefinedSubnet]:
        """Return the subnets of a network, of some families or all, without their ranges."""
        found = [_subnet(row, []) for row in sorted(self.rows(SUBNETS, network), key=_order)]
        return [one for one in found if not families or one.subnet.version in families]

    def gives(self, row: Row, family: int, vm: str) -> bool:
        """Tell whether the network has a range of a family, or a reservation of it for a VM."""
        ranges = "SELECT 1 FROM span WHERE network = ? AND kind = 'range' AND family = ? LIMIT 1"
        reserved = "SELECT 1 FROM span WHERE network = ? AND vm = ? AND family = ? LIMIT 1"
        return self.one(ranges, row.id, family) is not None or self.one(reserved, row.id, vm, family) is not None

    # Addresses in use and cooling down

    def used(self, row: Row, wanted: Address) -> Used | None:
        """Return who has an address, or had it and it cools down."""
        found = self.one(f"{USED} AND address = ?", row.id, wanted.packed)
        return _used(found) if found else None

    def all_used(self, network: int) -> list[Used]:
        """Return all addresses of a network that are leased or cool down, in order."""
        return [_used(found) for found in self.rows(f"{USED} ORDER BY length(address), address", network)]

    def former(self, row: Row, vm: str, nic: str, family: int) -> list[Address]:
        """Return the addresses of a family that a NIC had and that cool down, the last one first."""
        found = self.rows(f"{USED} AND vm = ? AND nic = ? AND released IS NOT NULL ORDER BY released DESC", row.id, vm, nic)
        return [one.address for one in map(_used, found) if one.address.version == family]

    def drop_cooling(self, row: Row, wanted: Address) -> None:
        """Forget that an address cools down."""
        self.write("DELETE FROM address WHERE network = ? AND address = ? AND lease IS NULL", row.id, wanted.packed)

    def lease_address(self, row: Row, lease: int, vm: str, nic: str, wanted: Address, *, static: bool) -> None:
        """Write down that a lease has an address; one that it has already stays, or becomes static."""
        sql = (
            "INSERT INTO address VALUES (?, ?, ?, ?, ?, ?, NULL)"
            " ON CONFLICT (network, address) DO UPDATE SET static = excluded.static WHERE lease = excluded.lease"
        )
        if self.connection.execute(sql, (row.id, wanted.packed, lease, vm, nic, static)).rowcount != 1:
            raise sqlite3.IntegrityError(f"{wanted} is leased already")

    def cooled(self, row: Row, passed: float) -> list[Address]:
        """Return some addresses whose cool-down is over, those first for which it was over first."""
        asked = "SELECT address FROM address WHERE network = ? AND released <= ? ORDER BY released LIMIT ?"
        return [address_at(found) for (found,) in self.rows(asked, row.id, passed - row.cool_down, BATCH)]

    # Free intervals

    def lowest_free(self, row: Row, family: int, owner: str) -> Address | None:
        """Return the lowest address that is free for a VM, or with the empty owner for any."""
        asked = "SELECT first FROM free WHERE network = ? AND family = ? AND owner = ? ORDER BY first LIMIT 1"
        found = self.one(asked, row.id, family, owner)
        return address_at(found[0]) if found else None

    def set_free(self, row: Row, wanted: Address, owner: str) -> None:
        """Add an address to what is free for an owner, joined with its neighbours."""
        version, number = wanted.version, int(wanted)
        first, last = key(version, number), key(version, number)
        below = self._free_below(row.id, wanted)
        if below and below[1] >= last:
            return
        if below and below[2] == owner and int.from_bytes(below[1], "big") == number - 1:
            first = below[0]
        above = self.one(
            "SELECT first, last FROM free WHERE network = ? AND family = ? AND owner = ? AND first > ? ORDER BY first LIMIT 1",
            row.id, version, owner, last,
        )  # fmt: skip
        if above and int.from_bytes(above[0], "big") == number + 1:
            self._drop_free(row.id, version, above[0])
            last = above[1]
        self._drop_free(row.id, version, first)
        self._add_free(row.id, version, owner, first, last)

    def take_free(self, row: Row, wanted: Address) -> None:
        """Remove an address from what is free, if it is there."""
        found = self._free_below(row.id, wanted)
        if found is None or found[1] < wanted.packed:
            return
        version, number = wanted.version, int(wanted)
        first, last, owner = found
        self._drop_free(row.id, version, first)
        if first < wanted.packed:
            self._add_free(row.id, version, owner, first, key(version, number - 1))
        if last > wanted.packed:
            self._add_free(row.id, version, owner, key(version, number + 1), last)

    def replace_free(self, network: int, family: int, free: list[tuple[str, list[Interval]]]) -> None:
        """Write all that is free of a family again."""
        self.write("DELETE FROM free WHERE network = ? AND family = ?", network, family)
        for owner, intervals in free:
            for first, last in intervals:
                self._add_free(network, family, owner, key(family, first), key(family, last))

    def free_intervals(self, network: int) -> list[tuple[int, str, Interval]]:
        """Return family, owner and interval of all that is free."""
        found = self.rows("SELECT family, owner, first, last FROM free WHERE network = ? ORDER BY family, first", network)
        return [
            (family, owner, (int.from_bytes(first, "big"), int.from_bytes(last, "big"))) for family, owner, first, last in found
        ]

    def _free_below(self, network: int, wanted: Address) -> tuple[bytes, bytes, str] | None:
        asked = "SELECT first, last, owner FROM free WHERE network = ? AND family = ? AND first <= ? ORDER BY first DESC LIMIT 1"
        return self.one(asked, network, wanted.version, wanted.packed)

    def _add_free(self, network: int, family: int, owner: str, first: bytes, last: bytes) -> None:
        self.write("INSERT INTO free VALUES (?, ?, ?, ?, ?)", network, family, owner, first, last)

    def _drop_free(self, network: int, family: int, first: bytes) -> None:
        self.write("DELETE FROM free WHERE network = ? AND family = ? AND first = ?", network, family, first)


SUBNETS = "SELECT first, last, prefix_length, gateway FROM subnet WHERE network = ?"
SPANS = "SELECT kind, first, last, vm FROM span WHERE network = ?"
USED = "SELECT address, vm, nic, static, released, lease FROM address WHERE network = ?"


def _used(row: tuple[bytes, str, str, int, float | None, int | None]) -> Used:
    found, vm, nic, static, released, lease = row
    return Used(address_at(found), vm, nic, bool(static), released, lease)


def _network(base: Network, subnets: list[Any], spans: list[Any]) -> Network:
    """Return a network of these rows of its subnets and spans."""
    ordered = sorted(spans, key=lambda span: (len(span[1]), span[1]))
    found = {
        kind: [(Span(address_at(first), address_at(last)), vm) for one, first, last, vm in ordered if one == kind] for kind in KINDS
    }
    return Network(
        name=base.name,
        type=base.type,
        cluster=base.cluster,
        subnets=tuple(_subnet(row, [span for span, _vm in found["range"]]) for row in sorted(subnets, key=_order)),
        holds=tuple(span for span, _vm in found["hold"]),
        reservations=tuple(Reservation(span, vm) for span, vm in found["reservation"]),
        mac_prefix=base.mac_prefix,
        cool_down=base.cool_down,
    )


KINDS = ("range", "hold", "reservation")


def _order(row: tuple[bytes, ...]) -> tuple[int, bytes]:
    return len(row[0]), row[0]


def _subnet(row: tuple[bytes, bytes, int, bytes | None], ranges: list[Span]) -> DefinedSubnet:
    first, _last, prefix_length, gateway = row
    subnet = ip_network((first, prefix_length))
    inside = tuple(span for span in ranges if span.first in subnet)
    return DefinedSubnet(subnet, address_at(gateway) if gateway else None, inside)
