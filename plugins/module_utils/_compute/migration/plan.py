# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides where a VM is and the steps that bring it to the destination, from the beginning or from where a run broke. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..._errors import Conflict
from ..._plan import Plan
from ..._plan import Step as AnyStep
from ..._sizes import show_size
from .check import check_migration
from .journal import Journal
from .model import DestinationVm, MigrationState, MovingFile, SourceVm

Step: TypeAlias = AnyStep[MigrationState]
HERE, THERE, MOVING = "here", "there", "moving"


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
        there = replace(state.there, files=state.there.files - set(self.paths), vm=None)
        return replace(state, there=there)


@dataclass(frozen=True)
class HoldAutostart:
    """Keep this host from starting the VM at its next boot: it could run in two places."""

    name: str
    here: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Turn autostart of domain {self.name} off on {self.here}"

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
        return f"Define the {len(self.checkpoints)} checkpoints of domain {self.name} on {self.host}"

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
        return f"Turn autostart of domain {self.name} on on {self.host}"

    def predict(self, state: MigrationState) -> MigrationState:
        """See Step."""
        return _there(state, autostart=True)


@dataclass(frozen=True)
class UndefineHere:
    """Verify the VM on the destination, then remove it here."""

    name: str
    here: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Undefine domain {self.name} on {self.here}"

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


def _there(state: MigrationState, *, run: str | None = None, autostart: bool | None = None) -> MigrationState:
    vm = state.there.vm
    if vm is None:
        return state
    vm = replace(vm, run=run or vm.run, autostart=vm.autostart if autostart is None else autostart)
    return replace(state, there=replace(state.there, vm=vm))


def where(state: MigrationState) -> str:
    """Return where the VM with its newest data is: ``here``, ``there``, or ``moving`` while libvirt migrates it.

    Raises Conflict where it seems to run in both places, or where another domain has its name there.
    """
    source, vm, journal = state.source, state.there.vm, state.journal
    if source is not None and source.migrating and journal is not None:
        return MOVING
    if source is None:
        return THERE
    if journal is None or vm is None or vm.uuid != journal.uuid:  # the checks refuse another VM of that name
        return HERE
    running = vm.run != "stopped" and not vm.incoming
    if running and (source.live if journal.phase != "failed" else not source.live):
        raise Conflict(
            f"name: domain {state.name} is {source.run} on {state.here} and {vm.run} on {state.there.host} after a migration that "
            f"{journal.phase}. Look which one has the newest data, destroy and undefine the other (virsh), and run this again.",
            option="name",
            value=state.name,
        )
    return _of_two(source, vm, journal)


def _of_two(source: SourceVm, vm: DestinationVm, journal: Journal) -> str:
    """Return which of two ends that know one domain has its newest data.

    libvirt makes the domain persistent on the destination at the switch-over, and we define a stopped one when all is there. Only
    where we saw a migration fail with the VM still here does a domain there mean nothing.
    """
    if source.live or vm.incoming or not vm.persistent or journal.phase == "failed":
        return HERE
    return THERE


def plan_migration(state: MigrationState, keep_source: bool) -> Plan[MigrationState]:
    """Return the steps that are left; raise before any change what cannot be done."""
    if where(state) == THERE and state.there.vm is not None:
        return Plan(state, tuple(_finish(state, keep_source)) if state.journal else ())
    cleared = Plan(state, tuple(_clear(state)))
    source = check_migration(cleared.after)
    steps = (*cleared.steps, *_move(cleared.after, source))
    journal = state.journal if state.journal and state.journal.phase != "failed" else None
    run, autostart = (journal.run, journal.autostart) if journal else (source.run, source.autostart)
    goal = replace(state.journal or began(state, source), run=run, autostart=autostart or source.autostart)
    moved = replace(Plan(state, steps).after, journal=replace(goal, checkpoints=source.checkpoints))
    return Plan(state, (*steps, *_finish(moved, keep_source)))


def began(state: MigrationState, source: SourceVm) -> Journal:
    """Return the journal that a migration of this VM begins with."""
    return Journal(state.there.host, source.uuid, source.run, source.autostart, state.left, (), source.checkpoints)


def _clear(state: MigrationState) -> Iterator[Step]:
    journal, vm = state.journal, state.there.vm
    if journal is None:
        return
    left = tuple(path for path in journal.made if path in state.there.files)
    ours = vm is not None and vm.uuid == journal.uuid
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
    if state.source is not None:
        yield UndefineHere(state.name, state.here)
    if state.left and not keep_source:
        yield DeleteHere(state.left, state.here)
