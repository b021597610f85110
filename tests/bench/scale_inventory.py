# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(b) Many hypervisors in one inventory, 4 % of which take a connection and say nothing; the others are libvirt's test driver."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.read import read_hypervisors
from report import Goal, Row, row, seconds

HYPERVISORS = 1250
DEAD_EVERY = 25
SECONDS = 10.0
LIVE = "test:///default"


def inventory(share: int) -> Iterator[Row]:
    """Compare the time with that of an inventory in which all answer, and one time-out."""
    count = HYPERVISORS * share // 100
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listener:
        dead = f"test+tcp://127.0.0.1:{listener.getsockname()[1]}/default"
        uris = [dead if place % DEAD_EVERY == DEAD_EVERY // 2 else LIVE for place in range(count)]
        all_live = seconds(lambda: _read([LIVE] * count))
        ours = seconds(lambda: _read(uris))
    case = f"(b) {count} hypervisors, {uris.count(dead)} of them dead"
    other = all_live + (SECONDS if dead in uris else 0.0)
    name = f"all of them alive, and a time-out of {SECONDS:g} s"
    yield row(case, "time", "s", ours, other, other_name=name, goal=Goal("ratio", 1.5), runs=1)


def _read(uris: list[str]) -> None:
    found = read_hypervisors(uris, SECONDS)
    assert all((one.error is None) == (one.uri == LIVE) for one in found), "a hypervisor that lives did not answer"
