# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishes or undoes what an interrupted run left, from the journal and what is there. Pure.

The journal is written before the first change and closed after the last. A take has happened once one new overlay is in use:
libvirt switches all disks at one instant. A revert goes on if the guest was stopped for it, and is undone if not. A commit is
repeated: committing the same data again changes nothing, and the file above keeps it until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import reduce

from .index import Journal, Orphan, Paths, Snapshot, SnapshotIndex
from .state import SnapshotState
from .steps import Boot, Commit, Drop, Note, Step, Switch


def predict(state: SnapshotState, steps: Sequence[Step]) -> SnapshotState:
    """Return the state after the steps."""
    return reduce(lambda now, step: step.predict(now), steps, state)


def begin(state: SnapshotState, journal: Journal, new: Iterable[str] = ()) -> SnapshotIndex:
    """Return the index with a journal entry; files that are gone are left out, ``new`` ones are ours before they are made."""
    there = {one.path for one in state.files}
    made = tuple(path for path in state.index.made if path in there)
    return replace(state.index, journal=journal, made=(*made, *new))


def taken(index: SnapshotIndex, journal: Journal) -> SnapshotIndex:
    """Return the index after the take of its journal."""
    return replace(index, snapshots=(*index.snapshots, snapshot_of(journal)), newest=journal.overlays, journal=None)


def reverted(index: SnapshotIndex, journal: Journal) -> SnapshotIndex:
    """Return the index after the revert of its journal: what was left behind stays, unless it is needed anyway or given up."""
    mine = dict(journal.overlays)
    old = tuple((disk, path) for disk, path in journal.old if disk in mine and path not in index.referenced)
    orphans = () if journal.discard or not old else (Orphan(snapshot_of(journal).name, old),)
    newest = {**dict(index.newest), **mine}
    return replace(index, orphans=(*index.orphans, *orphans), newest=tuple(newest.items()), journal=None)


def snapshot_of(journal: Journal) -> Snapshot:
    """Return the snapshot of a journal entry that has one."""
    if journal.snapshot is None:
        raise ValueError(f"the journal of a {journal.what} has no snapshot")
    return journal.snapshot


def recover(state: SnapshotState) -> list[Step]:
    """Return the steps that close the journal."""
    journal = state.index.journal
    if journal is None:
        return []
    handlers: dict[str, Callable[[SnapshotState, Journal], list[Step]]] = {"take": _take, "revert": _revert, "commit": commit_steps}
    return handlers[journal.what](state, journal)


def _take(state: SnapshotState, journal: Journal) -> list[Step]:
    name = snapshot_of(journal).name
    if not any(state.active.get(disk) == path or path in state.written for disk, path in journal.overlays):
        return _undo(state, journal)
    return [
        *_switch(state, journal.overlays),
        Note(taken(state.index, journal), f"Record snapshot {name}, taken by an earlier run"),
    ]


def _revert(state: SnapshotState, journal: Journal) -> list[Step]:
    name = snapshot_of(journal).name
    switched = any(state.active.get(disk) == path for disk, path in journal.overlays)
    whole = all(state.file(path) for _disk, path in journal.overlays)
    if not switched and not (state.run == "stopped" and journal.run != "stopped" and whole):
        return _undo(state, journal)
    note = Note(reverted(state.index, journal), f"Record the revert to snapshot {name} that an earlier run began")
    return [*_switch(state, journal.overlays), *boot_steps(state, journal), note]


def boot_steps(state: SnapshotState, journal: Journal) -> list[Step]:
    """Return how the guest goes on after a revert: from its memory if the snapshot has it, else as it ran when the revert began."""
    snapshot = snapshot_of(journal)
    if state.run != "stopped":
        return []
    if snapshot.memory:
        return [Boot(state.name, snapshot.memory, snapshot.run == "paused")]
    return [Boot(state.name, paused=journal.run == "paused")] if journal.run != "stopped" else []


def _switch(state: SnapshotState, overlays: Paths) -> list[Step]:
    remaining = tuple((disk, path) for disk, path in overlays if disk in state.active and state.active[disk] != path)
    return [Switch(state.name, remaining)] if remaining else []


def _undo(state: SnapshotState, journal: Journal) -> list[Step]:
    memory = snapshot_of(journal).memory if journal.what == "take" else None
    files = [path for path in (*dict(journal.overlays).values(), memory) if path and state.file(path)]
    note = Note(replace(state.index, journal=None), f"Forget the {journal.what} that an earlier run began and did not get to")
    return [*(Drop(path) for path in files), note]


def commit_steps(state: SnapshotState, journal: Journal) -> list[Step]:
    """Return the steps of a commit; where it is done already (what stood on top stands on the base), only what is left of it."""
    active, below = state.active.get(journal.disk), state.children(journal.base)
    moved = active == journal.base or any(path != journal.top for path in below)
    done = moved and active != journal.top and not state.children(journal.top)
    closed = replace(state.index.moved(journal.top, journal.base), journal=None)
    steps: list[Step] = [] if done else [Commit(journal.disk, journal.top, journal.base)]
    steps.append(Note(closed, f"Note that {journal.top} is committed"))
    return [*steps, Drop(journal.top)] if state.file(journal.top) else steps
