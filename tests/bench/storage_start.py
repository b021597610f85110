# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(c) Time to a running VM whose image is still at the Front-end, behind a WAN, against waiting for the whole image first.

A Front-end, a replica and a hypervisor by the real roles. The VM counts as running when its guest has read its disk by a search
and written its first block there, flushed. Full images; the copy of the large image is waited for once.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from edge_lab.api import unusable
from report import NO_GOAL, RUNS, Goal, Row, not_run, row, seconds
from storage_parts import GIB, filled
from support.lab_cluster import Site, ended, site
from support.stream_host import StreamHost

RATE, DELAY = "100mbit", "10ms"  # the delay is each way
NAME = "bench"
OTHER = "pull it, then start"
SAME = Goal(bound=1.25)


def start(folder: Path, gibs: list[float]) -> Iterator[Row]:
    """Yield the rows for images of these sizes, and how the start time grows from the smallest to the largest."""
    if reason := unusable():
        yield not_run("(c) start of a VM", reason)
        return
    with site("bstart", folder, replicas=1, hypervisors=["trixie"], nbd=True) as made:
        for gib in gibs:
            size = int(gib * GIB)
            source = filled(folder / f"{gib}.qcow2", size, size)
            made.offer(source, str(gib))
            source.unlink()
        made.play()
        host = StreamHost(made.hosts[made.named("h")[0]], made.lab.inventory, folder)
        made.front.slow(RATE, DELAY)
        took = {}
        for gib in gibs:
            case, runs = f"(c) start of a VM, {gib} GiB, {RATE}, 20 ms", 2 if gib < 1 else 1
            took[gib] = statistics.median(started(made, host, gib, wait=False) for _run in range(RUNS))
            waited = statistics.median(started(made, host, gib, wait=True) for _run in range(runs))
            yield row(case, "time", "s", took[gib], waited, other_name=f"{OTHER} ({runs} runs)", goal=NO_GOAL)
        few, many = min(gibs), max(gibs)
        yield row(f"(c) start of a VM, {many} GiB", "time", "s", took[many], took[few], other_name=f"ours, {few} GiB", goal=SAME)


def started(made: Site, host: StreamHost, gib: float, *, wait: bool) -> float:
    """Start a VM from nothing and return the seconds until it has written to its disk."""
    digest = made.digest(str(gib))
    made.forget(digest)

    def work() -> None:
        if wait:
            ended(made.pull(host.host.name, str(gib)), 3600)
        disks = [{"name": "data", "image": digest, "size": f"{int(gib * GIB)}B"}]
        host.guest(NAME, disks=disks, **({} if wait else {"image_servers": ["nbds://localhost"]}), timeout=120)
        host.wait_text(NAME, "STREAM 0")

    took = seconds(work)
    host.run("systemctl", "stop", "edge-arrive.service", ok=False)
    host.module("domain", name=NAME, state="absent", force_stop=True, timeout=1, delete_disks=True)
    return took
