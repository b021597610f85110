# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the steps from a VM as it is to one as it shall be. Pure: the world was read before and is changed after."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from .._plan import Plan
from .._plan import Step as AnyStep
from .._sizes import show_size
from .arrival import CreateRemoteVolume, RemoveArrived, left_over, move_steps
from .facts import VolumeFile
from .layers import volume_chain
from .spec import DomainSpec, Record, Volume
from .state import VmState, pending

Step: TypeAlias = AnyStep[VmState]


@dataclass(frozen=True)
class CreateVolume:
    """Make a disk's file; one that is there is never made again."""

    volume: Volume
    size: int

    @property
    def sentence(self) -> str:
        """See Step."""
        kind = f"an overlay of {self.volume.image}" if self.volume.image else "an empty disk"
        return f"Create {self.volume.path} ({show_size(self.size)}) as {kind}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        made = VolumeFile(self.volume.path, "qcow2", self.size, self.volume.backing)
        return replace(state, volumes=(*state.volumes, made), folder=tuple(sorted({*state.folder, made.path})))


@dataclass(frozen=True)
class GrowVolume:
    """Make a disk larger; ``live`` is its device name where the guest runs and shall see it at once."""

    path: str
    size: int
    live: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Grow {self.path} to {show_size(self.size)}{' while it is in use' if self.live else ''}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, volumes=tuple(replace(v, size=self.size) if v.path == self.path else v for v in state.volumes))


@dataclass(frozen=True)
class BuildSeed:
    """Write the cloud-init seed with this content."""

    path: str
    digest: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Build the cloud-init seed {self.path}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, seed=self.digest, folder=tuple(sorted({*state.folder, self.path})))


@dataclass(frozen=True)
class Define:
    """Write the persistent configuration, with ``record`` as our mark; a running guest sees it at its next start.

    ``spec`` is the record's with the active file of each disk (see layers.py).
    """

    record: Record
    spec: DomainSpec
    new: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"{'Define' if self.new else 'Redefine'} domain {self.record.spec.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, config=self.spec, record=self.record, marked=True)


@dataclass(frozen=True)
class SetAutostart:
    """Say whether the host starts the domain when it boots."""

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
        return replace(state, run="running", live=state.config)


@dataclass(frozen=True)
class Resume:
    """Let a paused domain run on."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Resume domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="running")


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
        return replace(state, run="stopped", live=None)


@dataclass(frozen=True)
class Undefine:
    """Make libvirt forget the domain; the files of its disks stay."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Undefine domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return VmState(state.name, volumes=state.volumes, seed=state.seed, folder=state.folder)


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
        return replace(state, volumes=kept, seed=None, folder=tuple(path for path in state.folder if path not in self.paths))


@dataclass(frozen=True)
class Goal:
    """What a VM shall be: running or stopped, with which record, and what may be done to get there.

    ``active`` is the record's spec with the active file of each disk, None where every disk's own file is active.
    ``autostart`` None leaves it alone. ``sizes`` are the virtual sizes in bytes of the images behind new volumes.
    """

    run: str
    record: Record
    seed_path: str | None = None
    autostart: bool | None = None
    allow_restart: bool = False
    force_stop: bool = False
    sizes: tuple[tuple[str, int], ...] = ()
    active: DomainSpec | None = None

    @property
    def spec(self) -> DomainSpec:
        """What libvirt shall have."""
        return self.active or self.record.spec


def plan_goal(state: VmState, goal: Goal) -> Plan[VmState]:
    """Return the steps to a running or stopped VM; files come before the definition that names them."""
    spec = goal.spec
    steps: list[Step] = []
    if goal.run == "stopped" and state.run != "stopped":
        steps.append(Stop(spec.name, goal.force_stop))
    running = state.run != "stopped" and not steps
    steps += move_steps(state, spec, goal.record.volumes, running)
    steps += _volume_steps(Plan(state, tuple(steps)).after, goal, running)
    if goal.record.seed and goal.seed_path and goal.record.seed != state.seed:
        steps.append(BuildSeed(goal.seed_path, goal.record.seed))
    now = Plan(state, tuple(steps)).after
    if now.config != spec or now.record != goal.record or not now.marked or now.config != state.config:
        steps.append(Define(goal.record, spec, new=state.config is None))
    arrived = left_over(Plan(state, tuple(steps)).after)
    if arrived:
        steps.append(RemoveArrived(arrived))
    if goal.autostart is not None and goal.autostart != state.autostart:
        steps.append(SetAutostart(spec.name, goal.autostart))
    if goal.run == "running":
        steps += _run_steps(Plan(state, tuple(steps)).after, goal)
    return Plan(state, tuple(steps))


def _volume_steps(state: VmState, goal: Goal, running: bool) -> Iterator[Step]:
    sizes = dict(goal.sizes)
    targets = {disk.path: disk.target for disk in state.live.disks} if state.live and running else {}
    for volume in goal.record.volumes:
        files = volume_chain(volume, goal.spec, state.volumes)
        remote = next((disk for disk in goal.spec.disks if disk.name == volume.disk and disk.remote), None)
        if not files and remote:
            yield CreateRemoteVolume(volume.image or "", remote.path, str(remote.remote), volume.size or sizes[volume.image or ""])
        elif not files:
            yield CreateVolume(volume, volume.size or sizes[volume.image or ""])
        elif volume.size and files[0].size < volume.size:
            yield GrowVolume(files[0].path, volume.size, targets.get(files[0].path))


def _run_steps(state: VmState, goal: Goal) -> Iterator[Step]:
    name = goal.record.spec.name
    if state.run == "stopped":
        yield Start(name)
    elif goal.allow_restart and pending(state):
        yield Stop(name, goal.force_stop)
        yield Start(name)
    elif state.run == "paused":
        yield Resume(name)


def plan_absent(state: VmState, force_stop: bool, delete_disks: bool, kept: Collection[str] = ()) -> Plan[VmState]:
    """Return the steps to no domain; without ``delete_disks`` every disk's file stays, ``kept`` stay in any case."""
    steps: list[Step] = []
    if state.config is not None:
        if state.run != "stopped":
            steps.append(Stop(state.name, force_stop))
        steps.append(Undefine(state.name))
    files = tuple(path for path in state.folder if path not in kept)
    if delete_disks and files:
        steps.append(DeleteFiles(files))
    return Plan(state, tuple(steps))
