# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generations go and which deltas are merged: decided from documents alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..._errors import InvalidInput
from ..._generation import Delta, Disk, Generation
from ..._recovery_policy import LEAST_KEPT, policy_in
from .depot import Listed

LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Limits:
    """What is kept: so many generations of each VM at least, chains of so many deltas at most, and bytes of all files."""

    keep: int = LEAST_KEPT
    longest: int = LONGEST_CHAIN
    quota: int | None = None

    def __post_init__(self) -> None:
        for option, value, least in (("keep", self.keep, LEAST_KEPT), ("longest", self.longest, 1)):
            if value < least:
                raise InvalidInput(f"{option}: {value} is less than {least}; use {least} or more.", option=option)


@dataclass(frozen=True)
class Run:
    """Adjacent deltas of one disk, with all that is below them."""

    target: str
    image: str | None
    below: tuple[Delta, ...]
    deltas: tuple[Delta, ...]

    @property
    def bytes(self) -> int:
        """What a merge reads, and writes at most."""
        return sum(delta.size for delta in self.deltas)

    def within(self, disk: Disk) -> bool:
        """Return whether the disk's chain begins with this run and all that is below it."""
        wanted = [delta.digest for delta in (*self.below, *self.deltas)]
        return (disk.target, disk.image) == (self.target, self.image) and [
            delta.digest for delta in disk.chain[: len(wanted)]
        ] == wanted

    def replaced_in(self, generation: Generation, merged: Delta) -> Generation:
        """Return the generation with the merged delta in place of the run; it stays as it is where the run is not its own."""
        return replace(generation, disks=tuple(self._replaced(disk, merged) for disk in generation.disks))

    def _replaced(self, disk: Disk, merged: Delta) -> Disk:
        if not self.within(disk):
            return disk
        return replace(disk, chain=(*self.below, merged, *disk.chain[len(self.below) + len(self.deltas) :]))


def kept_of(listed: Listed, keep: int) -> int:
    """Return how many generations of a VM stay: ``keep``, or what its newest whole one asks for where that is more."""
    return max(keep, policy_in(listed.whole[-1].spec).keep) if listed.whole else keep


def outdated(listed: Listed, keep: int) -> list[Generation]:
    """Return the generations that are older than the newest ``keep`` whole ones and not pinned; without so many, none."""
    whole = listed.whole
    if len(whole) <= keep:
        return []
    oldest = whole[-keep].point
    return [one for one in listed.generations if one.point < oldest and one.name not in listed.pinned]


def too_long(listed: Listed, longest: int, failed: Collection[Run] = ()) -> Run | None:
    """Return the adjacent deltas whose merge costs least, of the newest generation with a chain of too many; None if none has.

    Runs that ``failed`` are not chosen again: one damaged delta does not keep the others of its chain from being merged.
    """
    for generation in reversed(listed.whole):
        for disk in generation.disks:
            long = len(disk.chain) > longest and generation.name not in listed.pinned
            if possible := [run for run in _pairs(disk) if long and not _is_like(run, failed)]:
                return min(possible, key=lambda run: run.bytes)
    return None


def reclaimable(listed: Listed, failed: Collection[Run] = ()) -> Run | None:
    """Return adjacent deltas whose points in between no generation has any more: merged, they take less. None that ``failed``.

    Nothing is while a document cannot be read: the old deltas, which it may need, would stay beside the new one.
    """
    if listed.unreadable:
        return None
    chains = [(disk.target, disk.chain) for one in listed.whole for disk in one.disks]
    pinned = {
        (disk.target, delta.digest)
        for one in listed.whole
        if one.name in listed.pinned
        for disk in one.disks
        for delta in disk.chain
    }
    followers: dict[tuple[str, str], set[str]] = {}
    for target, chain in chains:
        for at, delta in enumerate(chain):
            followers.setdefault((target, delta.digest), set()).add(chain[at + 1].digest if at + 1 < len(chain) else "")
    for generation in reversed(listed.whole):
        for disk in generation.disks:
            for run in _pairs(disk):
                first, second = ((disk.target, delta.digest) for delta in run.deltas)
                apart = {first, second} & pinned or _is_like(run, failed)
                if followers[first] == {second[1]} and not apart:
                    return run
    return None


def _is_like(run: Run, others: Collection[Run]) -> bool:
    """Return whether one of the others has the same deltas of the same disk, whatever is below them."""
    return any((one.target, one.deltas) == (run.target, run.deltas) for one in others)


def _pairs(disk: Disk) -> Sequence[Run]:
    chain = disk.chain
    return [Run(disk.target, disk.image, chain[:at], chain[at : at + 2]) for at in range(len(chain) - 1)]
