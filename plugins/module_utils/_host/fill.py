# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host fill``: pull what other hosts requested of this replica, then what only other replicas have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._cluster import Cluster
from .._errors import EdgeError, NotFound, Unsupported
from .._storage.cluster.cluster_replica import MEMBER_SECONDS, ClusterReplica, trust_in
from .._storage.cluster.request_worker import RequestWorker
from .._storage.cluster.requests import PullRequests
from .._storage.maintenance import gc
from .._storage.store import catalogue
from .._storage.store.store import Store
from .._storage.transfer.progress import Progress
from .._storage.transfer.pull import Limit, Pulled, pull_image
from .._storage.transfer.rate_limit import RateLimit, no_limit
from .._storage.transfer.sources.https import HttpsSource
from .._storage.transfer.sources.protocol import Source


@dataclass(frozen=True)
class _Replica:
    """This host as one of the cluster's replicas; ``unreachable`` has why others showed no catalogue, by their URLs."""

    cluster: Cluster
    store: Store
    limit: Limit
    unreachable: dict[str, str] = field(default_factory=dict)

    @property
    def _others(self) -> list[Source]:
        trust = trust_in(self.cluster)
        return [HttpsSource(member.url, trust, MEMBER_SECONDS) for member in self.cluster.others(self.cluster.replicas)]

    def pull(self, digest: str, progress: Progress) -> Pulled:
        """Pull a requested image by the rule of the cluster."""
        return ClusterReplica.of(self.cluster, self.store).pull(digest, now=time.time(), progress=progress, limit=self.limit)

    def copy(self, digest: str, progress: Progress) -> Pulled:
        """Pull an image from other replicas only: an image that was not requested does not cross the WAN."""
        return pull_image(self.store, digest, self._others, now=time.time(), progress=progress, limit=self.limit)

    def missing(self) -> Iterator[str]:
        """Yield the images that only other replicas have and that fit the quota: garbage collection must not take them at once."""
        for entry in self._offered():
            if self.store.find(entry.digest) is None and self._fits(entry.size):
                yield entry.digest

    def _offered(self) -> Iterator[catalogue.Entry]:
        known: set[str] = set()
        for source in self._others:
            try:
                entries = source.catalogue()
            except NotFound:  # it has no catalogue yet
                continue
            except EdgeError as error:  # it is down, or does not know this replica yet
                self.unreachable[source.name] = error.message
                continue
            yield from (entry for entry in entries if entry.digest not in known)
            known |= {entry.digest for entry in entries}

    def _fits(self, size: int) -> bool:
        images = self.cluster.images
        quota = gc.limits_of(self.store, images.quota_bytes, images.quota_percent, images.minimum_age).quota
        return quota is None or size + sum(path.stat().st_size for path in self.store.root.glob("*.qcow2")) <= quota


def fill(cluster: Cluster, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Serve all requests, then copy what other replicas have; failures are reported, also to the hosts that wait.

    That another replica is down, or refuses this one, is told, and no failure.
    """
    if not cluster.is_replica:
        raise Unsupported(
            f"{cluster.host} is not a replica host of the cluster {cluster.name}; edge-host fill runs on replica hosts only.",
            host=cluster.host,
        )
    store = Store(cluster.images.root)
    store.prepare()
    rate = cluster.images.rate_limit
    replica = _Replica(cluster, store, RateLimit(rate, time.monotonic, time.sleep) if rate else no_limit)
    outcome = RequestWorker(PullRequests(cluster.images.wanted), replica.pull, replica.copy, replica.missing()).run()
    if not catalogue.current(store):
        catalogue.write(store)
    return {"changed": bool(outcome.pulled), **asdict(outcome), "unreachable": replica.unreachable}
