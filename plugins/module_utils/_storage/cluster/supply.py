# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a host can have: those in its host cache, and those that its cluster brings there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._cluster import Cluster, load_if_there
from ..._errors import InvalidInput, NotFound
from ..._plan import execute
from ..._shown import few, nearest
from .. import names
from ..store.store import Store
from .cluster_replica import ClusterReplica
from .replica import Choice, Replica, Work

ALONE = (
    "the host is in no cluster (/etc/edge/cluster.json) that could bring it; bring it with edge.cloud.replica_image and its sources"
)


def read_choice(text: str) -> Choice:
    """Return the image that ``NAME`` (its newest version) or ``NAME:VERSION`` means, or raise InvalidInput."""
    name, colon, version = text.partition(":")
    if names.NAME.fullmatch(name) and (not colon or names.VERSION.fullmatch(version)) and name != "sha256":
        return Choice(name=name, version=version or None)
    raise InvalidInput(
        f"{text!r:.200} is not an image; write its name, such as debian (its newest version), name and version, such as "
        "debian:13.1, or its digest (sha256: and 64 hexadecimal digits). A file of the host is given by path."
    )


def bring(cluster: Cluster, choice: Choice, *, store: Store | None = None, progress_file: Path | None = None) -> Work:
    """Return the work of having an image here by the rule of the cluster, within its limits."""
    images = cluster.images
    replica = ClusterReplica.of(cluster, store)
    return Work(replica, choice, images.disk_directories, progress_file, rate_limit=images.rate_limit)


@dataclass(frozen=True)
class Supply:
    """The images of one store, and of the cluster of this host where it is in one."""

    store: Store
    progress_file: Path | None = None

    def choose(self, text: str) -> str:
        """Return the digest that ``NAME`` or ``NAME:VERSION`` means; raise NotFound or Unreachable with what there is."""
        choice = read_choice(text)
        here = self.store.named(str(choice.name), choice.version) if choice.version else None
        if here is not None:
            return here.digest
        cluster = load_if_there()
        if cluster is not None:
            return ClusterReplica.of(cluster, self.store).resolve(choice)
        here = Replica(self.store).local(choice)
        if here is not None:
            return here.digest
        there = few(nearest(text, (f"{one.name}:{one.version}" for one in self.store.images())), otherwise="nothing")
        raise NotFound(f"no image {text} is in the host cache (it has {there}), and {ALONE}.", sources={})

    def is_named(self, digest: str, text: str) -> bool | None:
        """Return whether an image of the store is what ``text`` calls it, None where it is not here."""
        choice, found = read_choice(text), self.store.find(digest)
        return None if found is None else found.name == choice.name and choice.version in (None, found.version)

    def newest_here(self, name: str) -> str | None:
        """Return the digest of the newest image of the store with this name."""
        return next((one.digest for one in reversed(self.store.images()) if one.name == name), None)

    def offered(self, digest: str) -> Mapping[str, Any]:
        """Return the summary of an image that is not here, from the cluster; raise NotFound or Unreachable."""
        cluster = _cluster_for(digest, f"it is not in the host cache ({self.store.image_path(digest)})")
        return ClusterReplica.of(cluster, self.store).offered(digest)

    def template(self, digest: str) -> Mapping[str, Any]:
        """Return the JSON of what a VM of an image begins with, empty where its manifest says nothing.

        The manifest of an image that is not here comes from the cluster; raise NotFound or Unreachable where no host has it.
        """
        found = self.store.find(digest)
        if found is None:
            cluster = _cluster_for(digest, f"the image {digest} is not in the host cache")
            found = ClusterReplica.of(cluster, self.store).manifest(digest)
        return found.template or {}

    def pull(self, digest: str) -> None:
        """Bring an image by the rule of the cluster; at once where it is here. Several callers fetch it once."""
        cluster = _cluster_for(digest, f"The image {digest} is not in the host cache")
        work = bring(cluster, Choice(digest), store=self.store, progress_file=self.progress_file)
        plan = work.plan("present")
        execute(plan, lambda step: work.apply(step, time.time()))
        work.keep(plan, time.time())


def _cluster_for(digest: str, missing: str) -> Cluster:
    """Return the cluster that brings an image; raise NotFound on a host that is in none, with what is ``missing``."""
    cluster = load_if_there()
    if cluster is None:
        raise NotFound(f"{missing}, and {ALONE}.", digest=digest)
    return cluster
