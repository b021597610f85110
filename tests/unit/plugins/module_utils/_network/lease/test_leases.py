# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases in a real file: which address, for whom, and what must hold after any order of changes."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import Moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.database import opened
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.leases import lease, lease_in
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.values import macs_of
from hypothesis import given
from hypothesis import strategies as st
from support.leases import NOW, address, declare, lease_request, leased, released, require_sound, span, spans


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "addresses.sqlite3"
    declare(
        path,
        type="vxlan",
        subnets=["192.0.2.0/24", "2001:db8::/64"],
        ranges=spans("192.0.2.10-192.0.2.19", "2001:db8::1-2001:db8::ffff"),
    )
    return path


def test_the_lowest_free_address_is_given(path: Path) -> None:
    declare(path, cool_down=0)
    assert [address(leased(path, vm)) for vm in "abc"] == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    released(path, "b")
    assert address(leased(path, "d")) == "192.0.2.11"
    assert address(leased(path, "d", nic="nic1")) == "192.0.2.13"
    require_sound(path)


def test_a_check_tells_the_address_of_a_run_also_where_one_has_cooled_down_since(path: Path) -> None:
    for vm in "abc":
        leased(path, vm)
    released(path, "a")
    soon, after = Moment(NOW.boot, NOW.uptime + 60, 0), Moment(NOW.boot, NOW.uptime + 4000, 0)
    for now, wanted in ((soon, "192.0.2.13"), (after, "192.0.2.10")):
        before = path.read_bytes()
        assert address(leased(path, "new", now, check=True)) == wanted
        assert path.read_bytes() == before
    assert address(leased(path, "new", after)) == "192.0.2.10"
    require_sound(path)


def test_all_addresses_are_given_and_no_more(path: Path) -> None:
    found = [address(leased(path, f"vm{number}")) for number in range(10)]
    assert len(set(found)) == 10
    with pytest.raises(
        Conflict, match=r"^network: private has no free IPv4 address. Its ranges and reservations have 10: 10 leased"
    ):
        leased(path, "more")
    assert address(leased(path, "more", families=["ipv6"]), 6) == "2001:db8::b"
    require_sound(path)


def test_many_addresses_that_cooled_down_while_they_are_held_do_not_hide_a_free_one(path: Path) -> None:
    declare(path, ranges=spans("192.0.2.0-192.0.2.255"))
    with opened(path) as database, database.transaction() as tables:
        for number in range(1, 100):
            lease_in(tables, lease_request("old", nic=f"nic{number}", ipv4=f"192.0.2.{number}", families=["ipv4"]), NOW)
    released(path, "old")
    declare(path, holds=[span("192.0.2.1-192.0.2.98"), span("192.0.2.100-192.0.2.254")], cool_down=0)
    assert address(leased(path, "new")) == "192.0.2.99"
    require_sound(path)


def test_mac_addresses_are_stable_and_unique_in_a_network(path: Path) -> None:
    first, second = list(macs_of("52:54", "web", "nic0"))[:2]
    assert leased(path, "other", mac=first).mac == first
    assert leased(path, "web").mac == second
    assert leased(path, "web").mac == second
    declare(path, "else", type="vxlan", subnets=["192.0.2.0/24"])
    assert leased(path, "web", network="else").mac == first
    with pytest.raises(Conflict, match=f"^mac: {first} has a lease of the VM other, NIC nic0"):
        leased(path, "web", mac=first)
    released(path, "other")
    assert leased(path, "web", mac=first).mac == first


def test_a_reservation_goes_before_a_range_and_is_left_to_its_vm(path: Path) -> None:
    declare(path, reservations=[span("192.0.2.200-192.0.2.201", vm="db"), span("192.0.2.10", vm="web")], cool_down=0)
    assert address(leased(path, "other")) == "192.0.2.11"
    assert [address(leased(path, "db", nic=f"nic{number}")) for number in range(3)] == ["192.0.2.200", "192.0.2.201", "192.0.2.12"]
    released(path, "db", nic="nic0")
    with pytest.raises(Conflict, match="reserved for the VM db"):
        leased(path, "web", ipv4="192.0.2.200")
    assert address(leased(path, "db", nic="nic7")) == "192.0.2.200"
    require_sound(path)


def test_an_error_in_the_middle_of_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    before = path.read_bytes()
    with opened(path) as database:
        with pytest.raises(EdgeError), database.transaction() as tables:
            assert lease_in(tables, lease_request("a"), NOW).changed
            lease_in(tables, lease_request("b", ipv4="192.0.2.10"), NOW)
        assert database.tables.rows("SELECT * FROM lease") == []
    assert path.read_bytes() == before
    require_sound(path)


def steps_of_a_lease(path: Path, vm: str) -> int:
    """Lease an address, and return how many instructions SQLite ran for that."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with opened(path) as database, database.transaction() as tables:
        database.connection.set_progress_handler(count, 1)
        assert lease_in(tables, lease_request(vm), NOW).changed
        database.connection.set_progress_handler(None, 0)
    return steps[0]


def test_a_lease_costs_the_same_however_many_there_are_and_however_large_the_subnet(path: Path) -> None:
    few = steps_of_a_lease(path, "first")
    declare(
        path, "large", type="vxlan", subnets=["10.0.0.0/8", "fd00::/16"], holds=[span(f"10.1.0.{number}") for number in range(200)]
    )
    with opened(path) as database, database.transaction() as tables:
        for number in range(2000):
            static = {"ipv4": f"10.0.{number // 200}.{number % 200 + 1}"} if number % 2 else {}
            lease_in(tables, lease_request(f"vm{number}", "large", **static), NOW)
        tables.write("UPDATE network SET name = 'private' || id")
        tables.write("UPDATE network SET name = 'private' WHERE name = (SELECT max(name) FROM network)")
    assert steps_of_a_lease(path, "last") < 1.5 * few
    require_sound(path)


VMS = st.sampled_from(["a", "b", "c"])
STATIC = st.integers(0, 16).map(lambda number: f"192.0.2.{number}")
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), VMS, st.one_of(st.none(), STATIC)),
        st.tuples(st.just("release"), VMS, st.none()),
        st.tuples(st.just("wait"), st.integers(0, 70), st.none()),
        st.tuples(st.just("holds"), st.integers(1, 12), st.none()),
        st.tuples(st.just("reserve"), st.integers(1, 12), VMS),
        st.tuples(st.just("range"), st.integers(1, 6), st.integers(6, 13)),
    ),
    max_size=25,
)


@given(CHANGES)
def test_whatever_happens_what_is_free_is_what_nobody_has(changes: list[tuple[str, Any, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, now = Path(folder) / "addresses.sqlite3", NOW
        declare(path, type="nat", subnets=["192.0.2.0/28"], ranges=spans("192.0.2.2-192.0.2.8"), cool_down=60)
        for what, one, other in changes:
            now = Moment(NOW.boot, now.uptime + 1, 0)
            with suppress(EdgeError):
                if what == "lease":
                    plan = lease(path, lease_request(one, ipv4=other), now, check=True)
                    assert lease(path, lease_request(one, ipv4=other), now, check=False) == plan
                    assert not lease(path, lease_request(one, ipv4=other), now, check=False).changed
                elif what == "release":
                    released(path, one, now)
                elif what == "wait":
                    now = Moment(NOW.boot, now.uptime + one, 0)
                elif what == "holds":
                    declare(path, now=now, holds=[span(f"192.0.2.{one}-192.0.2.{one + 1}")])
                elif what == "reserve":
                    declare(path, now=now, reservations=[span(f"192.0.2.{one}", vm=other)])
                else:
                    declare(path, now=now, ranges=spans(f"192.0.2.{one}-192.0.2.{other}"))
        require_sound(path)
