# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(b) Disks for 3 hosts with 4 VMs each, all cold, from a Front-end behind a WAN, against one fetch for each host and copies there.

A Front-end, a replica and three hypervisors by the real roles. Ours is a playbook with replica_image by the rule of the cluster and
qcow2_image; the other is curl from the Front-end, once on each host and at the same time, then cp for each VM. Full images.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edge_lab.api import unusable
from report import NO_GOAL, RUNS, Goal, Row, not_run, row, seconds
from storage_parts import MIB, filled
from support.lab_cluster import Site, site
from support.vm_host import IMAGES

HOSTS, VMS = 3, 4
RATE, DELAY = "100mbit", "10ms"  # the delay is each way
OTHER = "curl once a host, cp for each VM"
OTHER_RUNS = 1
FOLDER = "/var/lib/edge/vms/bench"
ONCE = Goal(bound=1.02)


def wan(folder: Path, mib: int) -> Iterator[Row]:
    """Yield the rows for an image of ``mib`` MiB."""
    if reason := unusable():
        yield not_run(f"(b) {HOSTS} hosts x {VMS} VMs", reason)
        return
    with site("bwan", folder, replicas=1, hypervisors=["trixie"] * HOSTS) as made:
        made.offer(filled(folder / "1.qcow2", mib * MIB, mib * MIB), "1")
        made.play()
        made.front.slow(RATE, DELAY)
        digest = made.digest("1")
        ours = [measured(made, digest, "ours") for _run in range(RUNS)]
        theirs = [measured(made, digest, "other") for _run in range(OTHER_RUNS)]
        yield from compared(f"(b) {HOSTS} hosts x {VMS} VMs, {mib} MiB, {RATE}, 20 ms", made.size(digest), ours, theirs)


def compared(case: str, size: int, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> Iterator[Row]:
    """Yield bytes against the copies and against the image itself, and the time to the last disk."""
    (took, sent), (long, much) = ([statistics.median(column) for column in zip(*turns, strict=True)] for turns in (ours, theirs))
    yield row(case, "WAN bytes", "B", sent, size, other_name="the image, once", goal=ONCE)
    yield row(case, "WAN bytes", "B", sent, much, other_name=OTHER, goal=NO_GOAL)
    yield row(case, "time to the last disk", "s", took, long, other_name=f"{OTHER} ({OTHER_RUNS} run)", goal=NO_GOAL)


def measured(made: Site, digest: str, who: str) -> tuple[float, float]:
    """Make all disks from nothing; return the seconds and the bytes that the Front-end sent."""
    made.forget(digest)
    for name in made.named("h"):
        made.hosts[name].run(["sh", "-ec", f"rm -rf {FOLDER}; mkdir -p {FOLDER}"])
    before = made.front_sent()
    took = seconds(lambda: by_us(made, digest) if who == "ours" else by_curl(made, digest))
    sent = made.front_sent() - before
    for name in made.named("h"):
        found = made.hosts[name].run(["sh", "-ec", f"ls {FOLDER}/*.qcow2 | wc -l; qemu-img check -q {FOLDER}/{VMS}.qcow2"])
        assert found.stdout.strip() == str(VMS)
    return took, float(sent)


def by_us(made: Site, digest: str) -> None:
    image = {"name": "web", "version": "1", "cluster_file": "/etc/edge/cluster.json"}
    disk = {"path": f"{FOLDER}/{{{{ item }}}}.qcow2", "backing_image": f"{IMAGES}/{digest.removeprefix('sha256:')}.qcow2"}
    tasks = [{"edge.cloud.replica_image": image}, {"edge.cloud.qcow2_image": disk, "loop": list(range(1, VMS + 1))}]
    made.run([{"hosts": "hypervisor", "gather_facts": False, "tasks": tasks}])


def by_curl(made: Site, digest: str) -> None:
    pki = "/etc/edge/pki"
    curl = f"curl -sf --cacert {pki}/ca.crt --cert {pki}/host.crt --key {pki}/host.key"
    url = f"https://{made.front.name}:8443/{digest.removeprefix('sha256:')}.qcow2"
    numbers = " ".join(map(str, range(1, VMS + 1)))
    copies = f"for n in {numbers}; do cp {FOLDER}/image {FOLDER}/$n.qcow2; sync {FOLDER}/$n.qcow2; done"
    command = f"{curl} -o {FOLDER}/image {url}; {copies}; rm {FOLDER}/image"
    running = [
        subprocess.Popen(made.hosts[name].ssh_command(["sh", "-ec", command]), stdin=subprocess.DEVNULL) for name in made.named("h")
    ]
    assert [process.wait() for process in running] == [0] * HOSTS
