# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the files of a VM, for a clone of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _files
from .._storage.disk import copies
from .._storage.format import disk_format
from .._storage.format.qemu_img import QemuImg
from .writer import DiskWriter


@dataclass(frozen=True)
class DiskCopier(DiskWriter):
    """See CloneTool."""

    def require_own_data(self, path: str, image_format: str) -> None:
        """See CloneTool."""
        copies.require_own_data(Path(path), image_format)

    def copy_disk(self, source: str, image_format: str, target: str, image: str | None) -> None:
        """See CloneTool."""
        copies.copy_disk(QemuImg(self.runner), Path(source), image_format, Path(target), Path(image) if image else None)

    def copy_flat(self, source: str, image_format: str, target: str) -> None:
        """See CloneTool."""
        path = Path(target)
        self.convert(source, image_format, target)
        with Path(source).open("rb") as original:
            copies.owned_as(original.fileno(), path)
        disk_format.note_format(path, "qcow2")
        self._require_sound(path)
        _files.fsync(path)

    def copy_file(self, source: str, target: str) -> None:
        """See CloneTool."""
        path = Path(target)
        path.touch(mode=0o600, exist_ok=False)
        copies.copy_into(Path(source), path)
        _files.fsync(path)

    def settle_lease(self, image: str, old: str, path: str) -> None:
        """See CloneTool."""
        copies.settle_lease(Path(image), Path(old), Path(path))

    def shares_blocks(self, source: str, folder: str) -> bool:
        """See CloneTool."""
        return copies.shares_blocks(Path(source), Path(folder))
