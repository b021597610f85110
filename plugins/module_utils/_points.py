# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery points that VMs are restored from (_compute), read by the storage library (_storage)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ._errors import Corrupt, InvalidInput, NotFound
from ._generation import File, Generation, file_name, point_of
from ._runner import Runner
from ._shown import counted
from ._storage.format.qemu_img import QemuImg
from ._storage.format.source_file import held
from ._storage.recovery.depot import Depot
from ._storage.recovery.holding import missing_images
from ._storage.recovery.intake import LARGEST_OTHER, Intake, read_document
from ._storage.recovery.listing import vm_of
from ._storage.recovery.restore import Restore
from ._storage.store.digest import checksum_of
from ._storage.store.store import Store


@dataclass(frozen=True)
class DepotDisks:
    """The disks of a generation in a depot; see ``PointContent``."""

    depot: Depot
    images: Store
    runner: Runner
    uuid: str
    name: str

    def write_disk(self, target: str, path: Path) -> None:
        """See PointContent; the generation may have been merged since it was chosen."""
        now = self.depot.find(self.uuid, self.name)
        Restore(self.depot, QemuImg(self.runner), self.images).write(now, target, path)


@dataclass(frozen=True)
class DepotPoint:
    """A generation of the depot of this host; see ``PointSource``."""

    depot: Depot
    images: Store
    runner: Runner
    generation: Generation

    def newest(self) -> Generation:
        """See PointSource."""
        return self.depot.listed(self.generation.vm.uuid).generations[-1]

    def missing_images(self) -> tuple[str, ...]:
        """See PointSource."""
        return missing_images(self.images, self.generation)

    def room_factor(self) -> int:
        """See PointSource."""
        return 1

    def content(self, what: str) -> bytes:
        """See PointSource."""
        file = self.generation.files[what]
        return _content(self.depot.path_of(self.generation.vm.uuid, file.digest), file)

    @contextmanager
    def opened(self, _scratch: Path) -> Iterator[DepotDisks]:
        """See PointSource."""
        yield DepotDisks(self.depot, self.images, self.runner, self.generation.vm.uuid, self.generation.name)


@dataclass(frozen=True)
class FolderPoint:
    """A generation in a folder, with all its files, as a host made it or a replica gave it; see ``PointSource``.

    Nothing in it is believed: its files are copied, checked and then used.
    """

    folder: Path
    images: Store
    runner: Runner
    generation: Generation

    def newest(self) -> Generation:
        """See PointSource."""
        return self.generation

    def missing_images(self) -> tuple[str, ...]:
        """See PointSource."""
        return missing_images(self.images, self.generation)

    def room_factor(self) -> int:
        """See PointSource."""
        return 2

    def content(self, what: str) -> bytes:
        """See PointSource."""
        file = self.generation.files[what]
        return _content(self.folder / file_name(file.digest), file)

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[DepotDisks]:
        """See PointSource; raise Corrupt, Refused or Unsupported for a file that is not what the document says."""
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            depot, qemu = Depot(scratch), QemuImg(self.runner)
            taken = Intake(depot, qemu).take(self.folder, self.generation.vm.uuid).generation
            if taken != self.generation:
                raise Corrupt(f"folder: the generation in {self.folder} was exchanged meanwhile; run again.", option="folder")
            yield DepotDisks(depot, self.images, self.runner, taken.vm.uuid, taken.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _content(path: Path, file: File) -> bytes:
    if file.size > LARGEST_OTHER:
        raise Corrupt(f"{path} has {file.size} bytes; at most {LARGEST_OTHER} are possible.", path=str(path))
    if path.is_symlink():
        raise Corrupt(f"{path} is a link; it was not followed.", path=str(path))
    with held(path) as opened:
        if opened.stat().st_size != file.size or checksum_of(opened, "sha256") != file.digest:
            raise Corrupt(
                f"{path} is damaged: its bytes are not those of its digest. Choose an older generation, or another replica.",
                path=str(path),
            )
        return opened.read_bytes()


def point_in_depot(root: Path, vm: str, generation: str | None, images: Path, runner: Runner) -> DepotPoint:
    """Return a generation of a VM, by its UUID or name, in the depot of this host; the newest whole one where none is named.

    Raises NotFound with what there is.
    """
    depot = Depot(root)
    if generation is not None:
        point_of(generation)
    return DepotPoint(depot, Store(images), runner, depot.find(vm_of(depot, vm), generation))


def point_in_folder(folder: Path, vm: str | None, generation: str | None, images: Path, runner: Runner) -> FolderPoint:
    """Return the generation in a folder; raise NotFound where files of it are not there, InvalidInput for one not asked for."""
    found = read_document(folder)
    if generation is not None and point_of(generation) != found.point:
        raise InvalidInput(
            f"generation: {folder} has {found.name} of {found.vm.name}, not {generation}.", option="generation", value=generation
        )
    if vm is not None and vm not in (found.vm.uuid, found.vm.name):
        raise InvalidInput(f"vm: {folder} has a point of {found.vm.name} ({found.vm.uuid}), not of {vm}.", option="vm", value=vm)
    lacking = [file.digest for file in found.needs if not os.path.lexists(folder / file_name(file.digest))]
    if lacking:
        raise NotFound(
            f"folder: {folder} lacks {counted(len(lacking), 'file')} of {found.name}, {lacking[0]} first: it has what changed "
            "since an earlier point. Take that and this one in by edge-host point take, and restore without folder.",
            option="folder",
            missing=lacking[:20],
        )
    return FolderPoint(folder, Store(images), runner, found)
