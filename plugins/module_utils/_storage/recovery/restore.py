# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of a generation as a new qcow2 file, or as the block options by which QEMU reads it where it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ... import _files
from ..._errors import Conflict, Corrupt, NotFound
from ..._generation import Disk, Generation
from ..._sizes import DELTA_CLUSTER
from ..disk.whole import appearing
from ..format import qcow2
from ..format.qemu_img import QemuImg, for_overlay
from ..store import lease, usage
from ..store.digest import checksum_of
from ..store.store import Store
from .depot import Depot
from .layers import Base, Layers, Node, stacked


@dataclass(frozen=True)
class Restore:
    """Restores disks of a depot's generations; the images that they stand on come from an image store."""

    depot: Depot
    qemu: QemuImg
    images: Store

    @contextmanager
    def opened(self, generation: Generation, target: str) -> Iterator[Node]:
        """Yield the block options of a disk as it was; its files are not removed meanwhile."""
        disk = disk_of(generation, target)
        image = self._image(disk)
        with self.depot.reading(generation) as paths:
            yield stacked([*([image] if image else []), *(paths[delta.digest] for delta in disk.chain)])

    def write(self, generation: Generation, target: str, path: Path, *, whole: bool = False) -> None:
        """Restore a disk to the new file ``path``, compared with the generation by reading before it has that name.

        The file is an overlay of the image in the image store, with a lease of it, or with ``whole`` one that needs no other file.
        Raises Conflict where something has that name.
        """
        disk = disk_of(generation, target)
        _require_new(path)
        with self.opened(generation, target) as node, appearing(path) as work:
            self._require_undamaged(generation, disk)
            image = self._image(disk)
            work.touch(mode=0o600, exist_ok=False)  # from its first byte
            if whole or image is None:
                Layers(self.qemu).copy(node, disk.virtual_size, work, {"cluster_size": DELTA_CLUSTER})
            else:
                with _files.file_lock(image, shared=True) as held, self.depot.reading(generation) as paths:
                    self._overlay(disk, [paths[delta.digest] for delta in disk.chain], image, work, path)
                    _files.require_named(image, held)
            self._require_same(disk, node, work, None if whole or image is None else image)

    def over(self, generation: Generation, target: str, path: Path) -> Node:
        """Make the new, empty file ``path``, and return the block options by which QEMU opens it over a disk where that is.

        Nothing is copied. Only with these options it is that disk: its header does not say what is below it. The generation is
        pinned before; it may be unpinned when nothing is over it any more.
        """
        uuid, name = generation.vm.uuid, generation.name
        _require_new(path)
        with appearing(path) as work, self._pinned(uuid, name):
            now = self.depot.find(uuid, name)  # which may have been merged meanwhile, and stays as it is from now on
            with self.opened(now, target) as node:
                work.touch(mode=0o600, exist_ok=False)
                self.qemu.create(work, disk_of(now, target).virtual_size, creation=for_overlay({}))
        return stacked([path], node)

    @contextmanager
    def _pinned(self, uuid: str, name: str) -> Iterator[None]:
        """Have a generation pinned, except for an error: then it is as it was."""
        had = name in self.depot.listed(uuid).pinned
        self.depot.pin(uuid, name, True)
        try:
            yield
        except BaseException:
            self.depot.pin(uuid, name, had)
            raise

    def _require_undamaged(self, generation: Generation, disk: Disk) -> None:
        for delta in disk.chain:
            path = self.depot.path_of(generation.vm.uuid, delta.digest)
            if checksum_of(path, "sha256") != delta.digest:
                raise Corrupt(
                    f"generation: {generation.name} of {generation.vm.name} is damaged: the bytes of {path} are not those of its "
                    "digest. Choose an older one, or restore it from another replica.",
                    option="generation",
                    path=str(path),
                )

    def _overlay(self, disk: Disk, layers: list[Path], image: Path, work: Path, path: Path) -> None:
        size = qcow2.read_header(image).virtual_size
        longest = max([disk.virtual_size, *(qcow2.read_header(layer).virtual_size for layer in layers)])
        self.qemu.create(work, longest, (image, "qcow2"))
        lease.note(image, path, work)
        usage.note_disk(image)
        if layers:
            Layers(self.qemu).fold(layers, work, Base(size, own=True))

    def _require_same(self, disk: Disk, node: Node, work: Path, image: Path | None) -> None:
        made = stacked([work], stacked([image]) if image else None)
        if qcow2.read_header(work).virtual_size != disk.virtual_size or not Layers(self.qemu).identical(node, made):
            raise Corrupt("The restored disk differs from the generation; it was thrown away. Check the host's memory and disks.")

    def _image(self, disk: Disk) -> Path | None:
        if disk.image is None:
            return None
        if self.images.find(disk.image) is None:
            raise NotFound(
                f"The disk {disk.target} stands on the image {disk.image}, which is not in {self.images.root}; pull it first.",
                digest=disk.image,
            )
        return self.images.image_path(disk.image)


def _require_new(path: Path) -> None:
    """Raise Conflict, before anything is read, where something has the name of the file that is to be written."""
    if path.is_symlink() or path.exists():
        raise Conflict(f"path: {path} is there already, and is not replaced; give another path, or remove it.", option="path")


def disk_of(generation: Generation, target: str) -> Disk:
    """Return a disk of a generation; raise NotFound with those that it has."""
    found = generation.disk(target)
    if found is None:
        have = ", ".join(disk.target for disk in generation.disks) or "none"
        raise NotFound(
            f"disk: the generation {generation.name} of {generation.vm.name} has no disk {target}; it has {have}.", option="disk"
        )
    return found
