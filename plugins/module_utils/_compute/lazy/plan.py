# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks whose image has not arrived: which files they have, and the step onto the image that is here. Pure.

Such a disk is an overlay ``NAME.arriving.qcow2`` over an NBD export. When the image is in the host cache, what the guest wrote is
moved to ``NAME.qcow2``, an overlay over the local image, while the guest runs or while it is stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..._sizes import show_size
from ..model.host_facts import HostFacts, VolumeFile
from ..model.overlays import volume_chain
from ..model.remote_image import RemoteImage, from_url
from ..model.spec import Disk, DomainSpec, Volume
from ..model.state import VmState

SUFFIX = ".arriving.qcow2"


def arriving_path(path: str) -> str:
    """Return the overlay over the remote image that stands in for a volume's own file."""
    return path.removesuffix(".qcow2") + SUFFIX


def own_path(path: str) -> str:
    """Return the volume's own file that an arriving one stands in for."""
    return path.removesuffix(SUFFIX) + ".qcow2"


def is_arriving(path: str) -> bool:
    """Return whether the file stands in for a volume's own."""
    return path.endswith(SUFFIX)


def arriving_images(state: VmState) -> tuple[str, ...]:
    """Return the digests of the images that disks of a VM wait for."""
    waiting = {disk.name for disk in state.config.disks if is_arriving(disk.active)} if state.config else set()
    volumes = state.record.volumes if state.record else ()
    return tuple(sorted({volume.image for volume in volumes if volume.image and volume.disk in waiting}))


def with_arrivals(wanted: DomainSpec, volumes: Sequence[Volume], state: VmState, host: HostFacts) -> DomainSpec:
    """Return the spec with each disk on the best file that it can have now.

    A new disk of an image that is not here is laid over the remote one; one that was goes onto the local image once that is here.
    """
    by_disk = {volume.disk: volume for volume in volumes}

    def current(disk: Disk) -> Disk:
        volume = by_disk.get(disk.name)
        image = volume.image if volume else None
        found = state.volume(disk.active) if is_arriving(disk.active) else None
        afar = from_url(disk.remote or (found.backing if found else None))
        if is_arriving(disk.active) and afar and afar.is_point:
            return _over(disk, afar)  # its image is only a part of what it reads there
        if volume is None or image is None:
            return disk
        if is_arriving(disk.active):
            return disk.own if image in host.images else _over(disk, afar)
        missing = image not in host.images and not volume_chain(volume, wanted, state.volumes)
        afar = host.remote_images.get(image) if missing else None
        return _over(replace(disk, overlay=arriving_path(volume.path)), afar) if afar else disk

    return replace(wanted, disks=tuple(map(current, wanted.disks)))


def _over(disk: Disk, image: RemoteImage | None) -> Disk:
    return replace(disk, remote=image.url if image else None)


def move_steps(state: VmState, wanted: DomainSpec, volumes: Sequence[Volume], running: bool) -> Iterator[MoveDisk]:
    """Yield the moves of disks that are laid over a remote image and are to be over the local one."""
    by_disk = {volume.disk: volume for volume in volumes}
    now = {disk.name: disk for disk in state.config.disks} if state.config else {}
    for disk in wanted.disks:
        old, volume = now.get(disk.name), by_disk.get(disk.name)
        if old and volume and volume.image and volume.backing and is_arriving(old.active) and disk.active == volume.path:
            yield MoveDisk(wanted.name, disk.name, disk.target, old.active, volume.path, volume.image, volume.backing, live=running)


@dataclass(frozen=True)
class CreateRemoteVolume:
    """Make the overlay over a remote image that stands in for a disk's own file."""

    image: str
    path: str
    url: str
    size: int

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Create {self.path} ({show_size(self.size)}) as an overlay of {self.image}, read from {self.url} until it is here"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        image = from_url(self.url)
        made = VolumeFile(self.path, "qcow2", self.size, image.backing if image else self.url)
        return replace(state, volumes=(*state.volumes, made), folder=tuple(sorted({*state.folder, self.path})))


@dataclass(frozen=True)
class MoveDisk:
    """Move a disk from its remote image onto the local one; ``live`` where the guest runs."""

    domain: str
    disk: str
    target: str
    source: str
    path: str
    image: str
    backing: str
    live: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        how = " while it runs" if self.live else ""
        return f"Move disk {self.disk} of domain {self.domain} onto the local image {self.image}{how}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        old = state.volume(self.source)
        rest = tuple(volume for volume in state.volumes if volume.path != self.path)
        new = (replace(old, path=self.path, backing=self.backing),) if old else ()
        return replace(
            state,
            config=_moved(state.config, self),
            live=_moved(state.live, self),
            volumes=(*rest, *new),
            folder=tuple(sorted({*state.folder, self.path})),
        )


def _moved(spec: DomainSpec | None, step: MoveDisk) -> DomainSpec | None:
    if spec is None:
        return None
    return replace(spec, disks=tuple(_moved_disk(disk, step) for disk in spec.disks))


def _moved_disk(disk: Disk, step: MoveDisk) -> Disk:
    return disk.own if disk.active == step.source else disk


@dataclass(frozen=True)
class RemoveArrived:
    """Remove overlays that stood in until an image arrived, once no definition names them."""

    paths: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove {', '.join(self.paths)}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        gone = {*self.paths}
        return replace(
            state,
            volumes=tuple(volume for volume in state.volumes if volume.path not in gone),
            folder=tuple(path for path in state.folder if path not in gone),
        )


def left_over(state: VmState) -> tuple[str, ...]:
    """Return the stand-ins in the VM's folder that nothing names any more and whose volumes have their own files."""
    named = {disk.active for spec in (state.config, state.live) if spec for disk in spec.disks}
    return tuple(path for path in state.folder if is_arriving(path) and path not in named and own_path(path) in named)
