# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishes or undoes what an interrupted run left, from the journal and what is there. Pure.

The journal is written before the first change and closed after the last. A take has happened once one new layer is in use: libvirt
switches all disks at one instant. A revert goes on once the guest was stopped for it, and is undone before. A merge is repeated:
merging the same data again changes nothing, and the file above keeps it until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import reduce

from .index import Ledger, Left, Paths, Pending, Point
from .state import SnapshotState
from .steps import Boot, Drop, Merge, Note, Step, Switch


def predict(state: SnapshotState, steps: Sequence[Step]) -> SnapshotState:
    """Return the state after the steps."""
    return reduce(lambda now, step: step.predict(now), steps, state)


def begin(state: SnapshotState, pending: Pending, new: Iterable[str] = ()) -> Ledger:
    """Return the ledger with a journal entry; files that are gone are forgotten, ``new`` ones are ours before they are made."""
    there = {one.path for one in state.files}
    made = tuple(path for path in state.ledger.made if path in there)
    return replace(state.ledger, pending=pending, made=(*made, *new))


def taken(ledger: Ledger, pending: Pending) -> Ledger:
    """Return the ledger after the take of its journal."""
    return replace(ledger, points=(*ledger.points, point_of(pending)), newest=pending.layers, pending=None)


def reverted(ledger: Ledger, pending: Pending) -> Ledger:
    """Return the ledger after the revert of its journal: what was left behind stays, unless it is needed anyway or given up."""
    mine = dict(pending.layers)
    old = tuple((disk, path) for disk, path in pending.old if disk in mine and path not in ledger.referenced)
    left = () if pending.discard or not old else (Left(point_of(pending).name, old),)
    newest = {**dict(ledger.newest), **mine}
    return replace(ledger, left=(*ledger.left, *left), newest=tuple(newest.items()), pending=None)


def point_of(pending: Pending) -> Point:
    """Return the snapshot of a journal entry that has one."""
    if pending.point is None:
        raise ValueError(f"the journal of a {pending.what} has no snapshot")
    return pending.point


def recover(state: SnapshotState) -> list[Step]:
    """Return the steps that close the journal."""
    pending = state.ledger.pending
    if pending is None:
        return []
    handlers: dict[str, Callable[[SnapshotState, Pending], list[Step]]] = {"take": _take, "revert": _revert, "merge": merge_steps}
    return handlers[pending.what](state, pending)


def _take(state: SnapshotState, pending: Pending) -> list[Step]:
    name = point_of(pending).name
    if not any(state.active.get(disk) == path or path in state.written for disk, path in pending.layers):
        return _undo(state, pending)
    return [*_switch(state, pending.layers), Note(taken(state.ledger, pending), f"Record snapshot {name}, taken by an earlier run")]


def _revert(state: SnapshotState, pending: Pending) -> list[Step]:
    name = point_of(pending).name
    switched = any(state.active.get(disk) == path for disk, path in pending.layers)
    whole = all(state.file(path) for _disk, path in pending.layers)
    if not switched and not (state.run == "stopped" and pending.run != "stopped" and whole):
        return _undo(state, pending)
    note = Note(reverted(state.ledger, pending), f"Record the revert to snapshot {name} that an earlier run began")
    return [*_switch(state, pending.layers), *boot_steps(state, pending), note]


def boot_steps(state: SnapshotState, pending: Pending) -> list[Step]:
    """Return how the guest goes on after a revert: from its memory if the snapshot has it, else as it was before."""
    point = point_of(pending)
    if state.run != "stopped":
        return []
    if point.memory:
        return [Boot(state.name, point.memory, point.run == "paused")]
    return [Boot(state.name, paused=pending.run == "paused")] if pending.run != "stopped" else []


def _switch(state: SnapshotState, layers: Paths) -> list[Step]:
    left = tuple((disk, path) for disk, path in layers if disk in state.active and state.active[disk] != path)
    return [Switch(state.name, left)] if left else []


def _undo(state: SnapshotState, pending: Pending) -> list[Step]:
    memory = point_of(pending).memory if pending.what == "take" else None
    files = [path for path in (*dict(pending.layers).values(), memory) if path and state.file(path)]
    note = Note(replace(state.ledger, pending=None), f"Forget the {pending.what} that an earlier run began and did not get to")
    return [*(Drop(path) for path in files), note]


def merge_steps(state: SnapshotState, pending: Pending) -> list[Step]:
    """Return the steps of a merge; where it is done already (what stood on top stands on the base), only what is left of it."""
    active, below = state.active.get(pending.disk), state.children(pending.base)
    moved = active == pending.base or any(path != pending.top for path in below)
    done = moved and active != pending.top and not state.children(pending.top)
    closed = replace(state.ledger.moved(pending.top, pending.base), pending=None)
    steps: list[Step] = [] if done else [Merge(pending.disk, pending.top, pending.base)]
    steps.append(Note(closed, f"Note that {pending.top} is merged"))
    return [*steps, Drop(pending.top)] if state.file(pending.top) else steps
