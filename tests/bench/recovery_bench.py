# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points, as ratios against what a user would do otherwise."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from recovery_latency import latency
from recovery_points import points
from recovery_start import start
from report import Row, machine, measured
from support.report import publish

PLACE = "/var/tmp"  # a disk
Case = Callable[[Path, argparse.Namespace], Iterable[Row]]
CASES: dict[str, Case] = {
    "a": lambda folder, options: points(folder, options.gib),
    "b": lambda _folder, options: latency(options.latency_gib, options.rounds),
    "c": lambda _folder, options: start(options.start_gib),
}


def main() -> int:
    """Run all or some, print the table, write build/bench/recovery.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", default=list(CASES), help="letters of the cases to run")
    parser.add_argument("--gib", type=int, nargs="*", default=[4, 16], help="sizes of the disks of (a)")
    parser.add_argument("--latency-gib", type=int, default=4, help="size of the disk of (b)")
    parser.add_argument("--rounds", type=int, default=8, help="points of (b)")
    parser.add_argument("--start-gib", type=int, nargs="*", default=[1, 16], help="sizes of the disks of (c)")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.case:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            rows += measured(f"({name})", partial(CASES[name], Path(folder), options))
    return publish("bench/recovery.json", {"machine": machine()}, rows)


if __name__ == "__main__":
    sys.exit(main())
