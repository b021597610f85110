# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Composes two rooms: the disk files that VMs need (_compute), made by the image library (_storage)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ._compute.facts import Folders, VolumeFile
from ._errors import NotFound
from ._runner import Runner
from ._storage import files, qcow2, usage
from ._storage.qemu_img import QemuImg
from ._storage.references import DISK_DIRECTORIES, backing_name, users_of
from ._storage.store import Store


@dataclass(frozen=True)
class DiskFiles:
    """The compute room's ImageTool and LayerTool, by qemu-img and the host cache."""

    runner: Runner
    folders: Folders

    @property
    def _store(self) -> Store:
        return Store(Path(self.folders.images))

    def info(self, path: str, image_format: str | None = None) -> VolumeFile:
        """See ImageTool; without a format a file that does not begin as qcow2 is raw."""
        found = QemuImg(self.runner).info(Path(path), image_format or _format_of(Path(path)), shared=True)
        backing = found.get("backing-filename")
        return VolumeFile(path, found["format"], found["virtual-size"], backing_name(Path(path), backing) if backing else None)

    def image_size(self, digest: str) -> int | None:
        """See ImageTool; an image that wants a larger disk than its own size gets it."""
        found = self._store.find(digest)
        return max(found.virtual_size, found.min_disk) if found else None

    def create_overlay(self, path: str, digest: str, size: int) -> None:
        """See ImageTool; while the overlay is made the image cannot be removed, and after it the overlay is a user of it."""
        image = self._store.image_path(digest)
        with files.file_lock(image, shared=True), _appearing(Path(path)) as work:
            if self._store.find(digest) is None:
                raise NotFound(
                    f"The image {digest} is not in the host cache any more; run edge.cloud.replica_image again.", digest=digest
                )
            QemuImg(self.runner).create(work, size, (image, "qcow2"))
            usage.note_disk(image)

    def create_empty(self, path: str, size: int) -> None:
        """See ImageTool."""
        with _appearing(Path(path)) as work:
            QemuImg(self.runner).create(work, size)

    def grow(self, path: str, size: int) -> None:
        """See ImageTool."""
        QemuImg(self.runner).resize(Path(path), size)

    def create_layer(self, path: str, below: str, below_format: str, size: int) -> None:
        """See LayerTool."""
        with _appearing(Path(path)) as work:
            QemuImg(self.runner).create(work, size, (Path(below), below_format))

    def merge(self, top: str, base: str) -> None:
        """See LayerTool."""
        QemuImg(self.runner).commit(Path(top), Path(base))
        files.fsync_file(Path(base))

    def restack(self, path: str, below: str, below_format: str) -> None:
        """See LayerTool."""
        QemuImg(self.runner).rebase(Path(path), (Path(below), below_format), unsafe=True)
        files.fsync_file(Path(path))

    def has_data(self, path: str) -> bool:
        """See LayerTool."""
        return files.open_in_qemu(Path(path)) or QemuImg(self.runner).has_data(Path(path))

    def is_open(self, path: str) -> bool:
        """See LayerTool."""
        return files.open_in_qemu(Path(path))

    def users(self, path: str) -> Collection[str]:
        """See LayerTool."""
        return users_of(Path(path), [Path(self.folders.vms), *map(Path, DISK_DIRECTORIES)])


def _format_of(path: Path) -> str:
    with path.open("rb") as file:
        return "qcow2" if file.read(4) == qcow2.MAGIC else "raw"


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a scratch name in the folder of ``path``; what was written there appears as ``path``, durable, at the end."""
    with TemporaryDirectory(prefix=".disk-", dir=path.parent) as folder:
        work = Path(folder, path.name)
        yield work
        work.chmod(0o600)
        files.fsync_file(work)
        work.rename(path)
        files.fsync_directory(path.parent)
