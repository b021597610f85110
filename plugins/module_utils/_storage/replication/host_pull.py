# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery points that one host made, pulled to this replica: the next one of each VM in turn, the oldest first.

What is wrong with one VM is noted, and the others go on. A host that does not answer is given up after a few VMs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..._cluster import Member
from ..._errors import Corrupt, EdgeError, NoSpace, NotFound, TimedOut, Unreachable, message_of
from ..._generation import Generation, Point
from ..._recovery_policy import policy_in
from ..recovery.intake import Intake, Taken
from ..recovery.merge_plan import Limits
from ..recovery.tidy import Tidying
from ..transfer.http_client import Trust
from .fetch import Fetch
from .offers import Offer, Offers
from .turns import is_due, rank

MOST_VMS = 4096
SILENT = 3  # VMs in a row for which a host does not answer
SEEDS = 2  # generations of another replica that are tried
Answer = TypeVar("Answer")
Received = Callable[[int], None]


@dataclass
class Outcome:
    """What came of one host or several: names of generations as ``UUID EPOCH.NUMBER``, and errors by host or VM.

    ``dropped`` are older ones that went for those taken.
    """

    taken: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    bytes_fetched: int = 0
    left_to_others: list[str] = field(default_factory=list)
    missing_images: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Add what came of another pull."""
        self.taken += other.taken
        self.dropped += other.dropped
        self.bytes_fetched += other.bytes_fetched
        self.left_to_others = sorted({*self.left_to_others, *other.left_to_others} - {*self.taken})
        self.missing_images |= other.missing_images
        self.failed |= other.failed
        self.unreachable |= other.unreachable


@dataclass(frozen=True)
class Here:
    """This replica: its name, what it takes points in with, all replicas, its certificate, and the time.

    ``givers`` are the other replicas, with the URLs at which they give what they keep.
    """

    host: str
    intake: Intake
    replicas: Sequence[Member]
    givers: Sequence[Member]
    trust: Trust
    now: Callable[[], float]

    @property
    def folder(self) -> Path:
        """The folder of what is on its way."""
        return self.intake.depot.partial / "pulled"


class HostPull:
    """One pull from one host; ``received`` gets the bytes of each block, and may wait, or raise TimedOut to end it."""

    def __init__(self, here: Here, member: Member, received: Received) -> None:
        self.outcome = Outcome()
        self._here, self._host, self._received = here, member, received
        self._offers = Offers(member, here.trust)
        self._fetch = Fetch(self._offers, here.folder / member.name, self._count)
        self._silent = 0

    def _count(self, count: int) -> None:
        self.outcome.bytes_fetched += count
        self._received(count)

    def run(self) -> Outcome:
        """Pull what is due, and return what came of it."""
        try:
            self._pull_all()
        except NotFound:  # a host that makes no points
            pass
        except TimedOut:  # the next pull goes on
            pass
        except (EdgeError, OSError) as error:
            kind = self.outcome.unreachable if _is_silent(error) else self.outcome.failed
            kind[self._host.name] = message_of(error)
        finally:
            self._offers.close()
        return self.outcome

    def _pull_all(self) -> None:
        uuids = self._offers.vms()
        self._fetch.drop_vms(uuids)
        if len(uuids) > MOST_VMS:
            self.outcome.failed[self._host.name] = f"it gives points of {len(uuids)} VMs; those of {MOST_VMS} are taken at most."
        ahead = {uuid: points for uuid in uuids[:MOST_VMS] if (points := self._guarded(uuid, partial(self._ahead, uuid)))}
        while ahead:
            for uuid, points in list(ahead.items()):
                offer = Offer(uuid, points.pop(0))
                if not self._guarded(uuid, partial(self._take, offer)) or not points:
                    del ahead[uuid]

    def _guarded(self, uuid: str, work: Callable[[], Answer]) -> Answer | None:
        """Return what comes of work for one VM, None where it failed; raise what ends the pull."""
        self._received(0)
        try:
            found = work()
        except TimedOut:
            raise
        except (EdgeError, OSError) as error:
            self._silent = self._silent + 1 if _is_silent(error) else 0
            if self._silent >= SILENT:
                raise
            self.outcome.failed[f"{self._host.name} {uuid}"] = message_of(error)
            return None
        self._silent = 0
        return found

    def _ahead(self, uuid: str) -> list[Point]:
        """Return the points of a VM that are later than what is here."""
        made = self._offers.made(uuid)
        whole = self._here.intake.depot.listed(uuid).whole
        found = [point for point in made if not whole or point > whole[-1].point]
        self._fetch.drop_others(uuid, [Offer(uuid, point).name for point in found])
        return found

    def _take(self, offer: Offer) -> bool:
        """Take a point in, and return whether the VM's next one may follow; False where others take it."""
        generation = self._offers.document(offer)
        policy = policy_in(generation.spec)
        place = rank(offer.uuid, self._here.replicas, self._host.name, self._here.host)
        if not is_due(policy, place, self._here.now() - generation.timestamp):
            self.outcome.left_to_others.append(f"{offer.uuid} {offer.name}")
            return False
        try:
            taken = self._brought(self._fetch, offer, generation)
        except NotFound as error:
            if not self._seeded(offer):
                raise NotFound(
                    f"What comes before the point {offer.name} of the VM {offer.uuid} is not here, no longer on {self._host.name}, "
                    f"and no other replica gives an earlier point: {error.message}",
                    **error.details,
                ) from None
            taken = self._brought(self._fetch, offer, generation)
        self._note(taken)
        return True

    def _note(self, taken: Taken) -> None:
        if taken.changed:
            self.outcome.taken.append(f"{taken.generation.vm.uuid} {taken.generation.name}")
        self.outcome.missing_images |= set(taken.missing_images)

    def _brought(self, fetch: Fetch, offer: Offer, generation: Generation) -> Taken:
        """Take a generation in; where the quota is full, drop older ones for it."""
        try:
            return self._bring(fetch, offer, generation)
        except NoSpace as error:
            intake = self._here.intake
            if intake.quota is None or "quota" not in error.details:  # the file system is full
                raise
            tidying = Tidying(intake.depot, intake.qemu, Limits(quota=intake.quota), intake.images)
            self.outcome.dropped += (dropped := tidying.make_room(offer.uuid, error.details["needed"]).dropped)
            if not dropped:
                raise
        return self._bring(fetch, offer, generation)

    def _bring(self, fetch: Fetch, offer: Offer, generation: Generation) -> Taken:
        intake = self._here.intake
        folder = fetch.fetch(offer, generation, intake.lacking(generation))
        try:
            taken = intake.take(folder, offer.uuid, own=True)
        except Corrupt:
            fetch.drop(offer)
            raise
        fetch.drop(offer)
        return taken

    def _seeded(self, offer: Offer) -> bool:
        """Take an earlier generation from another replica, since the deltas before this one are gone from the VM's host."""
        whole = self._here.intake.depot.listed(offer.uuid).whole
        for member in self._here.givers:
            if member.name == self._host.name:
                continue
            offers = Offers(member, self._here.trust)
            with suppress(EdgeError):  # that replica is down, or has none: another one may have it
                points = [point for point in offers.kept(offer.uuid) if point < offer.point]
                newer = [point for point in points if not whole or point > whole[-1].point]
                if self._seed(offers, [Offer(offer.uuid, point, kept=True) for point in reversed(newer[-SEEDS:])]):
                    return True
            offers.close()
        return False

    def _seed(self, offers: Offers, found: Sequence[Offer]) -> bool:
        fetch = Fetch(offers, self._here.folder / f"{self._host.name}@{offers.host}", self._count)
        for seed in found:
            with suppress(NotFound):  # its replica dropped or merged it meanwhile
                self._note(self._brought(fetch, seed, offers.document(seed)))
                return True
        return False


def _is_silent(error: Exception) -> bool:
    """Return whether an error means that a host did not answer, rather than that it refused or failed to give something."""
    return isinstance(error, Unreachable) and "status" not in error.details
