# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the steps that bring a VM to the destination, from the beginning or from where a run broke. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..._plan import Plan
from ..._plan import Step as AnyStep
from ..._shown import counted
from ..._sizes import show_size
from .check import check_migration
from .journal import Journal
from .model import DestinationVm, MigrationState, MovingFile, SourceVm
from .place import HALFWAY, LOST, MOVING, THERE, on_its_way, refuse_lost, where

Step: TypeAlias = AnyStep[MigrationState]


@dataclass(frozen=True)
class ClearDestination:
    """Remove what an interrupted migration of ours left there."""

    host: str
    paths: tuple[str, ...]
    name: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        domain = f"undefine domain {self.name} and " if self.name else ""
        return f"On {self.host}, {domain}delete what an interrupted migration left: {', '.join(self.paths) or 'no files'}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        there = replace(state.there, files=state.there.files - set(self.paths))
        if self.name is None or there.vm is None:
            return replace(state, there=there)
        domains = {name: uuid for name, uuid in there.domains.items() if uuid != there.vm.uuid}
        macs = {mac: name for mac, name in there.macs.items() if name != self.name}
        return replace(state, there=replace(there, vm=None, domains=domains, macs=macs))


@dataclass(frozen=True)
class HoldAutostart:
    """Keep this host from starting the VM at its next boot: it could run in two places."""

    name: str
    here: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Turn off autostart of domain {self.name} on {self.here}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, source=replace(state.source, autostart=False)) if state.source else state


@dataclass(frozen=True)
class CopyFile:
    """Copy a file that is not written to, read it back and compare."""

    overlay: MovingFile
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Copy {self.overlay.path} to {self.host} and compare ({show_size(self.overlay.allocated)})"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, there=replace(state.there, files=state.there.files | {self.overlay.path}))


@dataclass(frozen=True)
class CreateDisk:
    """Make the file that QEMU mirrors a disk into."""

    overlay: MovingFile
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        over = f" as an overlay of {self.overlay.backing}" if self.overlay.backing else ""
        return f"Create {self.overlay.path} ({show_size(self.overlay.size)}) on {self.host}{over}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, there=replace(state.there, files=state.there.files | {self.overlay.path}))


@dataclass(frozen=True)
class Migrate:
    """Move the running guest: memory, and what its disks have beyond the images."""

    name: str
    host: str
    targets: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        disks = f" with {', '.join(self.targets)}" if self.targets else ""
        return f"Migrate domain {self.name}{disks} to {self.host} while it runs"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _arrived(state, state.source.run if state.source else "running")


@dataclass(frozen=True)
class ResumePostCopy:
    """Send the memory that a post-copy migration which broke off did not send; the guest runs on the destination already."""

    name: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Resume the post-copy migration of domain {self.name} to {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _there(replace(state, source=_stopped(state.source)), run="running")


@dataclass(frozen=True)
class PowerOff:
    """Power off what is left of a guest, which cannot run on: the other half of its memory is gone."""

    name: str
    host: str
    here: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Power off what is left of domain {self.name} on {self.host}, whose memory is lost"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, source=_stopped(state.source)) if self.here else _there(state, run="stopped")


@dataclass(frozen=True)
class DefineThere:
    """Define the stopped VM on the destination, after all its files are there."""

    name: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Define domain {self.name} on {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _arrived(state, "stopped")


@dataclass(frozen=True)
class StartThere:
    """Start the VM that ran when its migration began."""

    name: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Start domain {self.name} on {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _there(state, run="running")


@dataclass(frozen=True)
class MoveCheckpoints:
    """Define libvirt's checkpoints there; their bitmaps went along with the disks."""

    name: str
    host: str
    checkpoints: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Define {counted(len(self.checkpoints), 'checkpoint')} of domain {self.name} on {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return state


@dataclass(frozen=True)
class AutostartThere:
    """Let the destination start the VM when it boots, as this host did."""

    name: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Turn on autostart of domain {self.name} on {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _there(state, autostart=True)


@dataclass(frozen=True)
class NoteArrival:
    """Mark the VM on the destination as one that came by migration: what is not in a list of that host is not removed for it."""

    name: str
    here: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Mark domain {self.name} on {self.host} as one that came from {self.here}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        vm = state.there.vm
        return replace(state, there=replace(state.there, vm=replace(vm, arrival=self.here))) if vm else state


@dataclass(frozen=True)
class ForgetMove:
    """Remove both marks of a VM that is back on the host that it once left."""

    name: str
    host: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Forget on {self.host} that domain {self.name} moved away"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        vm = state.there.vm
        return replace(state, there=replace(state.there, home=False, vm=replace(vm, arrival=None) if vm else None))


@dataclass(frozen=True)
class UndefineHere:
    """Verify the VM on the destination, note durably that it moved there, then remove it here."""

    name: str
    here: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Undefine domain {self.name} on {self.here}, and note there where it is"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, source=None)


@dataclass(frozen=True)
class DeleteHere:
    """Delete the files that the VM had here."""

    paths: tuple[str, ...]
    here: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Delete {', '.join(self.paths)} on {self.here}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return replace(state, left=tuple(path for path in state.left if path not in self.paths))


def _arrived(state: MigrationState, run: str) -> MigrationState:
    uuid = state.source.uuid if state.source else ""
    return replace(state, there=replace(state.there, vm=DestinationVm(uuid, run, persistent=True, marked=True)))


def _stopped(source: SourceVm | None) -> SourceVm | None:
    return replace(source, run="stopped", post_copy=None, migrating=False) if source else None


def _there(state: MigrationState, *, run: str | None = None, autostart: bool | None = None) -> MigrationState:
    vm = state.there.vm
    if vm is None:
        return state
    vm = replace(vm, run=run or vm.run, autostart=vm.autostart if autostart is None else autostart)
    vm = replace(vm, post_copy=None) if run else vm
    return replace(state, there=replace(state.there, vm=vm))


def plan_migration(state: MigrationState, keep_source: bool, allow_restart: bool = False) -> Plan[MigrationState]:
    """Return the steps that are left; raise before any change what cannot be done."""
    place = where(state)
    if place == MOVING:
        raise on_its_way(state)
    if place in (HALFWAY, LOST):
        return _after_post_copy(state, place, keep_source, allow_restart)
    if place == THERE and state.there.vm is not None:
        return Plan(state, tuple(_finish(state, keep_source)) if state.journal else ())
    cleared = Plan(state, tuple(_clear(state)))
    source = check_migration(cleared.after)
    steps = (*cleared.steps, *_move(cleared.after, source))
    journal = state.journal if state.journal and state.journal.phase != "failed" else None
    run, autostart = (journal.run, journal.autostart) if journal else (source.run, source.autostart)
    goal = replace(state.journal or began(state, source), run=run, autostart=autostart or source.autostart)
    moved = replace(Plan(state, steps).after, journal=replace(goal, checkpoints=source.checkpoints))
    return Plan(state, (*steps, *_finish(moved, keep_source)))


def _after_post_copy(state: MigrationState, place: str, keep_source: bool, allow_restart: bool) -> Plan[MigrationState]:
    """Return how a guest goes on whose post-copy failed: with its memory, or, where that is lost, from its disks there."""
    first: Step = ResumePostCopy(state.name, state.there.host)
    if place == LOST:
        if not allow_restart:
            raise refuse_lost(state)
        alive = state.source is not None and state.source.live
        first = PowerOff(state.name, state.here if alive else state.there.host, here=alive)
    begun = Plan(state, (first,))
    return Plan(state, (first, *_finish(begun.after, keep_source)))


def began(state: MigrationState, source: SourceVm) -> Journal:
    """Return the journal that a migration of this VM begins with."""
    return Journal(
        state.there.host, source.uuid, source.run, source.autostart, state.left, (), source.checkpoints, home=state.there.home
    )


def _clear(state: MigrationState) -> Iterator[Step]:
    """Yield the removal of what an earlier migration left: by our journal, or by its note there, which names this very VM.

    The VM is here with its newest data (``where``), so that nothing there is of use.
    """
    journal, vm = state.journal, state.there.vm
    if journal is None and vm is not None:
        return  # the checks refuse it
    made = dict.fromkeys((*state.there.stale, *(journal.made if journal else ())))
    left = tuple(path for path in made if path in state.there.files)
    ours = journal is not None and vm is not None and vm.uuid == journal.uuid
    if left or ours:
        yield ClearDestination(state.there.host, left, state.name if ours else None)


def _move(state: MigrationState, source: SourceVm) -> Iterator[Step]:
    host, name = state.there.host, state.name
    if source.autostart:
        yield HoldAutostart(name, state.here)
    for overlay in source.copied:
        yield CopyFile(overlay, host)
    for disk in source.mirrored:
        yield CreateDisk(disk.overlays[0], host)
    if source.live:
        yield Migrate(name, host, tuple(disk.target for disk in source.mirrored))
    else:
        yield DefineThere(name, host)


def _finish(state: MigrationState, keep_source: bool) -> Iterator[Step]:
    """Yield what is left once the VM is on the destination; each step is left out where an earlier run did it."""
    host, journal, vm = state.there.host, state.journal, state.there.vm
    if journal is None or vm is None:
        return
    if journal.checkpoints and state.source is not None:
        yield MoveCheckpoints(state.name, host, journal.checkpoints)
    if vm.run == "stopped" and journal.run != "stopped":
        yield StartThere(state.name, host)
    if not vm.autostart and journal.autostart:
        yield AutostartThere(state.name, host)
    if journal.home and (state.there.home or vm.arrival):
        yield ForgetMove(state.name, host)
    elif not journal.home and vm.arrival != state.here:
        yield NoteArrival(state.name, state.here, host)
    if state.source is not None:
        yield UndefineHere(state.name, state.here)
    if state.left and not keep_source:
        yield DeleteHere(state.left, state.here)
