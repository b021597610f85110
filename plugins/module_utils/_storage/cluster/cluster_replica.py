# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a host in a cluster, pulled by the rule of the cluster: each byte crosses the WAN once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..._cluster import Cluster, Member
from ..._errors import Corrupt, EdgeError, InvalidInput, NotFound, Unreachable, Unsupported
from ..store import catalogue, usage
from ..store.catalogue import Entry
from ..store.manifest import Manifest
from ..store.store import Store
from ..transfer.http_client import SECONDS, Trust
from ..transfer.progress import Progress, no_progress
from ..transfer.pull import Limit, Pulled, pull_image
from ..transfer.rate_limit import no_limit
from ..transfer.sources.https import HttpsSource
from ..transfer.sources.protocol import Source, proven_manifest
from .discovery import survey
from .pull_policy import Ask, Fetch, ObservedMember, Situation, ranked
from .replica import Choice, Replica
from .request_client import Asking, ReplicaFailed

PEERS = 3
MEMBER_SECONDS = 10.0


def trust_in(cluster: Cluster) -> Trust:
    """Return the certificate files of a host."""
    return Trust(cluster.tls.ca_file, cluster.tls.cert_file, cluster.tls.key_file)


def sources_in(cluster: Cluster, seconds: float = SECONDS) -> list[Source]:
    """Return who has whole images for a host: the other replicas, then the Front-end; each may take ``seconds`` to answer."""
    urls = [*(member.url for member in cluster.others(cluster.replicas)), *cluster.frontends]
    return [HttpsSource(url, trust_in(cluster), seconds) for url in urls]


@dataclass
class _Attempt:
    """The failures of one pull: the members to leave out, their errors, and the failure of a replica that was asked."""

    left: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
    refused: EdgeError | None = None

    def leave(self, name: str, message: str) -> None:
        self.left.add(name)
        self.errors[name] = message


@dataclass(frozen=True)
class ClusterReplica(Replica):
    """The images of a host of ``cluster``; which hosts it asks is decided for each image."""

    cluster: Cluster = field(kw_only=True)
    trust: Trust = field(kw_only=True)

    @classmethod
    def of(cls, cluster: Cluster, store: Store | None = None) -> ClusterReplica:
        """Return the images of this host. What a digest is comes from other replicas, then from the Front-end."""
        sources = sources_in(cluster, MEMBER_SECONDS)
        return cls(store or Store(cluster.images.root), sources, cluster=cluster, trust=trust_in(cluster))

    def resolve(self, choice: Choice) -> str:
        """See Replica. Which image has a name is the Front-end's word, not a replica's; those answer only while it is down.

        While no host answers, a name alone means the newest image of it that is here.
        """
        if choice.digest:
            return choice.digest
        count = len(self.cluster.frontends)
        reordered = [*self.sources[-count:], *self.sources[:-count]] if count else self.sources
        try:
            return super(ClusterReplica, replace(self, sources=reordered)).resolve(choice)
        except Unreachable:
            here = Replica(self.store).local(choice)
            if here is None:
                raise
            return here.digest

    def offered(self, digest: str) -> Mapping[str, Any]:
        """Return the image's entry in a catalogue: a manifest would cross the WAN once for each host."""

        def find(source: Source) -> Entry:
            found = [entry for entry in source.catalogue() if entry.digest == digest]
            if not found:
                raise NotFound(f"{source.name} has no image {digest}.", digest=digest)
            return found[0]

        return {key: getattr(self._ask(digest, find), key) for key in catalogue.KEYS}

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest of an image that is not here, from a replica before the Front-end."""
        return self._ask(digest, lambda source: proven_manifest(source, digest))

    def pull(self, digest: str, *, now: float, progress: Progress = no_progress, limit: Limit = no_limit) -> Pulled:
        """Make the image visible here, from the hosts that the rule names; if one fails, go on with another."""
        attempt = _Attempt()
        while True:
            there = self.store.claim(digest, usage.PULL)
            if there is not None:
                return Pulled(there, self.store.image_path(digest))
            step = self._situation(digest).decide(self._survey(digest, attempt), attempt.left)
            try:
                if isinstance(step, Ask):
                    Asking(step.replica, digest, self.trust, self.cluster.host).wait(progress)
                    continue
                return self._fetch(
                    step,
                    digest,
                    attempt,
                    lambda sources: pull_image(self.store, digest, sources, now=now, progress=progress, limit=limit),
                )
            except (Unreachable, Corrupt, NotFound, Unsupported, ReplicaFailed) as error:
                self._note(step, error, attempt)

    def _situation(self, digest: str) -> Situation:
        cluster = self.cluster
        peers = ranked(digest, cluster.others(cluster.peers), salt=cluster.host)[:PEERS]
        return Situation(cluster.host, tuple(ranked(digest, cluster.replicas)), tuple(peers), cluster.frontends)

    def _survey(self, digest: str, attempt: _Attempt) -> dict[str, ObservedMember]:
        def asked(members: Sequence[Member]) -> list[Member]:
            return [member for member in members if member.name != self.cluster.host and member.name not in attempt.left]

        situation = self._situation(digest)
        observed = survey(asked(situation.peers), asked(situation.replicas), digest, self.trust)
        attempt.errors.update({name: one.error for name, one in observed.items() if one.error})
        return observed

    def _fetch(self, step: Fetch, digest: str, attempt: _Attempt, go: Callable[[list[Source]], Pulled]) -> Pulled:
        if step.wan and attempt.refused is not None and not self.cluster.is_replica:
            raise attempt.refused
        if not step.urls:
            raise NotFound(
                f"No host of the cluster {self.cluster.name} has the image {digest}, and the cluster has no Front-end.",
                digest=digest,
            )
        sources: list[Source] = [HttpsSource(url, self.trust, *(() if step.wan else (MEMBER_SECONDS,))) for url in step.urls]
        try:
            done = go(sources)
        finally:
            for source in sources:
                source.close()
        if self.cluster.is_replica:
            catalogue.write(self.store)
        return done

    def _note(self, step: Ask | Fetch, error: EdgeError, attempt: _Attempt) -> None:
        """Leave out the member that failed; raise an error that no other host can avoid."""
        if isinstance(error, ReplicaFailed):
            if isinstance(error.cause, NotFound | Corrupt | InvalidInput):
                raise error.cause from None
            attempt.refused = error.cause
        if isinstance(step, Ask):
            attempt.leave(step.replica.name, error.message)
        elif step.wan:
            raise _with_errors(error, attempt) from None
        else:
            for member in (*self.cluster.replicas, *self.cluster.peers):
                if member.url in step.urls:
                    attempt.leave(member.name, error.message)


def _with_errors(error: EdgeError, attempt: _Attempt) -> EdgeError:
    if not attempt.errors:
        return error
    before = "; ".join(f"{name}: {message}" for name, message in attempt.errors.items())
    return type(error)(f"{error.message} In the cluster: {before}", **{**error.details, "members": dict(attempt.errors)})
