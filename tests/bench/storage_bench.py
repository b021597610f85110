# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage, as ratios against what a user would do otherwise, one file for each case. Both sides run by turns."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from report import Row, machine, measured
from storage_disks import disks
from storage_guest_io import guest_io
from storage_pace import limit
from storage_start import start
from storage_versions import versions
from storage_wan import wan
from support.report import publish, table

DISK, MEMORY = "/var/tmp", "/dev/shm"
Case = Callable[[Path, argparse.Namespace], Iterable[Row]]
CASES: tuple[tuple[str, str, Case], ...] = (
    ("a", DISK, lambda folder, options: disks(folder, options.gib)),
    ("b", DISK, lambda folder, options: wan(folder, options.wan_mib)),
    ("c", DISK, lambda folder, options: start(folder, options.start_gib)),
    ("d", DISK, lambda folder, options: versions(folder, options.mib)),
    ("e", DISK, lambda folder, options: limit(folder, "disk", options.mib)),
    ("e", MEMORY, lambda folder, options: limit(folder, "tmpfs", options.mib)),
    ("f", DISK, lambda folder, options: guest_io(folder, options.io_mib)),
)


def main() -> int:
    """Run all or some, print the table, write build/bench/storage.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", default=[name for name, *_any in CASES], help="letters of the cases to run")
    parser.add_argument("--gib", type=int, nargs="*", default=[1, 4, 16], help="sizes of the disks of (a)")
    parser.add_argument("--wan-mib", type=int, default=256, help="size of the image of (b)")
    parser.add_argument("--start-gib", type=float, nargs="*", default=[0.5, 4], help="sizes of the images of (c)")
    parser.add_argument("--mib", type=int, default=512, help="size of the images of (d) and (e)")
    parser.add_argument("--io-mib", type=int, default=1024, help="size of the disk of (f)")
    options = parser.parse_args()
    rows: list[Row] = []
    for name, place, case in CASES:
        if name in options.case:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                found = measured(f"({name}) in {place}", partial(case, Path(folder), options))
            print(table(found), file=sys.stderr, flush=True)
            rows += found
    return publish("bench/storage.json", {"machine": machine()}, rows)


if __name__ == "__main__":
    sys.exit(main())
