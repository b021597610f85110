# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs, as ratios against what a user would do otherwise, on a lab host with libvirtd and QEMU (TCG). Needs root.

(a) and (b) are whole commands as a user waits for them: ansible-playbook over ssh with its start, against the same or less.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import compute_migration_bench
import compute_snapshot_bench
from edge_lab.api import Lab, LabHost
from report import NO_GOAL, Goal, Row, by_turns, machine, measured, row, seconds
from support.playbook import play
from support.report import publish
from support.small_guest import CMDLINE, small_guest
from support.vm_host import BOOT, MACHINE

NAME = "bench-compute"
MANY = Goal(bound=1 / 20)
SOONER = Goal(bound=1)
LIBRARIES = {"c": compute_migration_bench, "d": compute_snapshot_bench}


@dataclass(frozen=True)
class Bench:
    """A lab host and an inventory to reach it by; ``tasks`` runs them there and returns their results."""

    host: LabHost
    inventory: str

    def tasks(self, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
        return play(list(tasks), inventory=self.inventory, hosts=self.host.name)

    def unchanged(self, *tasks: dict[str, Any]) -> None:
        changed = [result for result in self.tasks(*tasks) if result["changed"]]
        assert not changed, f"a run that should change nothing changed something: {changed}"


@contextmanager
def lab_host(release: str) -> Iterator[Bench]:
    lab = Lab()
    (host,) = lab.up(names=[NAME], release=release, variant="full")
    try:
        host.run(["mkdir", "-p", BOOT])
        for path, target in zip(small_guest(), ("vmlinuz", "initrd.gz"), strict=True):
            host.put(path, f"{BOOT}/{target}")
        host.run(["virsh", "net-start", "default"])
        yield Bench(host, str(lab.inventory))
    finally:
        lab.down(NAME)


def unchanging(bench: Bench, count: int, runs: int) -> Iterator[Row]:
    """(a) Domains that need no change: one task of ours against a task each, which defines a domain from its XML."""
    names = [f"idle{number:03d}" for number in range(count)]
    ours = {
        "edge.cloud.domains": {
            "defaults": {
                "state": "stopped",
                "virt_type": "qemu",
                "memory": "256MiB",
                "vcpus": 2,
                "disks": [{"name": "root", "size": "1GiB"}],
                "nics": [{"network": "default"}],
            },
            "domains": [{"name": name} for name in names],
        }
    }
    bench.tasks(ours)
    xml = {name: bench.host.run(["virsh", "dumpxml", "--inactive", name]).stdout for name in names}
    other = {
        "community.libvirt.virt": {"command": "define", "name": "{{ item.key }}", "xml": "{{ item.value }}"},
        "loop": "{{ xml | dict2items }}",
        "loop_control": {"label": "{{ item.key }}"},
        "vars": {"xml": xml},
    }
    found = by_turns(lambda: bench.unchanged(ours), lambda: bench.unchanged(other), runs)
    case = f"(a) {count} domains, nothing to change"
    yield row(case, "time", "s", *found, other_name="community.libvirt.virt, a task each", goal=MANY, runs=runs)
    info = by_turns(
        lambda: bench.unchanged({"edge.cloud.domain_info": {}}),
        lambda: bench.unchanged({"community.libvirt.virt": {"command": "get_xml", "name": "{{ item }}"}, "loop": names}),
        1,
    )
    case = f"(a) {count} domains read, with disks and statistics"
    yield row(
        case, "time", "s", *info, other_name="community.libvirt.virt get_xml, a task each", goal=NO_GOAL, runs=1
    )  # which reads less
    bench.tasks(removed(names))


def removed(names: list[str]) -> dict[str, Any]:
    gone = {"state": "absent", "delete_disks": True, "force_stop": True, "timeout": 0}
    return {"edge.cloud.domains": {"defaults": gone, "domains": [{"name": name} for name in names]}}


def created(bench: Bench, count: int, runs: int) -> Iterator[Row]:
    """(b) Guests made and started: one task of ours, with ansible-playbook's own start, against virt-install in a loop."""
    bench.host.run(["apt-get", "update", "-q"], timeout=600)
    bench.host.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "virtinst"], timeout=600)
    names = [f"new{number:02d}" for number in range(count)]
    guest = {
        **MACHINE,
        "vcpus": 1,
        "cmdline": CMDLINE,
        "disks": [{"name": "root", "size": "1GiB"}],
        "nics": [{"network": "default"}],
    }
    one = (
        "virt-install --quiet --name $n --memory 128 --vcpus 1 --virt-type qemu --osinfo detect=off,require=off "
        "--disk path=/var/lib/libvirt/images/$n.qcow2,size=1,format=qcow2 --network network=default --graphics none "
        f"--rng /dev/urandom --noautoconsole --import --boot kernel={BOOT}/vmlinuz,initrd={BOOT}/initrd.gz,kernel_args='{CMDLINE}'"
    )
    loop = f"set -e; for n in {' '.join(names)}; do {one}; done"
    gone = "for n in $*; do virsh destroy $n; virsh undefine $n; rm /var/lib/libvirt/images/$n.qcow2; done"

    def ours() -> float:
        took = seconds(lambda: bench.tasks({"edge.cloud.domains": {"defaults": guest, "domains": [{"name": n} for n in names]}}))
        require_running(bench, names)
        bench.tasks(removed(names))
        return took

    def theirs() -> float:
        took = seconds(lambda: bench.host.run(["sh", "-c", loop], timeout=1200))
        require_running(bench, names)
        bench.host.run(["sh", "-c", gone, "sh", *names])
        return took

    turns = [(ours(), theirs()) for _run in range(runs)]
    mine, other = (sorted(column)[len(turns) // 2] for column in zip(*turns, strict=True))
    case = f"(b) {count} guests made and started"
    yield row(case, "time", "s", mine, other, other_name="virt-install in a loop", goal=SOONER, runs=runs)


def require_running(bench: Bench, names: list[str]) -> None:
    running = set(bench.host.run(["virsh", "list", "--name"]).stdout.split())
    assert set(names) <= running, f"not running: {sorted(set(names) - running)}"


def own_cases(options: argparse.Namespace) -> Iterator[Row]:
    with lab_host(options.release) as bench:
        if "a" in options.case:
            yield from measured("(a)", lambda: unchanging(bench, options.idle, options.runs))
        if "b" in options.case:
            yield from measured("(b)", lambda: created(bench, options.guests, options.runs))


def main() -> int:
    """Run the cases, print the table, write build/bench/compute.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", default=["a", "b", *LIBRARIES], choices=["a", "b", *LIBRARIES], help="only these")
    parser.add_argument("--runs", type=int, default=3, help="measured turns of (a) and (b)")
    parser.add_argument("--idle", type=int, default=100, help="domains of (a)")
    parser.add_argument("--guests", type=int, default=20, help="guests of (b)")
    parser.add_argument("--release", default="trixie", help="Debian release of the host of (a) and (b)")
    options = parser.parse_args()
    os.environ.setdefault("EDGE_LAB", "bench")
    begun = time.monotonic()
    rows = measured("(a) and (b)", lambda: own_cases(options)) if {"a", "b"} & set(options.case) else []
    for case, file in LIBRARIES.items():
        if case in options.case:
            rows += measured(f"({case})", file.rows)
    head = {"machine": machine(), "load": os.getloadavg()[0], "seconds": round(time.monotonic() - begun)}
    return publish("bench/compute.json", head, rows)


if __name__ == "__main__":
    sys.exit(main())
