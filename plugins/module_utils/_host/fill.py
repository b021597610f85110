# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host fill``: a replica has what others want, and all that other replicas have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._cluster import Cluster
from .._errors import EdgeError, Unsupported
from .._storage.cluster.cluster_replica import MEMBER_SECONDS, ClusterReplica, trust_in
from .._storage.cluster.fill import Filler
from .._storage.cluster.requests import PullRequests
from .._storage.maintenance import gc
from .._storage.store import catalogue
from .._storage.store.store import Store
from .._storage.transfer.pull import Limit, Progress, Pulled, pull_image
from .._storage.transfer.rate_limit import RateLimit, no_limit
from .._storage.transfer.sources.https import HttpsSource
from .._storage.transfer.sources.protocol import Source


@dataclass(frozen=True)
class _Replica:
    """This host as one of the cluster's replicas."""

    cluster: Cluster
    store: Store
    limit: Limit

    @property
    def _others(self) -> list[Source]:
        trust = trust_in(self.cluster)
        return [HttpsSource(member.url, trust, MEMBER_SECONDS) for member in self.cluster.others(self.cluster.replicas)]

    def pull(self, digest: str, progress: Progress) -> Pulled:
        """Have what was asked for, by the rule of the cluster."""
        return ClusterReplica.of(self.cluster, self.store).pull(digest, now=time.time(), progress=progress, limit=self.limit)

    def copy(self, digest: str, progress: Progress) -> Pulled:
        """Have what another replica has, from replicas alone: nothing that nobody asked for goes over the WAN."""
        return pull_image(self.store, digest, self._others, now=time.time(), progress=progress, limit=self.limit)

    def missing(self) -> Iterator[str]:
        """Yield what other replicas have and this one has not, as long as it fits the quota, so that nothing comes only to go."""
        for entry in self._offered():
            if self.store.find(entry.digest) is None and self._fits(entry.size):
                yield entry.digest

    def _offered(self) -> Iterator[catalogue.Entry]:
        told: set[str] = set()
        for source in self._others:
            try:
                entries = source.catalogue()
            except EdgeError:  # it is away, or it has none yet
                continue
            yield from (entry for entry in entries if entry.digest not in told)
            told |= {entry.digest for entry in entries}

    def _fits(self, size: int) -> bool:
        images = self.cluster.images
        quota = gc.limits_of(self.store, images.quota_bytes, images.quota_percent, images.minimum_age).quota
        return quota is None or size + sum(path.stat().st_size for path in self.store.root.glob("*.qcow2")) <= quota


def fill(cluster: Cluster, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Work off all requests, then copy what other replicas have; what failed is told, and to those who wait for it."""
    if not cluster.is_replica:
        raise Unsupported(f"{cluster.host} is no replica host of the cluster {cluster.name}; nothing fills it.", host=cluster.host)
    store = Store(cluster.images.root)
    store.prepare()
    rate = cluster.images.rate_limit
    replica = _Replica(cluster, store, RateLimit(rate, time.monotonic, time.sleep) if rate else no_limit)
    filled = Filler(PullRequests(cluster.images.wanted), replica.pull, replica.copy, replica.missing()).run()
    if not catalogue.current(store):
        catalogue.write(store)
    return {"changed": bool(filled.pulled), "pulled": filled.pulled, "failed": filled.failed, "bytes_fetched": filled.bytes_fetched}
