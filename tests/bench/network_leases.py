# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(a) Leases by many processes at once, against a JSON file under flock, as playbooks keep one; each answer is durable in both."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from itertools import count as count_from
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._files import fsync
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import LeaseRequest
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import this_moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.database import Database, opened
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.leases import lease_in
from report import NO_GOAL, Goal, Row, by_turns, row
from support.leases import declare
from support.processes import python

LEASES, PROCESSES = 5000, 50
OURS = """
import sys
from pathlib import Path
from LIBRARY._network.lease.asked import LeaseRequest
from LIBRARY._network.lease.clock import this_moment
from LIBRARY._network.lease.database import opened
from LIBRARY._network.lease.leases import lease_in
path, vms = Path(sys.argv[1]), sys.argv[2:]
sys.stdin.read()
with opened(path) as database:
    for vm in vms:
        with database.transaction() as tables:
            plan = lease_in(tables, LeaseRequest("bench", vm, "nic0"), this_moment())
        for found in plan.after.values():
            print(found.mac, *(one.address for one in found.addresses), flush=True)
"""
OTHER = """
import fcntl, ipaddress, json, os, sys
path, vms = sys.argv[1], sys.argv[2:]
sys.stdin.read()
for vm in vms:
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(path) as file:
            leases = json.load(file)
        if vm not in leases:
            used = set(leases.values())
            leases[vm] = next(str(one) for one in ipaddress.ip_network("10.0.0.0/16").hosts() if str(one) not in used)
            with open(path + ".new", "w") as file:
                json.dump(leases, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".new", path)
            folder = os.open(os.path.dirname(path), os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    print(leases[vm], flush=True)
"""


def leases(folder: Path, share: int) -> Iterator[Row]:
    """Measure ``share`` percent of the leases."""
    count = LEASES * share // 100
    ours, other = folder / "addresses.sqlite3", folder / "addresses.json"
    declare(ours, "bench", type="vxlan", subnets=["10.0.0.0/16", "fd00::/64"])
    other.write_text("{}")
    times = [_by_processes(code, path, count) for code, path in ((OURS, ours), (OTHER, other))]
    case, what = f"(a) {count} leases", {"other_name": "JSON under flock", "runs": 1}
    goal = Goal("ratio", 0.5) if share == 100 else NO_GOAL  # a short JSON file is as fast
    yield row(case, f"each, by {PROCESSES} processes", "ms", *(1000 * one / count for one in times), goal=goal, **what)
    with opened(ours) as database:
        mine, theirs = by_turns(partial(_lease, database, (f"more{number}" for number in count_from(0))), partial(_copy, other))
    one = {"other_name": "fsync of a copy of the JSON file", "goal": Goal("ours", 5, "ms")}
    yield row(case, "one more, alone", "ms", mine * 1000, theirs * 1000, **one)


def _lease(database: Database, names: Iterator[str]) -> None:
    with database.transaction() as tables:
        assert lease_in(tables, LeaseRequest("bench", next(names), "nic0"), this_moment()).changed


def _copy(path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    fsync(copy)


def _by_processes(code: str, path: Path, count: int) -> float:
    """Return the seconds of all leases, from the moment when each process is there; fail if one was given twice."""
    vms = [f"vm{number}" for number in range(count)]
    started = [python(code, path, *vms[number::PROCESSES], stdin=subprocess.PIPE) for number in range(PROCESSES)]
    time.sleep(PROCESSES * 0.1)  # their imports are no part of it
    begun = time.perf_counter()
    for process in started:
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    words = " ".join(process.communicate()[0] for process in started).split()
    took = time.perf_counter() - begun
    assert len(words) == len(set(words)) and len(words) % count == 0, "an address or MAC address was given twice"
    return took
