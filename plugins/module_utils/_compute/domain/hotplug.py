# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which differences between what runs and what is configured a running guest can take at once. Pure.

What is left after these steps waits for the next start and is what ``pending`` names. A guest is never made to lose the disk it
was booted from, and what needs a free port of PCI Express waits where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ..._plan import Step as AnyStep
from ..._sizes import show_size
from ..model.spec import Disk, DomainSpec, Nic
from ..model.state import VmState

Step: TypeAlias = AnyStep[VmState]
HOTPLUG_CPU = ("x86_64", "i686", "ppc64le", "s390x")
MOVABLE = ("network", "bridge", "virtual_network", "isolated", "link", "inbound", "outbound")


def _live(state: VmState, **changes: Any) -> VmState:
    if state.live is None:
        return state
    return replace(state, live=replace(state.live, **changes))


def _ports(state: VmState, more: int) -> VmState:
    return state if state.free_ports is None else replace(state, free_ports=state.free_ports + more)


def _swap(items: Sequence[Any], old: str | None, new: Any | None) -> tuple[Any, ...]:
    """Return the items with ``new`` in the place of the one named ``old``, or at the end."""
    found = [new if item.name == old else item for item in items]
    if old is None:
        found.append(new)
    return tuple(item for item in found if item is not None)


@dataclass(frozen=True)
class SetVcpus:
    """Plug vCPUs into a running guest."""

    name: str
    count: int

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Give running domain {self.name} {self.count} vCPUs"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, vcpus=self.count)


@dataclass(frozen=True)
class SetMemory:
    """Have the guest's balloon leave it this much memory, in bytes."""

    name: str
    size: int

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Set the memory of running domain {self.name} to {show_size(self.size)}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, memory=self.size)


@dataclass(frozen=True)
class PinCpus:
    """Bind running vCPUs and the emulator's threads to CPUs of the host."""

    name: str
    vcpus: tuple[str, ...]
    emulator: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Pin the CPUs of running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, vcpu_pinning=self.vcpus, emulator_pinning=self.emulator)


@dataclass(frozen=True)
class SetText:
    """Change title or description of a running domain; None removes it."""

    name: str
    field: str
    text: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"{'Set' if self.text else 'Remove'} the {self.field} of running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, **{self.field: self.text})


@dataclass(frozen=True)
class SetVncPassword:
    """Change the password of a running VNC display; viewers that are connected stay."""

    name: str
    password: str = field(repr=False)

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Change the VNC password of running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, vnc_password=self.password)


@dataclass(frozen=True)
class AttachDisk:
    """Plug a disk into a running guest."""

    name: str
    disk: Disk

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Attach disk {self.disk.name} to running domain {self.name} as {self.disk.target}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        disks = state.live.disks if state.live else ()
        after = sorted((*disks, self.disk), key=lambda disk: disk.target)
        return _ports(_live(state, disks=tuple(after)), -1 if self.disk.bus == "virtio" else 0)


@dataclass(frozen=True)
class DetachDisk:
    """Take a disk from a running guest; its file stays."""

    name: str
    disk: Disk

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Detach disk {self.disk.name} ({self.disk.target}) from running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        disks = _swap(state.live.disks if state.live else (), self.disk.name, None)
        return _ports(_live(state, disks=disks), 1 if self.disk.bus == "virtio" else 0)


@dataclass(frozen=True)
class ChangeDisk:
    """Change the limits of a disk in use, or what is in a CD drive; ``disk`` is the whole disk after it."""

    name: str
    disk: Disk
    medium: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        if not self.medium:
            return f"Set the limits of disk {self.disk.name} of running domain {self.name}"
        what = f"Put {self.disk.active} into" if self.disk.active else "Empty"
        return f"{what} drive {self.disk.name} of running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, disks=_swap(state.live.disks if state.live else (), self.disk.name, self.disk))


@dataclass(frozen=True)
class AttachNic:
    """Plug an interface into a running guest."""

    name: str
    nic: Nic

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Attach interface {self.nic.name} to running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _ports(_live(state, nics=_swap(state.live.nics if state.live else (), None, self.nic)), -1)


@dataclass(frozen=True)
class DetachNic:
    """Take an interface from a running guest."""

    name: str
    nic: Nic

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Detach interface {self.nic.name} from running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _ports(_live(state, nics=_swap(state.live.nics if state.live else (), self.nic.name, None)), 1)


@dataclass(frozen=True)
class ChangeNic:
    """Change link, limits or network of an interface in use; ``nic`` is the whole interface after it."""

    name: str
    nic: Nic

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Change interface {self.nic.name} of running domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return _live(state, nics=_swap(state.live.nics if state.live else (), self.nic.name, self.nic))


def live_steps(state: VmState) -> tuple[Step, ...]:
    """Return the steps that bring a running guest nearer to its configuration, what is taken away first."""
    steps: list[Step] = []
    for rule in (_detach, _attach_disks, _attach_nics, _change, _texts, _vnc_password, _resize):
        if state.live is not None and state.config is not None:
            for step in rule(state, state.live, state.config):
                steps.append(step)
                state = step.predict(state)
    return tuple(steps)


Rule: TypeAlias = Callable[[VmState, DomainSpec, DomainSpec], Iterator[Step]]


def _detach(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    disks = {disk.name for disk in config.disks}
    for disk in live.disks:
        if disk.name not in disks and disk.bus in ("virtio", "scsi") and disk.device == "disk" and not _is_booted(disk):
            yield DetachDisk(state.name, disk)
    nics = {nic.name for nic in config.nics}
    for nic in live.nics:
        if nic.name not in nics and not nic.hostdev:
            yield DetachNic(state.name, nic)


def _is_booted(disk: Disk) -> bool:
    """Return whether a guest may have been booted from a disk; where no order is written, it was from the first of a bus."""
    return bool(disk.boot) or (disk.foreign is not None and len(disk.target) == len("vda") and disk.target.endswith("a"))


def _attach_disks(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    names = {disk.name for disk in live.disks}
    targets = {disk.target for disk in live.disks} | state.live_foreign.targets
    controller = any(disk.bus == "scsi" for disk in live.disks)
    ports = state.free_ports
    for disk in config.disks:
        if disk.name in names or disk.target in targets or disk.device != "disk" or (disk.iothread or 0) > live.iothreads:
            continue
        if disk.bus == "virtio" and ports != 0:
            ports = None if ports is None else ports - 1
            yield AttachDisk(state.name, replace(disk, boot=None))  # an order of boot can only be had from the start
        elif disk.bus == "scsi" and controller:
            yield AttachDisk(state.name, replace(disk, boot=None))


def _attach_nics(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    names, macs = {nic.name for nic in live.nics}, {nic.mac for nic in state.live_nics}
    wanted = [nic for nic in config.nics if nic.name not in names and nic.mac not in macs and not nic.hostdev]
    for nic in wanted[: state.free_ports]:
        yield AttachNic(state.name, replace(nic, boot=None))


def _change(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    disks = {disk.name: disk for disk in config.disks}
    for disk in live.disks:
        yield from _change_disk(state.name, disk, disks.get(disk.name, disk))
    nics = {nic.name: nic for nic in config.nics}
    for nic in live.nics:
        wanted = nics.get(nic.name, nic)
        after = replace(nic, **{field: getattr(wanted, field) for field in MOVABLE})
        if after != nic and not nic.hostdev and not wanted.hostdev:
            yield ChangeNic(state.name, after)


def _change_disk(name: str, now: Disk, wanted: Disk) -> Iterator[Step]:
    drive = now.device == wanted.device == "cdrom" and now.source is None and wanted.source is None
    if drive and now.active != wanted.active:
        now = replace(now, path=wanted.path, format=wanted.format, block=wanted.block, overlay=wanted.overlay)
        yield ChangeDisk(name, now, medium=True)
    same_source = (now.active, now.source) == (wanted.active, wanted.source)
    if now.limits != wanted.limits and same_source and (now.active or now.source):
        yield ChangeDisk(name, replace(now, limits=wanted.limits), medium=False)


def _texts(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    for name in ("title", "description"):
        if getattr(live, name) != getattr(config, name):
            yield SetText(state.name, name, getattr(config, name))


def _vnc_password(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    """Yield another password; QEMU has none to change where it was started without, and keeps one that is only taken away."""
    if live.vnc_password and config.vnc_password and live.vnc_password != config.vnc_password:
        yield SetVncPassword(state.name, config.vnc_password)


def _resize(state: VmState, live: DomainSpec, config: DomainSpec) -> Iterator[Step]:
    if live.vcpus < config.vcpus <= live.max_vcpus and live.arch in HOTPLUG_CPU:
        yield SetVcpus(state.name, config.vcpus)
    if config.memory != live.memory and config.memory <= live.max_memory:
        yield SetMemory(state.name, config.memory)
    pins = (config.vcpu_pinning, config.emulator_pinning)
    if pins != (live.vcpu_pinning, live.emulator_pinning) and _only_more_pins(live, config):
        yield PinCpus(state.name, *pins)


def _only_more_pins(live: DomainSpec, config: DomainSpec) -> bool:
    """Return whether no CPU loses its pins: libvirt cannot unpin a running guest."""
    wanted = dict(enumerate(config.vcpu_pinning))
    loose = any(cpus and not wanted.get(place) for place, cpus in enumerate(live.vcpu_pinning))
    running = len(config.vcpu_pinning) <= max(live.vcpus, config.vcpus if config.vcpus <= live.max_vcpus else 0)
    return not loose and running and not (live.emulator_pinning and not config.emulator_pinning)
