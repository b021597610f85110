# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the steps from a VM as it is to one as it is to be. Pure: nothing is read or changed here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..._errors import Refused
from ..._plan import Plan
from ..._plan import Step as AnyStep
from ..._sizes import show_size
from ..lazy.plan import CreateRemoteVolume, RemoveArrived, left_over, move_steps
from ..model.changes import asked_only, changes, record_changes
from ..model.host_facts import Offer, VolumeFile
from ..model.overlays import made_format, volume_chain
from ..model.spec import DomainSpec, Record, Volume
from ..model.state import CRASHED, ENDING, SUSPENDED, VmState, pending, with_addresses, with_claims
from .hotplug import live_steps
from .power import Pause, Reset, Restore, Resume, Save, Wake

Step: TypeAlias = AnyStep[VmState]


@dataclass(frozen=True)
class CreateVolume:
    """Make a disk's file; one that is there is never made again. ``preallocation`` is how it gets all its space at once."""

    volume: Volume
    size: int
    preallocation: str | None = None

    @property
    def sentence(self) -> str:
        """See Step."""
        empty = "an empty raw disk" if made_format(self.volume.path) == "raw" else "an empty disk"
        kind = f"an overlay of {self.volume.image}" if self.volume.image else empty
        how = f", preallocated by {self.preallocation}" if self.preallocation else ""
        return f"Create {self.volume.path} ({show_size(self.size)}) as {kind}{how}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        made = VolumeFile(self.volume.path, made_format(self.volume.path), self.size, self.volume.backing)
        return replace(state, volumes=(*state.volumes, made), folder=tuple(sorted({*state.folder, made.path})))


@dataclass(frozen=True)
class PullImage:
    """Bring an image into the host cache, before disks are made of it. ``virtual_size`` is what its offer says, in bytes."""

    image: str
    name: str
    size: int
    virtual_size: int

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Pull {self.name} ({self.image}, {show_size(self.size)}) into the host cache"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return state


@dataclass(frozen=True)
class GrowVolume:
    """Make a disk larger; ``live`` is its device name where the guest runs and is to see it at once."""

    path: str
    size: int
    live: str | None
    format: str = "qcow2"

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Grow {self.path} to {show_size(self.size)}{' while it is in use' if self.live else ''}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, volumes=tuple(replace(v, size=self.size) if v.path == self.path else v for v in state.volumes))


@dataclass(frozen=True)
class BuildSeed:
    """Write the cloud-init seed, or OpenNebula's context disk, with this content."""

    path: str
    digest: str
    context: bool = False

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Build the {'context disk' if self.context else 'cloud-init seed'} {self.path}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        state = replace(state, folder=tuple(sorted({*state.folder, self.path})))
        return replace(state, context=self.digest) if self.context else replace(state, seed=self.digest)


@dataclass(frozen=True)
class Define:
    """Write the persistent configuration, with ``record`` as our mark; a running guest sees it at its next start.

    ``spec`` is the record's with the overlays that the disks have. ``changes`` says what it changes in a domain that is there,
    ``takes_over`` that others made that one.
    """

    record: Record
    spec: DomainSpec
    new: bool
    takes_over: bool = False
    changes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        verb = "Define" if self.new else "Take over" if self.takes_over else "Redefine"
        return f"{verb} domain {self.record.spec.name}{': ' if self.changes else ''}{', '.join(self.changes)}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        state = with_addresses(with_claims(state, self.spec), self.spec)
        return replace(state, config=self.spec, record=self.record, marked=True)


@dataclass(frozen=True)
class SetAutostart:
    """Set whether the host starts the domain when it boots."""

    name: str
    on: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Turn autostart of domain {self.name} {'on' if self.on else 'off'}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, autostart=self.on)


@dataclass(frozen=True)
class Start:
    """Start a stopped domain."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Start domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="running", live=state.config, live_foreign=state.foreign, started_by_others=False)


@dataclass(frozen=True)
class Stop:
    """Ask the guest to shut down and wait; ``force`` powers it off when the time is up."""

    name: str
    force: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Shut down domain {self.name}{' (power it off if it does not)' if self.force else ''}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="stopped", live=None, condition="")


@dataclass(frozen=True)
class Undefine:
    """Undefine the domain in libvirt; the files of its disks stay. ``memory`` gives up what a saved one had.

    ``files`` are deleted next, and no QEMU may open them any more.
    """

    name: str
    memory: bool = False
    files: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Undefine domain {self.name}{' and give up its saved memory' if self.memory else ''}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return VmState(state.name, volumes=state.volumes, seed=state.seed, context=state.context, folder=state.folder)


@dataclass(frozen=True)
class DeleteFiles:
    """Delete files of the VM's own folder."""

    paths: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Delete {', '.join(self.paths)}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        kept = tuple(volume for volume in state.volumes if volume.path not in self.paths)
        return replace(
            state, volumes=kept, seed=None, context=None, folder=tuple(path for path in state.folder if path not in self.paths)
        )


@dataclass(frozen=True)
class Goal:
    """What a VM is to be: running, stopped, paused or saved, with which record, and what may be done to get there.

    ``spec`` is what libvirt is to have: the record's, with the overlays that the disks have.
    ``autostart`` None leaves it alone. ``sizes`` are the virtual sizes in bytes of the images behind new volumes,
    ``offers`` those of them that are to be brought here first; ``preallocation`` is how new volumes get all their space, by the
    names of their disks.
    """

    run: str
    spec: DomainSpec
    record: Record
    seed_path: str | None = None
    context_path: str | None = None
    autostart: bool | None = None
    allow_restart: bool = False
    force_stop: bool = False
    sizes: tuple[tuple[str, int], ...] = ()
    preallocation: tuple[tuple[str, str], ...] = ()
    again: str | None = None
    offers: tuple[tuple[str, Offer], ...] = ()


def plan_goal(state: VmState, goal: Goal) -> Plan[VmState]:
    """Return the steps to a VM that is as the goal says; files come before the definition that names them.

    A running guest takes at once what it can (``hotplug``); the rest waits for its next start.
    """
    spec = goal.spec
    steps: list[Step] = [*_first_steps(state, goal)]
    now = Plan(state, tuple(steps)).after
    if now.run != "saved":
        steps += move_steps(now, spec, goal.record.volumes, now.run != "stopped")
    steps += _with_pulls(_volume_steps(Plan(state, tuple(steps)).after, goal), goal)
    steps += _seed_steps(state, goal)
    now = Plan(state, tuple(steps)).after
    if now.config != spec or now.record != goal.record or not now.marked or now.config != state.config:
        there = state.config is not None
        changed = (*changes(now, spec), *record_changes(now, goal.record))
        steps.append(Define(goal.record, spec, not there, there and not state.marked, changed))
    arrived = left_over(Plan(state, tuple(steps)).after)
    if arrived:
        steps.append(RemoveArrived(arrived))
    if goal.autostart is not None and goal.autostart != state.autostart:
        steps.append(SetAutostart(spec.name, goal.autostart))
    steps += _run_steps(Plan(state, tuple(steps)).after, state, goal)
    return Plan(state, tuple(steps))


def _first_steps(state: VmState, goal: Goal) -> Iterator[Step]:
    """Yield what comes before any change: a stop, and the end of a saved state, whose guest knows its disks as they were.

    A guest that sleeps is woken where it is to run, or to be saved; one that goes down by itself, or has crashed, is started again.
    """
    if state.run == "saved" and goal.run != "saved":
        yield Restore(state.name, paused=goal.run == "paused")
    if (goal.run == "stopped" and state.run != "stopped") or state.condition in (ENDING, CRASHED):
        yield Stop(state.name, goal.force_stop)
    elif state.condition == SUSPENDED and goal.run != "paused":
        yield Wake(state.name)


def _seed_steps(state: VmState, goal: Goal) -> Iterator[Step]:
    record = goal.record
    if record.seed and goal.seed_path and record.seed != state.seed:
        yield BuildSeed(goal.seed_path, record.seed)
    if record.context and goal.context_path and record.context != state.context:
        yield BuildSeed(goal.context_path, record.context, context=True)


def _volume_steps(state: VmState, goal: Goal) -> Iterator[Step]:
    sizes = dict(goal.sizes)
    targets = {disk.active: disk.target for disk in state.live.disks} if state.live else {}
    for volume in goal.record.volumes:
        files = volume_chain(volume, goal.spec, state.volumes)
        remote = next((disk for disk in goal.spec.disks if disk.name == volume.disk and disk.remote), None)
        if not files and remote:
            yield CreateRemoteVolume(
                volume.image or "", remote.active, str(remote.remote), volume.size or sizes[volume.image or ""]
            )
        elif not files:
            yield CreateVolume(volume, volume.size or sizes[volume.image or ""], dict(goal.preallocation).get(volume.disk))
        elif volume.size and files[0].size < volume.size and state.run != "saved":
            yield GrowVolume(files[0].path, volume.size, targets.get(files[0].path), files[0].format)


def _with_pulls(steps: Iterable[Step], goal: Goal) -> Iterator[Step]:
    """Yield the steps, each image that one of them needs and that is not here brought before, once."""
    offers = dict(goal.offers)
    for step in steps:
        image = step.volume.image if isinstance(step, CreateVolume) else None
        offer = offers.pop(image, None) if image else None
        if image and offer:
            yield PullImage(image, offer.name, offer.size, offer.virtual_size)
        yield step


def _run_steps(state: VmState, before: VmState, goal: Goal) -> Iterator[Step]:
    """Yield the way from a VM with its new configuration to one that runs by it, or is halted.

    A guest that was started before it was taken over takes only what this run changes.
    """
    name = state.name
    if goal.run == "stopped" or state.run == "saved":
        return
    wanted = asked_only(state, before) if state.started_by_others else state
    taken = live_steps(wanted)
    restart = goal.allow_restart and goal.run != "saved" and state.run != "stopped" and bool(pending(Plan(wanted, taken).after))
    restart = restart or goal.again == "restarted"
    if state.run == "stopped":
        yield Start(name)
    elif restart:
        yield Stop(name, goal.force_stop)
        yield Start(name)
    else:
        if state.run == "paused" and goal.run == "running":
            yield Resume(name)
        if "running" in (state.run, goal.run):
            yield from taken
        if goal.again == "reset":
            yield Reset(name)
    if goal.run == "paused" and (restart or state.run != "paused"):
        yield Pause(name)
    elif goal.run == "saved":
        yield Save(name)


def plan_absent(state: VmState, force_stop: bool, delete_disks: bool, kept: Collection[str] = ()) -> Plan[VmState]:
    """Return the steps to no domain; without ``delete_disks`` every disk's file stays, ``kept`` stay in any case.

    A saved state goes with the domain, where ``force_stop`` or ``delete_disks`` says so; else Refused is raised.
    """
    steps: list[Step] = []
    files = tuple(path for path in state.folder if path not in kept)
    if state.config is not None:
        saved = state.run == "saved"
        if saved and not (force_stop or delete_disks):
            raise Refused(
                f"state: domain {state.name} is saved, and its memory, which may have what its disks lack, would be lost. Stop it "
                "with state stopped first, which lets its guest go on and shuts it down, or give it up with force_stop.",
                option="state",
                value="absent",
            )
        if state.run not in ("stopped", "saved"):
            steps.append(Stop(state.name, force_stop))
        steps.append(Undefine(state.name, saved, files if delete_disks else ()))
    if delete_disks and files:
        steps.append(DeleteFiles(files))
    return Plan(state, tuple(steps))
