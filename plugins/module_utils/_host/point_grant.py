# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point grant``: on a replica, export the recovery points that hosts ask for, each until it asks no more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import _files
from .._cluster import Cluster
from .._runner import SubprocessRunner
from .._storage.leasing.granting import Granting
from .._storage.leasing.records import Lease, LeaseFolder
from .point_export import UNIT, exports_of
from .point_readers import LEASES
from .points import whole_number

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
AGAIN_SECONDS = 1.0  # while the points of a VM are being changed


def grant(cluster: Cluster, options: Mapping[str, Any]) -> dict[str, Any]:
    """Serve what hosts asked for and end what is over, until nothing waits; a refusal is for the host that asked."""
    port = whole_number(options, "port", 1, 65535)
    runner, boot = SubprocessRunner(), BOOT_ID.read_text(encoding="ascii").strip()
    granting = Granting(
        exports_of(cluster), LeaseFolder(LEASES), port, lambda: runner.run(["systemctl", "restart", "--", UNIT]), boot
    )
    return granted(granting)


def granted(granting: Granting) -> dict[str, Any]:
    """Do what ``grant`` does, and return the leases."""
    changed = False
    with _files.locked(granting.folder.folder / "grant.lock", make_folder=True):
        while True:
            done = granting.run(time.time())
            changed |= done.restarted
            if not done.waiting and not granting.folder.requests():
                break
            time.sleep(AGAIN_SECONDS)
    refused = [{**shown(one), "error": one.error} for one in done.refused]
    return {"changed": changed, "leases": [shown(one) for one in done.granted], "refused": refused}


def shown(lease: Lease) -> dict[str, Any]:
    """Return a lease as a report shows it."""
    return {"host": lease.host, "lease": lease.lease, "vm": lease.vm, "generation": lease.generation, "until": lease.until}
