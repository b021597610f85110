# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(e) The pace of a pull over TLS on loopback against curl | sha256sum."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from report import Row, by_turns, row
from storage_parts import PACE, filled
from storage_served import Cluster, served
from support.images import MIB, datastore


def limit(folder: Path, where: str, mib: int) -> list[Row]:
    """(e) A pull over TLS on loopback against curl | sha256sum into a file of the same file system."""
    store, image = datastore(folder / "store", filled(folder / "1.qcow2", mib * MIB, mib * MIB))

    def measure(cluster: Cluster) -> list[Row]:
        here, copy = Store(folder / "here"), folder / "copy"

        def ours() -> None:
            shutil.rmtree(here.root, ignore_errors=True)
            pull_image(here, image.digest, [cluster.source()], now=0)

        command = f"{cluster.curl(image.hex + '.qcow2')} | tee {copy} | sha256sum >/dev/null; sync {copy}"

        def tee() -> None:
            copy.unlink(missing_ok=True)
            subprocess.run(["bash", "-o", "pipefail", "-ec", command], check=True)

        def no_file() -> None:
            subprocess.run(
                ["bash", "-o", "pipefail", "-ec", command.replace(f"tee {copy} | ", "").split(";", maxsplit=1)[0]], check=True
            )

        rows = []
        for name, other in (("curl | tee FILE | sha256sum", tee), ("curl | sha256sum, nothing written", no_file)):
            mine, theirs = (mib / found for found in by_turns(ours, other))
            rows.append(
                row(f"(e) pull over TLS, {where}, {mib} MiB", "throughput", "MiB/s", mine, theirs, other_name=name, goal=PACE)
            )
        return rows

    assert store.root.exists()
    return served(folder, folder / "store", measure)
