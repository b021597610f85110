# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(c) Moving a running VM whose disk is 10 % changed, the image warm on the destination, against virsh's full copy of the disk."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from report import NO_GOAL, Goal, Row, row, seconds
from support.images import small
from support.migration_hosts import Pair, pair
from support.report import publish
from support.stream_host import StreamHost
from support.vm_host import IMAGES, MIB, VMS

FEW = Goal(bound=0.2)
CHANGED = 0.10
OTHER = "virsh migrate --copy-storage-all"
NAME = "bench"


def rows(size_mib: int = 1024, runs: int = 3, release: str = "trixie") -> list[Row]:
    """Return the rows of (c) for a disk of ``size_mib`` MiB that is full of the image's data and CHANGED of it rewritten."""
    with tempfile.TemporaryDirectory() as folder, pair("bmig", release, Path(folder)) as hosts:
        hosts.digest = _warm(hosts, Path(folder) / "large", size_mib)
        turns = [(_turn(hosts, size_mib, _ours), _turn(hosts, size_mib, _theirs)) for _run in range(runs)]
    found = []
    for place, (metric, unit, goal) in enumerate((("bytes sent", "B", FEW), ("time", "s", NO_GOAL))):
        mine, other = (sorted(turn[side][place] for turn in turns)[len(turns) // 2] for side in (0, 1))
        case = f"(c) migration of a disk of {size_mib} MiB, {CHANGED:.0%} changed"
        found.append(row(case, metric, unit, mine, other, other_name=OTHER, goal=goal, runs=runs))
    return found


def _warm(hosts: Pair, folder: Path, size_mib: int) -> str:
    """Put an image full of data into both host caches and return its digest."""
    made, about, digest = small(folder, size_mib * MIB, os.urandom(size_mib * MIB))
    for host in (hosts.one, hosts.two):
        for path in (made, about.with_suffix(".pieces"), about):
            host.host.put(path, f"{IMAGES}/{digest.removeprefix('sha256:')}{path.suffix}")
    made.unlink()
    return digest


def _turn(hosts: Pair, size_mib: int, move: Callable[[Pair, int], None]) -> tuple[float, float]:
    """Make the guest again, move it, and return the bytes that its host sent meanwhile and the seconds that it took."""
    disk = [{"name": "data", "image": hosts.digest, "size": f"{size_mib}MiB"}]
    plain = {"disks": disk, "nics": [], "cloud_init": None, "memory": "128MiB", "cmdline": "console=ttyS0 quiet"}
    hosts.guest(NAME, state="stopped", **plain)
    change = f"write -q -P 0x5a 0 {int(size_mib * CHANGED)}M"
    hosts.one.run("qemu-io", "-f", "qcow2", "-c", change, f"{VMS}/{NAME}/data.qcow2")
    hosts.guest(NAME, state="running", **plain)
    hosts.one.wait_text(NAME, "GUEST-READY")
    before = hosts.sent(hosts.one)
    took = seconds(lambda: move(hosts, size_mib))
    sent = hosts.sent(hosts.one) - before
    assert hosts.domains(hosts.two) == {NAME: "running"}
    for host in (hosts.one, hosts.two):
        _remove(host)
    return float(sent), took


def _ours(hosts: Pair, _size_mib: int) -> None:
    hosts.migrate(NAME)


def _theirs(hosts: Pair, size_mib: int) -> None:
    """Do what a user does without us: an empty disk there, the whole of it copied, the source undefined."""
    two = hosts.two.host.name
    hosts.two.run("mkdir", "-m", "711", f"{VMS}/{NAME}")
    hosts.two.run("qemu-img", "create", "-q", "-f", "qcow2", f"{VMS}/{NAME}/data.qcow2", f"{size_mib}M")
    hosts.one.run(
        "virsh", "migrate", "--live", "--p2p", "--tls", "--persistent", "--undefinesource", "--copy-storage-all",
        NAME, f"qemu+tls://{two}/system", f"tcp:{two}",
    )  # fmt: skip


def _remove(host: StreamHost) -> None:
    for verb in ("destroy", "undefine"):
        host.run("virsh", verb, NAME, ok=False)
    host.run("rm", "-rf", f"{VMS}/{NAME}", f"{VMS}/.moved")


if __name__ == "__main__":
    sys.exit(publish("bench/compute-migration.json", {"case": "c"}, rows()))
