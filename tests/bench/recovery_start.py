# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(c) How long it takes from the play that begins a VM over its recovery point to the guest's next write, on lab hosts.

The disk is full, none of it is on the hypervisor, and the point is on one replica. The other side fetches the whole disk first.
Both are whole plays as a user waits for them, with the boot of the guest (TCG).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from report import Goal, Row, row
from support import lab_cluster, stream_guest
from support.lab_cluster import Site
from support.stream_host import StreamHost
from support.vm_host import MACHINE, VMS

SOON = Goal("ours", 10, "s")
NAME, WHOLE = "source", "fetching the whole disk first"
STREAM, PART = 64, 64  # MiB: what the guest may write, and what is filled at once
SERVERS = ["{{ (lease.stdout | from_json).server }}"]


def start(sizes: list[int]) -> Iterator[Row]:
    """Give the rows of (c), for disks of ``sizes`` GiB."""
    with (
        tempfile.TemporaryDirectory() as folder,
        lab_cluster.site("bstart", Path(folder), replicas=1, hypervisors=["trixie"]) as site,
    ):
        site.run(lab_cluster.book(True, points_nbd=True))
        host = StreamHost(site.hosts["bstart-h1"], site.lab.inventory, site.folder)
        for size in sizes:
            yield _row(site, host, size)


def _row(site: Site, host: StreamHost, size: int) -> Row:
    replica = site.hosts["bstart-r1"]
    _machine(host, NAME, size, state="stopped")
    disk = f"{VMS}/{NAME}/data.qcow2"
    for begin in range(STREAM, size * 1024, PART):
        host.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {begin // PART % 255 + 1} {begin}M {PART}M", disk)
    made = json.loads(host.run("edge-host", "point", "make", "--vm", NAME))
    replica.run(["systemctl", "start", "edge-points-pull.service"])
    (held,) = json.loads(replica.run(["edge-host", "point", "list", "--vm", NAME]).stdout)["vms"]
    assert [one["generation"] for one in held["generations"]] == [made["generation"]]
    asked = {"vm": NAME, "generation": made["generation"], "timeout": 3600}
    host.module("domain", name=NAME, state="absent", delete_disks=True)
    host.run("sh", "-c", f"rm -rf /var/lib/edge/recovery/outgoing/{made['vm']}")  # the host that made it is gone
    lease = {"ansible.builtin.command": {"argv": ["edge-host", "point", "lease", "--vm", made["vm"], "--user", "soon"]}}
    ours = _seconds(
        host,
        "soon",
        {**lease, "register": "lease"},
        {"edge.cloud.recovery_point": {"name": "soon", **asked, "point_servers": SERVERS}},
    )
    other = _seconds(host, "late", {"edge.cloud.recovery_point": {"name": "late", **asked}})
    return row(
        f"(c) VM from a point of {size} GiB to its next write", "time", "s", ours, other, other_name=WHOLE, goal=SOON, runs=1
    )


def _machine(host: StreamHost, name: str, size: int, **more: Any) -> None:
    disks = [{"name": "data", "size": f"{size}GiB"}]
    asked = {**MACHINE, "cmdline": stream_guest.cmdline("vda"), "disks": disks, "nics": [], "guest_agent": False}
    host.module("domain", name=name, **asked, timeout=300, **more)


def _seconds(host: StreamHost, name: str, *tasks: dict[str, Any]) -> float:
    """Return the seconds from the play that makes a VM until its guest has written, and remove it when its disk is here."""
    begun = time.perf_counter()
    host.play([*tasks, {"edge.cloud.domain": {"name": name, "state": "running", "timeout": 300}}])
    stream_guest.wait_for(lambda: host.console(name), lambda console: stream_guest.acked(console) >= 0, "the guest's next write")
    took = time.perf_counter() - begun
    stream_guest.wait_for(
        lambda: host.run("ls", "-A", f"{VMS}/{name}"), lambda names: "arriving" not in names, "the disk of its own", 3600
    )
    host.module("domain", name=name, state="absent", force_stop=True, timeout=1, delete_disks=True)
    return took
