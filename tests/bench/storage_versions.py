# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(d) A new version of an image against a full pull and against rsync."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from report import NO_GOAL, Row, row
from storage_parts import TENTH, filled
from storage_served import Cluster, served
from support.images import MIB, changed, datastore


def rsync_bytes(old: Path, new: Path, target: Path) -> int:
    """Return what rsync sends and receives to turn a copy of ``old`` into ``new`` (delta transfer, real rsync over a pipe)."""
    shutil.copy(old, target)
    argv = ["rsync", "--no-whole-file", "--inplace", "--stats", "-e", "sh -c 'shift; exec \"$@\"' sh", str(new), f"here:{target}"]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = [line for line in output.splitlines() if line.startswith("Total bytes")]
    return sum(int(line.split(":")[1].replace(",", "").replace(".", "")) for line in found)


def versions(folder: Path, mib: int) -> list[Row]:
    """(d) A new version of which 5 % are changed: in clusters here and there (the worst), and in extents of 1 MiB."""
    first = filled(folder / "1.qcow2", mib * MIB, mib * MIB)
    rows: list[Row] = []
    for name, extent in (("64 KiB here and there", 65536), ("extents of 1 MiB", MIB)):
        root = folder / f"store{extent}"
        case = f"(d) 5 % changed, {name}, {mib} MiB"
        second = changed(first, folder / "2.qcow2", share=0.05, extent=extent)
        store, old = datastore(root, first)
        _store, new = datastore(root, second, version="2")

        def measure(cluster: Cluster, old: Manifest = old, new: Manifest = new, case: str = case) -> list[Row]:
            here, full = Store(folder / case / "here"), Store(folder / case / "full")
            sent = [cluster.bytes_sent()]
            for target, image in ((full, new), (here, old), (here, new)):
                pull_image(target, image.digest, [cluster.source()], now=0)
                time.sleep(0.2)  # nginx logs a request after it has answered it
                sent.append(cluster.bytes_sent())
            return [row(case, "bytes sent", "B", sent[3] - sent[2], sent[1] - sent[0], other_name="full pull", goal=TENTH, runs=1)]

        found = served(folder / f"served{extent}", root, measure)
        moved = rsync_bytes(first, store.image_path(new.digest), folder / "rsync.qcow2")
        rows += [*found, row(case, "bytes sent", "B", found[0]["ours"], moved, other_name="rsync", goal=NO_GOAL, runs=1)]
        second.unlink()
    return rows
