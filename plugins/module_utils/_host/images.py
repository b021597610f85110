# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of edge-host for images: they do what the modules do, with the options of ``cluster.json``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._plan import execute
from .._storage import names
from .._storage.cluster.cluster_replica import sources_in
from .._storage.cluster.replica import Choice
from .._storage.cluster.supply import bring
from .._storage.maintenance import gc
from .._storage.maintenance.gc import Collector
from .._storage.maintenance.scrub import Scrub, limit_of
from .._storage.store import uses
from .._storage.store.image_plan import view
from .._storage.store.store import Store
from .._storage.transfer.sources.nbd import NbdSource
from .._storage.transfer.sources.protocol import Source

QUICK_SECONDS = 5.0
NBD_CERTIFICATES = Path("/etc/edge/nbd")
Options = Mapping[str, Any]


def quick_sources(cluster: Cluster, certificates: Path = NBD_CERTIFICATES) -> list[Source]:
    """Return the sources for a caller that must not wait: one that does not answer within seconds is skipped.

    A host that is not a replica asks the NBD servers of the replicas first: they have what has not arrived there, too.
    """
    replicas = () if cluster.is_replica else cluster.others(cluster.replicas)
    early: list[Source] = [NbdSource(member.nbd, certificates) for member in replicas if member.nbd]
    return early + sources_in(cluster, QUICK_SECONDS)


def config(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Return what this host is; its configuration was read, so it is valid."""
    found = {"name": cluster.name, "host": cluster.host, "url": cluster.url, "is_replica": cluster.is_replica}
    return {**found, "replicas": len(cluster.replicas), "peers": len(cluster.peers), "frontends": len(cluster.frontends)}


def pull(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Make an image visible here, as the module replica_image does."""
    choice = Choice(options.get("digest"), options.get("name"), options.get("version"))
    work = bring(cluster, choice, progress_file=names.optional_path(options.get("progress_file"), "progress_file"))
    plan = work.plan("present", options.get("pinned"))
    execute(plan, lambda step: work.apply(step, time.time()))
    work.keep(plan, time.time())
    transfer = {"bytes_fetched": work.bytes_fetched, "bytes_reused": work.bytes_reused, "sources": list(work.used)}
    return {"changed": plan.changed, "actions": plan.actions, "image": dict(view(work.observe())), **transfer}


def collect(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Keep the images within the quota, as the module image_cache does."""
    images = cluster.images
    store = Store(images.root)
    limits = gc.limits_of(store, images.quota_bytes, images.quota_percent, images.minimum_age)
    collected = Collector(store, images.disk_directories, limits).collect()
    done = collected.done
    report = gc.report(done, collected.decision)
    return {"changed": done.changed, "actions": done.actions, **report, "quota": limits.quota}


def release(cluster: Cluster, options: Options) -> dict[str, Any]:
    """End the leases of a disk that is gone for ever; with ``check`` only show which."""
    path = names.absolute_path(options.get("path") or "", "path")
    released = uses.release(cluster.images.root, str(path), check=bool(options.get("check")))
    return {"changed": True, "images": released, "actions": [f"Release the use of {name} by {path}." for name in released]}


def scrub(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Verify and repair every image, as the module image_scrub does."""
    images = cluster.images
    limit = limit_of(images.scrub_rate_limit)
    done, report = Scrub(Store(images.root), sources_in(cluster), images.disk_directories, limit).run(time.time)
    return {"changed": done.changed, "actions": done.actions, **report}


def cache(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Return the images and how they are used, as the module image_cache_info does."""
    return gc.account(Store(cluster.images.root), cluster.images.disk_directories, time.time())
