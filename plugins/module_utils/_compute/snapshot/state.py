# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM's disks as trees of files: each file stands on the one below it, and the guest writes one leaf of each tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..model.host_facts import VolumeFile
from ..model.overlays import chain
from .index import Paths, Snapshot, SnapshotIndex


@dataclass(frozen=True)
class DiskNow:
    """A disk that the guest may write: its ``active`` file in the persistent configuration, and its ``own`` file (overlays.py)."""

    name: str
    target: str
    active: str
    own: str


@dataclass(frozen=True)
class SnapshotState:
    """A VM's disks, their files, and the index.

    ``run`` is running, paused, stopped or saved. ``written`` are files that a QEMU writes, or that hold data of their own: an
    overlay that was put in place and not yet recorded is recognised by that. ``others`` are targets of disks that take no part.
    ``remote`` are names of disks that the guest may write and that no file of this host backs: no overlay can be laid over them.
    ``condition`` is that of VmState.
    """

    name: str
    home: str
    run: str
    disks: tuple[DiskNow, ...] = ()
    files: tuple[VolumeFile, ...] = ()
    index: SnapshotIndex = field(default_factory=SnapshotIndex)
    written: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    condition: str = ""

    def file(self, path: str) -> VolumeFile | None:
        """Return what a file is, None where it is not there."""
        return next((one for one in self.files if one.path == path), None)

    def disk(self, name: str) -> DiskNow | None:
        """Return the disk of this name."""
        return next((one for one in self.disks if one.name == name), None)

    def children(self, path: str) -> tuple[str, ...]:
        """Return the files that stand on a file."""
        return tuple(sorted(one.path for one in self.files if one.backing == path))

    @property
    def active(self) -> Mapping[str, str]:
        """The active file of each disk."""
        return {disk.name: disk.active for disk in self.disks}

    def switched(self, overlays: Paths) -> SnapshotState:
        """Return the state with other active files."""
        named = dict(overlays)
        return replace(self, disks=tuple(replace(one, active=named.get(one.name, one.active)) for one in self.disks))


def parent(state: SnapshotState, path: str, below: bool = True) -> str | None:
    """Return the snapshot that a file comes from: the nearest one in its chain, with ``below`` not its own."""
    owners = {file: snapshot.name for snapshot in state.index.snapshots for _disk, file in snapshot.files}
    files = [one.path for one in chain(path, state.files)][1 if below else 0 :]
    return next((owners[one] for one in files if one in owners), None)


def current(state: SnapshotState) -> str | None:
    """Return the snapshot that the guest came from last."""
    found = (parent(state, disk.active) for disk in state.disks)
    return next((name for name in found if name), None)


def point_view(state: SnapshotState, snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as users see it."""
    parents = (parent(state, path) for _disk, path in snapshot.files)
    return {
        "name": snapshot.name,
        "description": snapshot.description,
        "state": snapshot.run,
        "memory": snapshot.memory,
        "quiesced": snapshot.quiesced,
        "parent": next((name for name in parents if name), None),
        "disks": dict(snapshot.files),
    }


def view(state: SnapshotState) -> dict[str, Any]:
    """Return what diffs are made of; no timestamps."""
    return {
        "state": state.run,
        "snapshots": {snapshot.name: point_view(state, snapshot) for snapshot in state.index.snapshots},
        "current": current(state),
        "disks": dict(state.active),
        "files": sorted(one.path for one in state.files),
        "interrupted": state.index.journal.what if state.index.journal else None,
    }


def describe(state: SnapshotState) -> dict[str, Any]:
    """Return the tree and the chains, for reading."""
    rows = [{**point_view(state, snapshot), "created": snapshot.created} for snapshot in state.index.snapshots]
    return {
        "domain": state.name,
        "state": state.run,
        "current": current(state),
        "snapshots": [{**row, "children": [one["name"] for one in rows if one["parent"] == row["name"]]} for row in rows],
        "orphans": [{"snapshot": one.snapshot, "disks": dict(one.files)} for one in state.index.orphans],
        "disks": [_disk_view(state, disk) for disk in state.disks],
        "interrupted": state.index.journal.what if state.index.journal else None,
    }


def _disk_view(state: SnapshotState, disk: DiskNow) -> dict[str, Any]:
    files = chain(disk.active, state.files)
    rows = [{"path": one.path, "format": one.format, "size": one.size, "backing": one.backing} for one in files]
    return {"name": disk.name, "target": disk.target, "active": disk.active, "chain": rows}
