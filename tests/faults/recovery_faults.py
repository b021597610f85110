# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of recovery points and backups: programs killed at each step, hosts that lie, stall or lose their power, full disks.

After each: what was listed is whole, the newest listed point restores to the bytes that the disk had at its instant, older ones
stay, and the next run completes. ``lost`` counts tries after which that was not so, ``doubled`` those that left something behind
that nothing needs. A try counts only if its fault hit while the work was under way; ``missed`` counts those that never did. What
cannot run here is a row that was not run, and not ok.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from recovery import backup_rows, hypervisor_rows, replica_rows
from support.outcomes import Row, not_run
from support.own_libvirt import BASES, RELEASES
from support.report import publish

PROGRAMS = ("/usr/sbin/nginx", "/usr/bin/qemu-img", "/usr/bin/qemu-io")


def of_backups(options: argparse.Namespace, dice: random.Random) -> Iterator[Row]:
    """Yield the rows of the module backup, which take no lab."""
    missing = [path for path in (*PROGRAMS, "/usr/bin/restic") if not Path(path).exists()]
    if missing or os.geteuid():
        yield not_run("faults of backups", f"it needs root and {', '.join(missing or PROGRAMS)}")
        return
    with TemporaryDirectory(dir="/var/tmp") as folder:
        yield from backup_rows.rows(Path(folder), dice, tries=options.tries, every=4 * options.every, only=options.only)


def of_hypervisors(options: argparse.Namespace, dice: random.Random) -> Iterator[Row]:
    """Yield the rows of what hypervisors do, with the programs of the lab's bases in name spaces."""
    for release in options.release or RELEASES:
        if os.geteuid() or not list(BASES.glob(f"{release}-full-*")):
            yield not_run(f"faults of a hypervisor with {release}", "it needs root and the lab's base of the release (make lab)")
            continue
        with TemporaryDirectory(dir="/var/tmp") as folder:
            numbers = {"tries": options.tries, "every": 4 * options.every}
            yield from hypervisor_rows.rows(Path(folder), dice, release, only=options.only, **numbers)


def of_replicas(options: argparse.Namespace, dice: random.Random) -> Iterator[Row]:
    """Yield the rows of what replicas do, which take no lab."""
    missing = [path for path in PROGRAMS if not Path(path).exists()]
    if missing or os.geteuid():
        yield not_run("faults of replicas", f"it needs root and {', '.join(missing or PROGRAMS)}")
        return
    with TemporaryDirectory(dir="/var/tmp") as folder:
        numbers = {"tries": options.tries, "kills": options.kills, "every": options.every}
        yield from replica_rows.rows(Path(folder), dice, only=options.only, **numbers)


PARTS = {"replica": of_replicas, "backup": of_backups, "hypervisor": of_hypervisors}


def main() -> int:
    """Run all, print the table, write build/faults/recovery.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40, help="kills at random moments, of each kind")
    parser.add_argument("--tries", type=int, default=4, help="tries of each other fault")
    parser.add_argument("--every", type=int, default=1, help="kill at each step, or at each N-th from a random one on")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="run these parts alone")
    parser.add_argument("--release", action="append", choices=RELEASES, help="of hypervisors; both by default")
    parser.add_argument("--only", default="", help="run the cases with this text in their name")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    dice = random.Random(options.seed)
    rows = [row for part in options.part or PARTS for row in PARTS[part](options, dice)]
    return publish("faults/recovery.json", {"seed": options.seed}, rows)


if __name__ == "__main__":
    sys.exit(main())
