# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How costs grow: 1, 10 and 100 % of 1,000 images and 10,000 disks on a host, of 1,250 hypervisors, of an image of 1 TiB.

Images are holes with generated manifests, disks are headers of qcow2, hypervisors are libvirt's test driver; see scale_made.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from report import Row, machine, measured
from scale_inventory import inventory
from scale_read import cold_read, scan
from scale_store import store
from support.report import publish, table

PLACE = "/var/tmp"
Case = Callable[[Path, int], Iterable[Row]]
CASES: dict[str, Case] = {"a": store, "b": lambda _folder, share: inventory(share), "c": cold_read, "d": scan}


def main() -> int:
    """Run all or some, print the table, write build/bench/scale.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", default=list(CASES), help="letters of the cases to run")
    parser.add_argument("--share", type=int, nargs="*", default=[1, 10, 100], help="percent of each size")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.case:
        for share in options.share:
            with tempfile.TemporaryDirectory(dir=PLACE) as folder:
                rows += measured(f"({name}) {share} %", partial(CASES[name], Path(folder), share))
        print(table(rows), file=sys.stderr, flush=True)
    return publish("bench/scale.json", {"machine": machine()}, rows)


if __name__ == "__main__":
    sys.exit(main())
