# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: leases of addresses that many processes want at once, and many virtual networks of a host."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from network_leases import leases
from network_virtual import virtual_networks
from report import Row, machine, measured
from support.report import publish

PLACE = "/var/tmp"  # a disk, where fsync costs what it does on a Front-end
CASES: dict[str, Callable[[Path, int], Iterable[Row]]] = {"a": leases, "b": virtual_networks}


def main() -> int:
    """Run all or some, print the table, write build/bench/network.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", default=list(CASES), help="letters of the cases to run")
    parser.add_argument("--share", type=int, default=100, help="percent of the leases and networks")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.case:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            rows += measured(f"({name})", partial(CASES[name], Path(folder), options.share))
    return publish("bench/network.json", {"machine": machine()}, rows)


if __name__ == "__main__":
    sys.exit(main())
