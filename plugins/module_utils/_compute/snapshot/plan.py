# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the steps that take, remove or revert a snapshot. Pure.

A file of a disk is needed while a snapshot (or what a revert left) names it, while the guest writes it, or while two others stand
on it. Removing a snapshot takes it out of the index and then tidies: a leaf that nothing needs is deleted, and a file with one file
on it is committed with that one. What an interrupted run left is finished or undone before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..._errors import Conflict, InvalidInput, NotFound, Refused
from ..._plan import Plan
from ..._shown import few, nearest
from ..model.host_facts import VolumeFile
from ..model.overlays import chain, overlay_of
from .index import Journal, Paths, Snapshot
from .recovery import begin, boot_steps, commit_steps, predict, recover, reverted, taken
from .state import DiskNow, SnapshotState
from .steps import Drop, MakeOverlay, Note, PowerOff, Step, Switch, SwitchLive


@dataclass(frozen=True)
class SnapshotRequest:
    """What is asked: ``state`` of the snapshot ``name``, and what may be done for it. ``now`` is the time of a new one.

    A plan takes ``quiesce`` as it is: Snapshots makes it never where no agent answers or none is needed.
    """

    name: str
    state: str
    description: str = ""
    memory: bool = False
    quiesce: str = "never"
    allow_restart: bool = False
    discard: bool = False
    without_disks: tuple[str, ...] = ()
    now: str = ""


def plan_snapshot(state: SnapshotState, wanted: SnapshotRequest) -> Plan[SnapshotState]:
    """Return the steps to the wanted snapshot; raise before any change what cannot be done."""
    steps = recover(state)
    after = predict(state, steps)
    known = after.index.snapshot(wanted.name)
    if wanted.state == "present" and known is None:
        steps += _take(after, wanted)
    elif wanted.state == "absent" and known is not None:
        steps += _forget(after, known)
    elif wanted.state == "reverted":
        steps += _revert(after, wanted, state.index.journal)
    steps += tidy(predict(state, steps))
    return Plan(state, tuple(steps))


def _take(state: SnapshotState, wanted: SnapshotRequest) -> list[Step]:
    _check_left_out(state, wanted)
    if not state.disks:
        raise InvalidInput(f"name: {state.name} has no disk that a snapshot could be taken of.", option="name")
    if wanted.memory and state.run == "stopped":
        raise InvalidInput(
            f"memory: domain {state.name} does not run, so there is no memory to save; leave memory out or start it.",
            option="memory",
        )
    snapshot = Snapshot(
        name=wanted.name,
        files=tuple((disk.name, disk.active) for disk in state.disks),
        run=state.run,
        memory=f"{state.home}/{wanted.name}.memory" if wanted.memory else None,
        quiesced=wanted.quiesce != "never",
        description=wanted.description,
        created=wanted.now,
    )
    overlays = tuple((disk.name, _fresh(state, disk.name, wanted.name)) for disk in state.disks)
    journal = Journal("take", snapshot, overlays, state.run, snapshot.files)
    begun = begin(state, journal, [path for path in (*dict(overlays).values(), snapshot.memory) if path])
    live = SwitchLive(state.name, overlays, snapshot.memory, wanted.quiesce)
    return [
        Note(begun, f"Note that snapshot {wanted.name} is being taken"),
        *_overlays(state, snapshot.files, overlays),
        live if state.run != "stopped" else Switch(state.name, overlays),
        Note(taken(begun, journal), f"Record snapshot {wanted.name}"),
    ]


def _check_left_out(state: SnapshotState, wanted: SnapshotRequest) -> None:
    """Raise where a disk that cannot be part of a snapshot is not left out by name, or one that can be is."""
    for place, name in enumerate(wanted.without_disks):
        if name not in state.remote:
            where, known = f"without_disks[{place}]", ", ".join(state.remote) or "none"
            raise InvalidInput(
                f"{where}: domain {state.name} has no disk {name} on the network (there: {known}); all its other disks are part of "
                "every snapshot.",
                option=where,
                value=name,
            )
    missing = [name for name in state.remote if name not in wanted.without_disks]
    if missing:
        raise Refused(
            f"without_disks: no overlay can be laid over {', '.join(missing)} of domain {state.name}, which no file of this host "
            "backs; take its snapshot where it is stored, and name it here to leave it out of this one.",
            option="without_disks",
            disks=missing,
        )
    if state.remote and wanted.memory:
        raise Refused(
            f"memory: the guest's memory knows the content of {', '.join(state.remote)}, which would not go back with it; leave "
            "memory out.",
            option="memory",
            value=True,
        )


def _overlays(state: SnapshotState, below: Paths, overlays: Paths) -> list[Step]:
    files = {disk: _there(state, path) for disk, path in below}
    return [MakeOverlay(path, files[disk]) for disk, path in overlays]


def _there(state: SnapshotState, path: str) -> VolumeFile:
    found = state.file(path)
    if found is None:
        raise NotFound(f"name: {path}, a disk file of {state.name}, is gone; put it back first.", option="name", path=path)
    return found


def _fresh(state: SnapshotState, disk: str, snapshot: str) -> str:
    """Return a name for a new overlay that no file has or had."""
    used = {one.path for one in state.files} | set(state.index.made)
    names = (f"{state.home}/{disk}.{snapshot}{f'-{number}' if number else ''}.qcow2" for number in (0, *range(2, len(used) + 3)))
    return next(path for path in names if path not in used)


def _forget(state: SnapshotState, snapshot: Snapshot) -> list[Step]:
    steps: list[Step] = [Note(state.index.without(snapshot.name), f"Forget snapshot {snapshot.name}")]
    return [*steps, Drop(snapshot.memory)] if snapshot.memory and state.file(snapshot.memory) else steps


def _revert(state: SnapshotState, wanted: SnapshotRequest, interrupted: Journal | None) -> list[Step]:
    snapshot = state.index.snapshot(wanted.name)
    if snapshot is None:
        known = few(nearest(wanted.name, (one.name for one in state.index.snapshots)))
        raise NotFound(
            f"snapshot: domain {state.name} has no snapshot {wanted.name} (there: {known}).", option="snapshot", value=wanted.name
        )
    finished = interrupted is not None and interrupted.what == "revert" and any(
        path == state.active.get(disk) for disk, path in interrupted.overlays
    )  # fmt: skip
    if (finished and interrupted and interrupted.snapshot and interrupted.snapshot.name == snapshot.name) or _is_at(
        state, snapshot
    ):
        return []
    lost = sorted(disk for disk, _path in snapshot.files if state.disk(disk) is None)
    if lost:
        raise Conflict(
            f"snapshot: snapshot {snapshot.name} has the disk {lost[0]}, which domain {state.name} has no more; attach it first.",
            option="snapshot",
            value=snapshot.name,
        )
    if state.run != "stopped" and not wanted.allow_restart:
        raise Refused(
            f"state: domain {state.name} runs, and going back to snapshot {snapshot.name} powers it off; "
            "stop it first, or give allow_restart: true.",
            option="state",
            value="reverted",
        )
    overlays = tuple((disk, _fresh(state, disk, snapshot.name)) for disk, _path in snapshot.files)
    journal = Journal("revert", snapshot, overlays, state.run, tuple(state.active.items()), wanted.discard)
    begun = begin(state, journal, dict(overlays).values())
    steps: list[Step] = [Note(begun, f"Note that domain {state.name} goes back to snapshot {snapshot.name}")]
    steps += _overlays(state, snapshot.files, overlays)
    steps += [PowerOff(state.name)] if state.run != "stopped" else []
    steps += [Switch(state.name, overlays)]
    steps += boot_steps(predict(state, steps), journal)
    return [*steps, Note(reverted(begun, journal), f"Record the revert to snapshot {snapshot.name}")]


def _is_at(state: SnapshotState, snapshot: Snapshot) -> bool:
    """Return whether every disk is as it was at a snapshot: on an overlay of its size over it that nothing was written to."""
    if snapshot.memory or state.run != "stopped":
        return False
    return all(_is_untouched(state, state.active.get(disk, ""), path) for disk, path in snapshot.files)


def _is_untouched(state: SnapshotState, active: str, below: str) -> bool:
    overlay, kept = state.file(active), state.file(below)
    if overlay is None or kept is None or overlay.backing != below:
        return False
    return overlay.size == kept.size and active not in state.written


def tidy(state: SnapshotState) -> list[Step]:
    """Return the steps that leave no file that nothing needs."""
    steps: list[Step] = []
    while found := _untidy(predict(state, steps)):
        steps += found
    return steps


def _untidy(state: SnapshotState) -> list[Step]:
    needed = state.index.referenced | set(state.active.values())
    for disk in state.disks:
        for path in _files(state, disk):
            above = state.children(path)
            if path in needed:
                continue
            if not above and path in state.index.made:
                return [Drop(path)]
            if len(above) == 1 and above[0] in state.index.made and (path in state.index.made or path == disk.own):
                journal = Journal("commit", disk=disk.name, top=above[0], base=path)
                note = Note(begin(state, journal), f"Note that {above[0]} is being committed into {path}")
                return [note, *commit_steps(note.predict(state), journal)]
    return []


def _files(state: SnapshotState, disk: DiskNow) -> list[str]:
    """Return the files of a disk that may be ours, the newest first."""
    mine = [one.path for one in state.files if overlay_of(one.path, disk.name, state.home)]
    return list(dict.fromkeys([*(one.path for one in chain(disk.active, state.files)), *mine]))
