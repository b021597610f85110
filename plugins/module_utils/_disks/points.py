# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of recovery points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _files
from .._errors import Corrupt
from .._sizes import DELTA_CLUSTER
from .._space import longer
from .._storage.disk import daemon, deltas
from .._storage.disk.backing import require_formats
from .._storage.format.qemu_img import QemuImg
from .._storage.recovery.delta_file import judge_delta
from .images import ImageDisks


@dataclass(frozen=True)
class PointDisks(ImageDisks):
    """See PointTool."""

    def bitmaps(self, path: str) -> Mapping[str, bool]:
        """See PointTool."""
        return QemuImg(self.runner).bitmaps(Path(path), shared=True)

    def add_bitmap(self, path: str, name: str) -> None:
        """See PointTool."""
        QemuImg(self.runner).add_bitmap(Path(path), name, DELTA_CLUSTER)
        _files.fsync(Path(path))

    def remove_bitmap(self, path: str, name: str) -> None:
        """See PointTool."""
        QemuImg(self.runner).remove_bitmap(Path(path), name)

    def noted(self, path: str, bitmap: str) -> int | None:
        """See PointTool."""
        require_formats(Path(path))
        return daemon.dirty_bytes(Path(path), bitmap)

    @contextmanager
    def empty_delta(self, path: str, size: int, needed: int) -> Iterator[None]:
        """See PointTool."""
        QemuImg(self.runner).create_delta(Path(path), size)
        with longer(Path(path), needed, f"A recovery point of {needed} bytes"):
            yield

    def copy_noted(self, disks: Mapping[str, str], old: str, new: str) -> None:
        """See PointTool."""
        for path in disks:
            require_formats(Path(path))
        daemon.copy_noted({Path(disk): Path(delta) for disk, delta in disks.items()}, old, new, DELTA_CLUSTER)
        for path in disks:
            _files.fsync(Path(path))

    def compare_disk(self, path: str, size: int, source: Mapping[str, Any] | str, image: str | None) -> None:
        """See PointTool."""
        below = self._store.image_path(image) if image else None
        qemu = QemuImg(self.runner)
        if isinstance(source, str):
            require_formats(Path(source))
        deltas.compare(qemu, Path(path), size, Path(source) if isinstance(source, str) else source, below)

    def require_delta(self, path: str, size: int) -> None:
        """See PointTool."""
        found = judge_delta(QemuImg(self.runner), Path(path), path)
        if found != size:
            raise Corrupt(f"{path} is a delta of a disk of {found} bytes, not of {size}.", path=path)
