# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many processes at once, and processes that are killed in the middle of a change."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import ReleaseRequest
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import Moment, this_moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.database import opened
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.leases import lease, lease_in, release_in
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.networks import declare_in, reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.tables import Tables
from support.leases import (
    NOW,
    address,
    addresses_in,
    declare,
    lease_request,
    leased,
    network_request,
    released,
    require_sound,
    spans,
)
from support.processes import at_once, python

PROCESSES, EACH = 50, 4
MANY = """
import sys
from pathlib import Path
from LIBRARY._network.lease.asked import LeaseRequest
from LIBRARY._network.lease.clock import this_moment
from LIBRARY._network.lease.leases import lease
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    plan = lease(path, LeaseRequest("private", f"vm{name}-{number}", "nic0"), this_moment(), check=False)
    for held in plan.after.values():
        print(held.mac, *(str(one.address) for one in held.addresses), flush=True)
"""


def lease_many(path: Path, name: str, count: int) -> list[str]:
    """Ask for so many leases as VMs of this name, and return the MAC and IP addresses."""
    words = []
    for number in range(count):
        plan = lease(path, lease_request(f"vm{name}-{number}"), this_moment(), check=False)
        words += [word for held in plan.after.values() for word in (held.mac, *(str(one.address) for one in held.addresses))]
    return words


def make_network(path: Path, name: str) -> list[str]:
    """Declare a network, and return whether that changed anything."""
    wanted = network_request(name, type="vxlan", subnets=())
    return [str(reconcile(path, wanted, this_moment(), check=False).changed)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "addresses.sqlite3"
    declare(path, type="vxlan", subnets=["10.0.0.0/16", "fd00::/64"])
    return path


def test_no_two_of_fifty_processes_get_the_same(path: Path) -> None:
    words = at_once([partial(lease_many, path, str(number), EACH) for number in range(PROCESSES)])
    assert len(words) == PROCESSES * EACH * 3
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert sorted(addresses_in(path)) == sorted(word for word in words if not word.startswith("52:54:"))
    require_sound(path)


def test_processes_that_make_the_file_at_once_and_ask_for_the_same_lease_agree(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    assert at_once([partial(make_network, path, f"net{number}") for number in range(10)]) == ["True"] * 10
    with opened(path, check=True) as database:
        assert len(database.tables.names()) == 10
    assert {one.name for one in tmp_path.iterdir()} == {"new.sqlite3", "new.sqlite3-lock"}
    declare(path, type="vxlan", subnets=["10.0.0.0/16"])
    words = at_once([partial(lease_many, path, "same", 1)] * 10)
    assert Counter(words) == {"10.0.0.1": 10, words[0]: 10}


def killed_at(path: Path, statement: int, change: Callable[[Tables], object]) -> bool:
    """Change the file in a forked process that is killed before its ``statement``-th statement of SQL; tell whether it was."""
    child = os.fork()
    if child == 0:
        left = [statement]

        def watch(_sql: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            with opened(path) as database:
                database.connection.set_trace_callback(watch)
                with database.transaction() as tables:
                    change(tables)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def rows(path: Path) -> list[tuple[object, ...]]:
    with opened(path, check=True) as database:
        return [row for table in TABLES for row in database.tables.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]


TABLES = ("network", "subnet", "span", "lease", "address", "free", "clock")
LATER = Moment(NOW.boot, NOW.uptime + 4000, NOW.wall)
CHANGES: dict[str, Callable[[Tables], object]] = {
    "a lease of an address that has cooled down": lambda tables: lease_in(tables, lease_request("new", ipv4="10.0.0.9"), LATER),
    "another address of a lease": lambda tables: lease_in(
        tables, lease_request("web", ipv4="10.0.0.77", mac="52:54:00:00:00:01"), LATER
    ),
    "a release": lambda tables: release_in(tables, ReleaseRequest("web"), LATER),
    "other holds": lambda tables: declare_in(tables, network_request(holds=spans("10.0.0.3-10.0.0.8"), cool_down=5), LATER),
    "a new network": lambda tables: declare_in(tables, network_request("new", type="vxlan", subnets=["192.0.2.0/24"]), LATER),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_kill_at_any_statement_leaves_all_or_nothing_of_a_change(path: Path, change: Callable[[Tables], object]) -> None:
    leased(path, "web")
    leased(path, "old", ipv4="10.0.0.9")
    released(path, "old")
    before, statement = rows(path), 1
    while killed_at(path, statement, change):
        assert rows(path) == before
        statement += 1
    assert statement > 10
    assert rows(path) != before
    require_sound(path)


def test_what_was_answered_is_there_after_a_kill_at_any_time(path: Path) -> None:
    answered: list[str] = []
    for attempt in range(6):
        process = python(MANY, path, attempt, 1000)
        assert process.stdout
        begun = [process.stdout.readline() for _line in range(3)]
        time.sleep(attempt * 0.003)  # any time will do
        process.kill()
        answered += " ".join([*begun, process.communicate()[0]]).split()
        require_sound(path)
    macs = [word for word in answered if word.startswith("52:54:")]
    found = addresses_in(path)
    assert {word for word in answered if word not in macs} <= set(found)
    assert len(set(found)) == len(found) and len(found) % 2 == 0
    assert address(leased(path, "after")) not in answered
