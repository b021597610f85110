# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM as it is on a host, and the view of it that users see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .elsewhere import Arrival
from .host_facts import VolumeFile
from .override_text import outline
from .spec import CONTEXT, NOTHING_FOREIGN, SEED, Disk, DomainSpec, Foreign, Nic, Record

SUSPENDED, CRASHED, ENDING, BUSY = "suspended", "crashed", "shutting down", "busy"  # S3; kept after a panic; -; libvirt works on it


@dataclass(frozen=True)
class VmState:
    """A domain and its files. ``config`` None means that libvirt has no such domain.

    ``config`` is what the next start takes, ``live`` what runs now (None when stopped); ``record`` is our mark in the metadata.
    A saved guest continues as ``live``. ``free_ports`` is how many devices it can take while it runs, None for any number.
    ``foreign`` are the devices of ``config`` that are not ours, ``live_foreign`` those of ``live``, and ``started_by_others`` says
    that what runs was started before the domain was taken over. ``folder`` are our files in the VM's folder.
    ``condition`` is one of those above where ``run``, running or paused, does not tell all.
    ``arrival`` is the mark of a VM that came by migration.
    """

    name: str
    run: str = "stopped"
    config: DomainSpec | None = None
    live: DomainSpec | None = None
    record: Record | None = None
    marked: bool = False
    autostart: bool = False
    volumes: tuple[VolumeFile, ...] = ()
    seed: str | None = None
    context: str | None = None
    folder: tuple[str, ...] = ()
    foreign: Foreign = NOTHING_FOREIGN
    live_foreign: Foreign = NOTHING_FOREIGN
    started_by_others: bool = False
    free_ports: int | None = None
    condition: str = ""
    arrival: Arrival | None = None

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Every disk of the configuration, ours and those of others, in the order of their targets."""
        ours = self.config.disks if self.config else ()
        return tuple(sorted((*ours, *self.foreign.disks), key=lambda disk: disk.target))

    @property
    def nics(self) -> tuple[Nic, ...]:
        """Every interface of the configuration, ours first."""
        return (*(self.config.nics if self.config else ()), *self.foreign.nics)

    @property
    def live_nics(self) -> tuple[Nic, ...]:
        """Every interface of the running guest, ours first."""
        return (*self.live.nics, *self.live_foreign.nics) if self.live else ()

    def volume(self, path: str) -> VolumeFile | None:
        """Return the file of a disk, None where it is not there."""
        return next((volume for volume in self.volumes if volume.path == path), None)


def pending(state: VmState) -> list[str]:
    """Return the paths of what the next start changes, such as ``memory`` or ``disks.data``; empty when stopped."""
    if state.config is None or state.live is None:
        return []
    found: list[str] = []
    for field in fields(DomainSpec):
        now, then = getattr(state.live, field.name), getattr(state.config, field.name)
        if now == then:
            continue
        if field.name in ("disks", "nics"):
            by_name = {item.name: _hardware(item) for item in now}
            after = {item.name: _hardware(item) for item in then}
            names = sorted(name for name in {**by_name, **after} if by_name.get(name) != after.get(name))
            found += [f"{field.name}.{name}" for name in names]
        else:
            found.append(field.name)
    return found


def _hardware(device: Disk | Nic) -> Disk | Nic:
    """Return a device without what the host alone does for it."""
    return replace(device, public_address=()) if isinstance(device, Nic) else device


def with_claims(state: VmState, spec: DomainSpec) -> VmState:
    """Return the state in which the devices of others that ``spec`` has are ours, in the running guest too."""
    disks = {disk.foreign: disk.name for disk in spec.disks if disk.foreign}
    nics = {nic.foreign: nic.name for nic in spec.nics if nic.foreign}
    state = replace(state, foreign=_without(state.foreign, disks, nics))
    if state.live is None:
        return state
    there = state.live_foreign
    ours = [replace(disk, name=disks[disk.foreign]) for disk in there.disks if disk.foreign in disks]
    mine = [replace(nic, name=nics[nic.foreign]) for nic in there.nics if nic.foreign in nics]
    live = replace(
        state.live,
        disks=tuple(sorted((*state.live.disks, *ours), key=lambda disk: disk.target)),
        nics=(*state.live.nics, *mine),
    )
    return replace(state, live=live, live_foreign=_without(there, disks, nics))


def with_addresses(state: VmState, spec: DomainSpec) -> VmState:
    """Return the state in which the running guest's interfaces have the leased addresses of ``spec``: only our record has them."""
    if state.live is None:
        return state
    leased = {(nic.name, nic.mac): nic.addresses for nic in spec.nics}
    nics = tuple(replace(nic, addresses=leased.get((nic.name, nic.mac), nic.addresses)) for nic in state.live.nics)
    return replace(state, live=replace(state.live, nics=nics))


def _without(foreign: Foreign, disks: Collection[str | None], nics: Collection[str | None]) -> Foreign:
    return replace(
        foreign,
        disks=tuple(disk for disk in foreign.disks if disk.foreign not in disks),
        nics=tuple(nic for nic in foreign.nics if nic.foreign not in nics),
    )


def view(state: VmState) -> dict[str, Any]:
    """Return a VM as JSON: what diffs are made of and what modules return."""
    if state.config is None:
        files = {"files": list(state.folder)} if state.folder else {}
        return {"name": state.name, "state": "absent", **files}
    spec = asdict(state.config)
    spec["disks"] = [_disk_view(state, disk) for disk in state.disks]
    spec["nics"] = nics_view(state)
    spec["xml_override"] = outline(state.config.xml_override) if state.config.xml_override else state.config.xml_override
    spec["vnc_password"] = state.config.vnc_password is not None
    shown = {"name": state.name, "state": state.run, **spec, "autostart": state.autostart, "pending_restart": pending(state)}
    arrival = asdict(state.arrival) if state.arrival else None
    policy = asdict(state.record.recovery) if state.record and state.record.recovery else None
    kept = {"cloud_init": state.seed, "context": state.context, "recovery": policy}
    return {**shown, "managed": state.marked, **kept, "arrival": arrival}


def nics_view(state: VmState) -> list[dict[str, Any]]:
    """Return the interfaces as JSON."""
    return [{key: value for key, value in asdict(nic).items() if key != "mtu_of_network"} for nic in state.nics]


def _disk_view(state: VmState, disk: Disk) -> dict[str, Any]:
    found = state.volume(disk.active)
    image = next((one.image for one in state.record.volumes if one.disk == disk.name), None) if state.record else None
    shown = {**asdict(disk), "path": disk.active, "format": disk.active_format, "image": image}
    del shown["overlay"], shown["block"]
    if found is None or disk.name in (SEED, CONTEXT):
        return {**shown, "size": None, "backing": None}
    return {**shown, "size": found.size, "backing": found.backing}
