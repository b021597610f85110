# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point pull``: on a replica, pull the recovery points that the other hosts of the cluster made of their VMs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import _files
from .._cluster import Cluster
from .._errors import Busy, EdgeError, Unreachable, Unsupported
from .._generation import file_name
from .._runner import SubprocessRunner
from .._storage.cluster.cluster_replica import trust_in
from .._storage.cluster.requests import PullRequests
from .._storage.format.qemu_img import QemuImg
from .._storage.recovery.depot import Depot
from .._storage.recovery.holding import missing_images
from .._storage.recovery.intake import Intake
from .._storage.replication.host_pull import Here, Outcome
from .._storage.replication.pull import Pull
from .._storage.store.store import Store
from .._storage.transfer.rate_limit import RateLimit, no_limit

PAUSE_SECONDS = 600  # after an image could not be pulled


def pull(cluster: Cluster, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was taken in; images below it that are not here are requested of this replica. Fails if anything failed."""
    if not cluster.is_replica:
        raise Unsupported(
            f"{cluster.host} is not a replica host of the cluster {cluster.name}; edge-host point pull runs on replica hosts only.",
            host=cluster.host,
        )
    depot, store = Depot(cluster.recovery.root), Store(cluster.images.root)
    intake = Intake(depot, QemuImg(SubprocessRunner()), store, cluster.recovery.quota_bytes)
    hosts, keepers = cluster.others(cluster.points), cluster.keepers
    here = Here(cluster.host, intake, keepers, cluster.others(keepers), trust_in(cluster), time.time)
    rate = cluster.recovery.rate_limit
    limit = RateLimit(rate, time.monotonic, time.sleep) if rate else no_limit
    depot.prepare_root()
    try:
        with _files.locked(depot.partial / "pull.lock", wait=False):
            outcome = Pull(here, limit, time.monotonic).run(hosts)
    except Busy:
        raise Busy("Recovery points are being pulled to this host already.", root=str(depot.root)) from None
    missing = outcome.missing_images | _missing(depot, store)
    requested = request(PullRequests(cluster.images.wanted), missing, time.time())
    found = {**shown(outcome), "missing_images": sorted(missing), "requested": requested}
    _require_good(outcome, len(hosts), found)
    return found


def shown(outcome: Outcome) -> dict[str, Any]:
    """Return it as JSON has it."""
    return {"changed": bool(outcome.taken), **vars(outcome), "missing_images": sorted(outcome.missing_images)}


def _require_good(outcome: Outcome, hosts: int, found: Mapping[str, Any]) -> None:
    """Raise an error if anything failed; that a host is down is not a failure unless none is reached."""
    if outcome.failed:
        why = "; ".join(f"{name}: {message}" for name, message in outcome.failed.items())
        raise EdgeError(f"Some recovery points were not pulled: {why:.4000}", **found)
    if hosts and len(outcome.unreachable) == hosts:
        why = " ".join(outcome.unreachable.values())
        raise Unreachable(f"No host was reached, so no recovery point was pulled: {why:.4000}", **found)


def _missing(depot: Depot, store: Store) -> set[str]:
    """Return the images below the newest generation of each VM that are not here."""
    newest = (depot.listed(uuid).whole[-1:] for uuid in depot.vms())
    return {digest for found in newest for one in found for digest in missing_images(store, one)}


def request(requests: PullRequests, digests: Iterable[str], now: float) -> list[str]:
    """Ask this replica for images, as other hosts do, and return which; one that failed a moment ago is left alone."""
    asked = []
    for digest in sorted(digests):
        state = requests.read(digest)
        if state is None or state.state == "done" or (state.state == "failed" and now - state.updated >= PAUSE_SECONDS):
            _ask(requests.asked / file_name(digest))
            asked.append(digest)
    return asked


def _ask(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
