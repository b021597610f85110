# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk files that stand alone or on other files of the host, made and changed by qemu-img."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .. import _files
from .._errors import Corrupt, NotFound
from .._image_lock import unwritten
from .._space import longer
from .._storage.disk.backing import require_formats
from .._storage.disk.whole import appearing, replacing
from .._storage.format import disk_format, qcow2
from .._storage.format.qemu_img import QemuImg
from .._storage.store import lease, uses
from .._storage.store.references import DISK_DIRECTORIES, Headers
from .reader import DiskReader


@dataclass(frozen=True)
class DiskWriter(DiskReader):
    """See DiskTool."""

    headers: Headers = field(default_factory=Headers, compare=False, kw_only=True)

    def note_format(self, path: str, image_format: str) -> None:
        """See ImageTool."""
        if image_format in disk_format.FORMATS and disk_format.noted_format(Path(path)) != image_format:
            disk_format.note_format(Path(path), image_format)

    def lease(self, path: str, image: str) -> tuple[str, bytes]:
        """See ImageTool."""
        file = lease.folder_of(Path(image)) / lease.file_name(Path(image), path, "")
        return str(file), lease.text_of(lease.Lease(file, path))

    def removed(self, paths: Sequence[str]) -> None:
        """See ImageTool."""
        uses.end(Path(self.folders.images), paths)

    def create_empty(self, path: str, size: int, preallocation: str | None = None, image_format: str = "qcow2") -> None:
        """See ImageTool."""
        with appearing(Path(path), image_format) as work:
            if image_format == "raw":
                QemuImg(self.runner).create_raw(work, size, preallocation)
            else:
                QemuImg(self.runner).create(work, size, creation={"preallocation": preallocation})

    def grow(self, path: str, size: int, image_format: str = "qcow2") -> None:
        """See ImageTool."""
        if image_format == "qcow2":
            require_formats(Path(path))
        QemuImg(self.runner).resize(Path(path), size, image_format=image_format)

    def create_overlay_on(self, path: str, below: str, below_format: str, size: int) -> None:
        """See OverlayTool."""
        if below_format == "qcow2":
            require_formats(Path(below))
        with appearing(Path(path)) as work:
            QemuImg(self.runner).create(work, size, (Path(below), below_format))
            lease.note(Path(below), Path(path), work)

    def commit(self, top: str, base: str) -> None:
        """See OverlayTool."""
        require_formats(Path(top))
        with unwritten(Path(top)):
            QemuImg(self.runner).commit(Path(top), Path(base))
            _files.fsync(Path(base))

    def rebase_on(self, path: str, below: str, below_format: str) -> None:
        """See OverlayTool."""
        lease.note(Path(below), Path(path), Path(path))
        QemuImg(self.runner).rebase(Path(path), (Path(below), below_format), unsafe=True)
        _files.fsync(Path(path))

    def flatten(self, path: str) -> None:
        """See OverlayTool."""
        with replacing(Path(path)) as work:
            self.convert(path, "qcow2", str(work))
            self._require_sound(work)

    @contextmanager
    def exporting(self, path: str, compress: bool) -> Iterator[str]:
        """See DiskTool."""
        with appearing(Path(path)) as work:
            yield str(work)
            if compress:
                with replacing(work) as smaller:
                    QemuImg(self.runner).convert(work, "qcow2", smaller, compress=True)
            self._require_sound(work)

    @contextmanager
    def empty_copy(self, path: str, size: int, needed: int) -> Iterator[None]:
        """See DiskTool."""
        QemuImg(self.runner).create(Path(path), size)
        with longer(Path(path), needed, f"A whole copy of {needed} bytes"):
            yield

    def convert(self, source: str, source_format: str, target: str) -> None:
        """See DiskTool."""
        if source_format == "qcow2":
            require_formats(Path(source))
        QemuImg(self.runner).convert(Path(source), source_format, Path(target))

    def _require_sound(self, path: Path) -> None:
        found = QemuImg(self.runner).check(path)
        if found.corruptions or found.check_errors or qcow2.read_header(path).backing_file:
            raise Corrupt(f"The new file {path} is damaged or not standalone; it was removed.", path=str(path))

    def require_room(self, folder: str, needed: int, what: str) -> None:
        """See DiskTool."""
        if not Path(folder).is_dir():
            raise NotFound(f"The folder {folder} does not exist; create it first.", path=folder)
        _files.require_space(Path(folder), needed, what)

    def has_data(self, path: str) -> bool:
        """See OverlayTool."""
        if _files.open_in_qemu(Path(path)):
            return True
        require_formats(Path(path))
        return QemuImg(self.runner).has_data(Path(path))

    def users(self, path: str) -> Collection[str]:
        """See OverlayTool."""
        return uses.look([Path(self.folders.vms), *map(Path, DISK_DIRECTORIES)], self.headers).users_of(Path(path))
