# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point run`` and ``status``: one pass over the VMs of this host that are to have recovery points."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._compute.drill.notes import protection
from .._compute.host.events import EventLoop
from .._compute.model.host_facts import Folders
from .._compute.recovery import progress
from .._compute.recovery.metrics import write_metrics
from .._compute.recovery.point import Points
from .._compute.recovery.rounds import Report, Rounds
from .._disks.files import DiskFiles
from .._errors import EdgeError, message_of
from .._files import locked
from .._libvirt import connection
from .._runner import SubprocessRunner
from .._storage.cluster.cluster_replica import trust_in
from .journal import log
from .point_keepers import TlsKeepers

Options = Mapping[str, Any]
FOLDERS = Folders()
METRICS = Path("/var/lib/edge/metrics")


def run(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Make the points that are due and remove those that enough hosts hold; raise where a VM failed or its points are late."""
    folders = Folders(FOLDERS.vms, str(cluster.images.root), FOLDERS.locks, FOLDERS.recovery)
    members = {member.name: member for member in cluster.others(cluster.keepers)}
    with (
        locked(Path(folders.locks, "points"), wait=False, make_folder=True),
        closing(TlsKeepers(members, trust_in(cluster))) as replicas,
        EventLoop(),
        connection() as opened,
    ):
        points = Points(opened, DiskFiles(SubprocessRunner(), folders), folders, Path(folders.recovery))
        report = Rounds(points, tuple(members), replicas, log).run()
        note_metrics(Path(folders.recovery, "status"))
    return outcome(report)


def note_metrics(notes: Path) -> None:
    """Write the metrics of what was noted of each VM; that they cannot be written, as on a full disk, is for the journal alone."""
    try:
        write_metrics(METRICS, progress.all_in(notes))
    except OSError as error:
        log(f"warning: the metrics in {METRICS} could not be written: {message_of(error)}")


def outcome(report: Report) -> dict[str, Any]:
    """Return the report as JSON has it, or raise it where it is not all well."""
    found = {"changed": bool(report.made or report.removed), **asdict(report)}
    if report.failed or report.breaches:
        failed = [f"{name}: {message}" for name, message in report.failed.items()]
        late = [f"The recovery points of these VMs are late: {', '.join(report.breaches)}; see edge-host point status."]
        silent = [f"{member} does not answer: {message}" for member, message in report.silent.items()]
        raise EdgeError(" ".join([*failed, *(late if report.breaches else []), *silent]), **found)
    return found


def status(_cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Return how far the points of each VM are, as the last pass noted it, its last drill, and which are late now."""
    vms = protection(Path(FOLDERS.recovery), time.time())
    return {"vms": vms, "breaches": [one["vm"] for one in vms if one["breach"]]}
