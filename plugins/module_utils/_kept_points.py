# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points that replicas of the cluster keep, for a restore on another host: found by lists, fetched when it begins."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ._cluster import Cluster, Member
from ._compute.model.spec import stable_uuid
from ._errors import Corrupt, EdgeError, NoSpace, NotFound, Refused, Unreachable
from ._generation import UUID, File, Generation, Point, point_name, point_of
from ._points import DepotDisks, DepotPoint, FolderPoint, point_in_depot, point_in_folder
from ._runner import Runner
from ._storage.cluster.cluster_replica import trust_in
from ._storage.recovery.holding import missing_images
from ._storage.recovery.intake import LARGEST_OTHER
from ._storage.replication.fetch import Fetch
from ._storage.replication.offers import Offer, Offers
from ._storage.store.store import Store
from ._storage.transfer.http_client import Trust

Read = TypeVar("Read")
TRIES = 3  # a replica merges and drops generations at any time; what was fetched is not fetched again


@dataclass(frozen=True)
class KeptPoint:
    """A generation at a replica; see ``PointSource``. ``folder`` has what was fetched until it is restored.

    ``others`` keep it too, and are asked where the first one's copy is damaged or it does not answer.
    """

    member: Member
    trust: Trust
    folder: Path
    images: Path
    runner: Runner
    generation: Generation
    latest: Generation
    others: tuple[Member, ...] = ()

    @property
    def _offer(self) -> Offer:
        return Offer(self.generation.vm.uuid, self.generation.point, kept=True)

    def newest(self) -> Generation:
        """See PointSource."""
        return self.latest

    def missing_images(self) -> tuple[str, ...]:
        """See PointSource."""
        return missing_images(Store(self.images), self.generation)

    def room_factor(self) -> int:
        """See PointSource."""
        return 3

    def content(self, what: str) -> bytes:
        """See PointSource; nothing is written."""
        file = self.generation.files[what]
        return self._first_whole(lambda member: self._content(member, file))

    def _content(self, member: Member, file: File) -> bytes:
        if file.size > LARGEST_OTHER:
            raise Corrupt(f"{file.digest} has {file.size} bytes; at most {LARGEST_OTHER} are possible.")
        data = b""
        if file.size:
            with closing(Offers(member, self.trust)) as offers, offers.read(self._offer, file, 0) as response:
                data = response.read(file.size)
        if len(data) != file.size or f"sha256:{hashlib.sha256(data).hexdigest()}" != file.digest:
            raise Corrupt(f"What it gave for {file.digest} has another digest.", source=member.name)
        return data

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[DepotDisks]:
        """See PointSource; the files are checked as those of any folder. A fetch that was interrupted goes on where it ended."""
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            yield self._first_whole(lambda member: stack.enter_context(self._fetched(member).opened(scratch)))

    def _first_whole(self, read: Callable[[Member], Read]) -> Read:
        """Return what the first replica gives whose copy is whole; raise the error of each where none is."""
        bad: list[str] = []
        for member in (self.member, *self.others):
            try:
                return read(member)
            except NoSpace:
                raise
            except EdgeError as error:
                bad.append(f"{member.name}: {error.message}")
                shutil.rmtree(self.folder, ignore_errors=True)
        raise Corrupt(
            f"generation: no replica gives a whole copy of {self.generation.name} of {self.generation.vm.name}: {' '.join(bad)}",
            option="generation",
        )

    def _fetched(self, member: Member) -> FolderPoint:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(Offers(member, self.trust)) as offers:
            fetch = Fetch(offers, self.folder, lambda _count: None)
            fetch.drop_others(self._offer.uuid, [self._offer.name])
            for _try in range(TRIES - 1):
                with suppress(NotFound):
                    return self._fetched_once(offers, fetch)
            return self._fetched_once(offers, fetch)

    def _fetched_once(self, offers: Offers, fetch: Fetch) -> FolderPoint:
        now = offers.document(self._offer)
        place = fetch.fetch(self._offer, now, now.needs)
        return point_in_folder(place, None, None, self.images, self.runner)


@dataclass(frozen=True)
class KeptPoints:
    """The recovery points of the replicas of a cluster; ``folder`` is for what is fetched."""

    cluster: Cluster
    folder: Path
    images: Path
    runner: Runner

    def find(self, uuid: str, generation: str | None) -> KeptPoint:
        """Return a generation of a VM, the newest of all where none is named.

        Raises NotFound with what there is, and Refused where none is named and a replica that may have a newer one does not answer.
        """
        kept, silent = self._kept(uuid)
        points = sorted({point for found in kept.values() for point in found})
        wanted = point_of(generation) if generation is not None else points[-1] if points else None
        without = "".join(f" {name} does not answer: {why}" for name, why in silent.items())
        if wanted is None or wanted not in points:
            what = f"recovery point {generation}" if generation else "recovery point"
            have = ", ".join(point_name(point) for point in points) or "none of this VM"
            option = "vm" if not points else "generation"
            raise NotFound(
                f"{option}: no replica of the cluster keeps a {what} of the VM {uuid}; they keep {have}.{without}", option=option
            )
        if generation is None and silent:
            raise Refused(
                f"generation: the newest recovery point that is found is {point_name(wanted)}, and a newer one may be where none "
                f"can look.{without} To restore this one, name it.",
                option="generation",
                found=point_name(wanted),
            )
        return self._chosen(uuid, wanted, points[-1], kept)

    def _kept(self, uuid: str) -> tuple[dict[Member, list[Point]], dict[str, str]]:
        """Return what each replica keeps of a VM, and why others do not answer."""
        kept, silent = {}, {}
        for member in self.cluster.others(self.cluster.keepers):
            try:
                with closing(Offers(member, trust_in(self.cluster))) as offers:
                    kept[member] = offers.kept(uuid)
            except EdgeError as error:
                silent[member.name] = error.message
        return kept, silent

    def _chosen(self, uuid: str, wanted: Point, latest: Point, kept: dict[Member, list[Point]]) -> KeptPoint:
        """Return a point at the first replica that gives its document."""
        trust = trust_in(self.cluster)
        why: list[str] = []
        newest = self._document(uuid, latest, kept, why)
        members = [one for one, points in kept.items() if wanted in points]
        for place, member in enumerate(members):
            found = newest if wanted == latest else self._document(uuid, wanted, {member: kept[member]}, why)
            if found and newest:
                others = tuple(members[place + 1 :])
                return KeptPoint(member, trust, self.folder, self.images, self.runner, found, newest, others)
        raise Unreachable(
            f"generation: no replica gives {point_name(wanted)} of the VM {uuid}: {' '.join(why)}", option="generation"
        )

    def _document(self, uuid: str, point: Point, kept: dict[Member, list[Point]], why: list[str]) -> Generation | None:
        for member in (one for one, points in kept.items() if point in points):
            try:
                with closing(Offers(member, trust_in(self.cluster))) as offers:
                    return offers.document(Offer(uuid, point, kept=True))
            except EdgeError as error:
                why.append(error.message)
        return None


def find_point(
    root: Path,
    vm: str,
    generation: str | None,
    *,
    cluster: Callable[[], Cluster | None],
    folders: tuple[Path, Path],
    runner: Runner,
) -> DepotPoint | KeptPoint:
    """Return a generation of a VM, by its UUID or name, of this host's depot ``root`` or else of the replicas of its cluster.

    ``folders`` are that of what is fetched, and that of the images. Replicas are asked by the UUID, for a name by the one that it
    gives a VM of ours.
    """
    fetched, images = folders
    try:
        return point_in_depot(root, vm, generation, images, runner)
    except NotFound:
        found = cluster()
        if found is None or not found.others(found.keepers):
            raise
    return KeptPoints(found, fetched, images, runner).find(vm if UUID.fullmatch(vm) else stable_uuid(vm), generation)
