# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(d) A snapshot of a running VM whose disk is full of data, for two sizes, against full copies of the disk of the stopped VM.

Ours is a whole command as a user waits for it: ansible-playbook over ssh with its start, until the snapshot is durable. A copy is
the bare program on the host, until its file is durable. Removing a snapshot is not measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_lab.api import Lab
from report import NO_GOAL, Goal, Row, row, seconds
from support.report import publish
from support.stream_host import StreamHost
from support.vm_host import VMS

NAME, HOST = "bench", "bench-snapshot"
SIZES = (1, 16)
RUNS, COPIES = 5, 2
GIB = 2**30
SMALL = Goal(bound=0.2)
SAME = Goal(bound=1.5)
OTHERS = {
    "cp": ("cp", "--reflink=never", "--sparse=never"),
    "qemu-img convert": ("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2"),
}


def rows(sizes: tuple[int, ...] = SIZES, runs: int = RUNS, copies: int = COPIES, release: str = "trixie") -> list[Row]:
    """Return the rows of (d): medians of ``runs`` snapshots, and of ``copies`` copies, which take long."""
    found, times = [], {}
    with _host(release) as host:
        for size in sizes:
            took, others = _measured(host, size, runs, copies)
            times[size] = took
            for other, copied in others.items():
                name = f"{other}, stopped, median of {copies}"
                goal = SMALL if size == max(sizes) else NO_GOAL
                case = f"(d) snapshot of a disk of {size} GiB, full of data"
                found.append(row(case, "time", "s", took, copied, other_name=name, goal=goal, runs=runs))
    first, last = min(sizes), max(sizes)
    case = f"(d) snapshot of a disk of {last} GiB"
    found.append(row(case, "time", "s", times[last], times[first], other_name=f"one of {first} GiB", goal=SAME, runs=runs))
    return found


@contextmanager
def _host(release: str) -> Iterator[StreamHost]:
    lab = Lab()
    with tempfile.TemporaryDirectory() as folder:
        try:
            (made,) = lab.up(names=[HOST], release=release, variant="full")
            yield StreamHost(made, lab.inventory, Path(folder))
        finally:
            lab.down(HOST)


def _measured(host: StreamHost, size: int, runs: int, copies: int) -> tuple[float, dict[str, float]]:
    """Return the median seconds of a snapshot of a disk of ``size`` GiB, and of each kind of copy of it."""
    disk, path = [{"name": "data", "size": f"{size}GiB"}], f"{VMS}/{NAME}/data.qcow2"
    host.guest(NAME, disks=disk, state="stopped", cmdline="console=ttyS0 quiet panic=1")
    for part in range(size):
        host.host.run(["qemu-io", "-f", "qcow2", "-t", "none", "-c", f"write -q -P 0x5a {part}G 1G", path], timeout=600)
    allocated = int(host.run("stat", "-c", "%b", path)) * 512
    assert allocated >= size * GIB, f"{path} occupies {allocated} bytes, so that a copy of it would cost nothing"
    others = {name: statistics.median(_copy(host, argv, path) for _run in range(copies)) for name, argv in OTHERS.items()}
    host.guest(NAME, disks=disk)
    host.wait_text(NAME, "GUEST-READY")
    took = statistics.median(_timed(host, lambda: host.snapshot(NAME, "point")) for _run in range(runs))
    host.module("domain", name=NAME, state="absent", delete_disks=True, force_stop=True, timeout=1)
    return took, others


def _copy(host: StreamHost, argv: tuple[str, ...], path: str) -> float:
    """Return how long a copy takes until it is on the disk."""
    copy = "/var/lib/edge/copy"
    took = seconds(lambda: host.host.run(["sh", "-c", f"{' '.join(argv)} {path} {copy} && sync {copy}"], timeout=3600))
    host.run("rm", copy)
    return took


def _timed(host: StreamHost, take: Callable[[], dict[str, object]]) -> float:
    """Return how long a snapshot takes, and remove it again."""
    took = seconds(take)
    host.snapshot(NAME, "point", state="absent")
    return took


def main() -> int:
    """Run (d) alone, as small as is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="GiB of the disks")
    parser.add_argument("--runs", type=int, default=RUNS, help="snapshots of each disk")
    parser.add_argument("--copies", type=int, default=COPIES, help="copies of each disk and kind")
    options = parser.parse_args()
    found = rows(tuple(options.sizes), options.runs, options.copies)
    return publish("bench/compute-snapshot.json", {"case": "d"}, found)


if __name__ == "__main__":
    sys.exit(main())
