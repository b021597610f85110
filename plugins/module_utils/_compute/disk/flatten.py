# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the steps that flatten a disk: its overlays committed into its own file, and that made to need no file below. Pure.

The overlays are committed from the bottom up, so that each block is copied once, by the steps and the journal of snapshots:
whichever of the two modules runs next after an interruption finishes what was begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._errors import Busy, Conflict, NotFound, Refused
from ..._plan import Plan
from ..._shown import few
from ..model.host_facts import VolumeFile
from ..model.overlays import chain, overlay_of
from ..snapshot.index import Journal, SnapshotIndex
from ..snapshot.recovery import begin, commit_steps, predict, recover
from ..snapshot.state import DiskNow, SnapshotState
from ..snapshot.steps import Drop, Note, Step


@dataclass(frozen=True)
class Flatten:
    """Give a disk's file all that it reads from files below, so that it stands alone under its old name."""

    domain: str
    disk: str
    path: str
    below: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Copy what disk {self.disk} of domain {self.domain} has in {self.below} into {self.path}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        files = tuple(replace(one, backing=None) if one.path == self.path else one for one in state.files)
        return replace(state, files=files)


def require_disk(state: SnapshotState, name: str) -> DiskNow:
    """Return the disk; raise NotFound without one, and Conflict for one that has no file of this host."""
    disk = state.disk(name)
    if name in state.remote:
        raise Conflict(
            f"disk: disk {name} of domain {state.name} is on the network and has no file on this host.", option="disk", value=name
        )
    if disk is None:
        known = ", ".join(one.name for one in state.disks) or "none"
        raise NotFound(
            f"disk: domain {state.name} has no disk {name} that it may write (there: {known}).", option="disk", value=name
        )
    if not disk.active or state.file(disk.active) is None:
        raise Conflict(
            f"disk: disk {name} of domain {state.name} has no file on this host ({disk.active or 'it is elsewhere'}).",
            option="disk",
            value=name,
        )
    return disk


def own_files(state: SnapshotState, disk: DiskNow) -> tuple[VolumeFile, ...]:
    """Return the files of a disk from the active one down to its own; what that stands on is the image."""
    files = chain(disk.active, state.files)
    ours = [place for place, one in enumerate(files) if one.path == disk.own or overlay_of(one.path, disk.name, state.home)]
    return files[: ours[-1] + 1] if ours else files[:1]


def plan_flatten(
    state: SnapshotState, name: str, *, alone: bool, users: Mapping[str, Sequence[str]] | None = None
) -> Plan[SnapshotState]:
    """Return the steps to a disk of one file over its image, or with ``alone`` over nothing.

    ``users`` are, for each file, the disk files of others that stand on it. Raise before any change where a snapshot, or a disk of
    others, needs a file that would be committed.
    """
    steps = recover(state)
    disk = require_disk(predict(state, steps), name)
    steps += _drops(predict(state, steps), disk)
    after = predict(state, steps)
    files = own_files(after, disk)
    if len(files) > 1:
        _require_unneeded(after, name, files)
        ours = {one.path for one in chain(state.active[name], state.files)} | {one.path for one in state.files} - _paths(after)
        _require_unused(name, files, users or {}, ours)
    *overlays, bottom = files
    for overlay in reversed(overlays):
        steps += _commit(predict(state, steps), disk, overlay.path, bottom.path)
    if alone and bottom.backing:
        steps.append(Flatten(state.name, name, bottom.path, bottom.backing))
    return Plan(state, tuple(steps))


def _commit(state: SnapshotState, disk: DiskNow, top: str, base: str) -> list[Step]:
    journal = Journal("commit", disk=disk.name, top=top, base=base)
    new = [] if top in state.index.made else [top]
    note = Note(begin(state, journal, new), f"Note that {top} is being committed into {base}")
    return [note, *commit_steps(note.predict(state), journal)]


def _require_unneeded(state: SnapshotState, disk: str, files: Sequence[VolumeFile]) -> None:
    paths = {one.path for one in files}
    found = _needing(state.index, paths)
    if found:
        raise Refused(
            f"state: flattening disk {disk} of domain {state.name} would break the snapshots that stand on its files "
            f"({', '.join(found)}); remove them first with edge.cloud.domain_snapshot, state: absent.",
            option="state",
            value="flattened",
            snapshots=found,
        )


def _needing(index: SnapshotIndex, paths: set[str]) -> list[str]:
    """Return the names of the snapshots that need one of the files, or whose reverts left it."""
    rows = [(one.name, one.files) for one in index.snapshots] + [(one.snapshot, one.files) for one in index.orphans]
    return list(dict.fromkeys(name for name, files in rows if paths & {path for _disk, path in files}))


def _drops(state: SnapshotState, disk: DiskNow) -> list[Step]:
    """Return the steps that delete what earlier commits of this disk left, where nothing stands on it."""
    needed = state.index.referenced | set(state.active.values())
    mine = {path for path in state.index.made if overlay_of(path, disk.name, state.home)} & _paths(state)
    return [Drop(path) for path in sorted(mine - needed) if not state.children(path)]


def _paths(state: SnapshotState) -> set[str]:
    return {one.path for one in state.files}


def _require_unused(disk: str, files: Sequence[VolumeFile], users: Mapping[str, Sequence[str]], ours: set[str]) -> None:
    for one in files:
        others = sorted(set(users.get(one.path, ())) - ours)
        if others:
            raise Busy(
                f"disk: {one.path}, a file of disk {disk}, is also below {few(others)}; remove or flatten those first.",
                option="disk",
                value=disk,
                used_by=others,
            )


def chain_view(state: SnapshotState, name: str) -> dict[str, Any]:
    """Return what diffs are made of: the files of the disk from the active one down, as far as its headers tell."""
    disk = state.disk(name)
    files = chain(disk.active, state.files) if disk else ()
    below = [files[-1].backing] if files and files[-1].backing else []
    return {
        "chain": [*(one.path for one in files), *below],
        "interrupted": state.index.journal.what if state.index.journal else None,
    }
