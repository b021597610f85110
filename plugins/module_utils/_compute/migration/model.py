# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration as plain frozen data: the VM at its source, what the destination has, and how both look to users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.virtual_network import Networks
from .journal import Journal


@dataclass(frozen=True)
class Joined:
    """A virtual network that a domain is in, by which bridge, and the largest packets that it sends, in bytes.

    ``definition`` is this host's, None where the host does not know it any more.
    """

    name: str
    bridge: str
    mtu: int | None
    definition: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class MovingFile:
    """One file of a disk: ``size`` is what the guest sees, ``length`` that of the file, ``allocated`` what it takes; bytes."""

    path: str
    format: str
    size: int
    length: int
    allocated: int
    backing: str | None = None
    backing_format: str | None = None


@dataclass(frozen=True)
class MovingDisk:
    """A disk whose files are in the VM's folder: its overlays from the top, down to the image of the host cache, if any."""

    target: str
    read_only: bool
    overlays: tuple[MovingFile, ...]
    image: str | None = None


@dataclass(frozen=True)
class SourceVm:
    """The domain on this host. ``files`` move beside the disks (such as snapshots); ``needed`` must be on the destination already.

    So must libvirt's ``secrets``, each a kind (``uuid`` or that of its usage) and a text.

    ``obstacles`` are the reasons why it cannot move. ``checkpoints`` are the XMLs of libvirt's, parents first.
    ``mark`` is our record in the persistent configuration; that of a running guest is as old as its start. ``post_copy`` is
    ``active`` or ``failed`` where the guest went on at the destination before all of its memory was there. ``host_cpu`` is the XML
    of this host's CPU where the guest has it as it is.
    """

    uuid: str
    run: str
    marked: bool
    autostart: bool
    memory: int
    xml: str
    disks: tuple[MovingDisk, ...] = ()
    files: tuple[MovingFile, ...] = ()
    needed: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    joined: tuple[Joined, ...] = ()
    macs: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    migrating: bool = False
    mark: str | None = None
    post_copy: str | None = None
    host_cpu: str | None = None

    @property
    def live(self) -> bool:
        """Whether it has memory to move."""
        return self.run != "stopped"

    @property
    def copied(self) -> tuple[MovingFile, ...]:
        """The files that are copied byte by byte: all of a stopped VM, else those that a running guest does not write."""
        disks = [overlay for disk in self.disks for overlay in disk.overlays[0 if disk.read_only or not self.live else 1 :]]
        return (*reversed(disks), *self.files)

    @property
    def mirrored(self) -> tuple[MovingDisk, ...]:
        """The disks that QEMU mirrors while the guest writes them."""
        return tuple(disk for disk in self.disks if self.live and not disk.read_only)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that moves."""
        return (*(overlay.path for disk in self.disks for overlay in disk.overlays), *(overlay.path for overlay in self.files))

    @property
    def images(self) -> tuple[str, ...]:
        """The images of the host cache below the disks."""
        return tuple(sorted({disk.image for disk in self.disks if disk.image}))

    @property
    def allocated(self) -> int:
        """The bytes that the files take."""
        return sum(overlay.allocated for disk in self.disks for overlay in disk.overlays) + sum(one.allocated for one in self.files)


@dataclass(frozen=True)
class DestinationVm:
    """The domain of that name on the destination; ``post_copy`` is ``active`` or ``failed`` while memory of it is missing there.

    libvirt makes it persistent right before it lets the guest run, and not earlier. ``arrival`` is the host that its mark names.
    """

    uuid: str
    run: str
    persistent: bool
    marked: bool
    autostart: bool = False
    incoming: bool = False
    post_copy: str | None = None
    arrival: str | None = None

    @property
    def may_have_run(self) -> bool:
        """Whether the guest runs there, or may have: its disks there can have what the source never saw."""
        return not self.incoming and (self.persistent or self.run == "running" or self.post_copy is not None)


@dataclass(frozen=True)
class Destination:
    """The destination as far as a plan needs it; ``files`` are paths in the VM's folder and the sizes of ``images`` bytes.

    ``cpu`` is why the guest's CPU does not run there, if it does not. ``folder`` is whether the folder of the VMs exists there,
    ``home`` whether a mark there says that this VM moved away from it once, ``stale`` files that a broken migration of this very VM
    left there, by its note. ``virtual_networks`` are read where the VM is in one.
    """

    host: str
    vm: DestinationVm | None = None
    domains: Mapping[str, str] = field(default_factory=dict)
    macs: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, bool] = field(default_factory=dict)
    bridges: tuple[str, ...] = ()
    virtual_networks: Networks = field(default_factory=dict)
    memory: int = 0
    folder: bool = True
    free: int = 0
    files: frozenset[str] = frozenset()
    images: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    cpu: str | None = None
    home: bool = False
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class MigrationState:
    """Both ends of a migration, and the journal of one that began earlier."""

    name: str
    here: str
    there: Destination
    source: SourceVm | None = None
    journal: Journal | None = None
    left: tuple[str, ...] = ()


def view(state: MigrationState) -> dict[str, Any]:
    """Return where the VM is and how, as JSON: what diffs are made of and what the module returns."""
    vm = state.source or state.there.vm
    if vm is None:
        return {"name": state.name, "state": "absent", "host": None}
    host = state.here if state.source else state.there.host
    return {"name": state.name, "state": vm.run, "host": host, "uuid": vm.uuid, "autostart": vm.autostart}
