# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point make``: make a recovery point of a VM of this host, in a folder that replicas take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._cluster import Cluster
from .._compute.host.events import EventLoop
from .._compute.model.host_facts import Folders
from .._compute.model.recovery_policy import read_policy
from .._compute.recovery.point import PointMade, PointOrder, Points
from .._disks.files import DiskFiles
from .._libvirt import connection
from .._runner import SubprocessRunner
from .points import required, whole_number

MOST = 10**15 - 1


def make(cluster: Cluster, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was made of the VM ``vm``: ``folder`` is None where nothing changed since ``generation``."""
    vm = required(options, "vm")
    policy = read_policy({"quiesce": options["quiesce"]}) if options.get("quiesce") else None
    epoch, after = (whole_number(options, key, 0, MOST, 0) for key in ("epoch", "after"))
    order = PointOrder(policy, epoch, after, final=bool(options.get("final")))
    folders = Folders(images=str(cluster.images.root))
    with EventLoop(), connection() as opened:
        points = Points(opened, DiskFiles(SubprocessRunner(), folders), folders)
        return shown(points.make(vm, order))


def shown(made: PointMade) -> dict[str, Any]:
    """Return it as JSON has it."""
    return {
        "changed": made.folder is not None,
        "vm": made.generation.vm.uuid,
        "generation": made.generation.name,
        "instant": made.generation.instant,
        "quiesced": made.generation.quiesced,
        "folder": str(made.folder) if made.folder else None,
        "whole": made.whole,
        "left_out": dict(made.left_out),
    }
