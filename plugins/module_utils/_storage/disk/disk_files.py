# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk files by qemu-img: observed without disturbing a running VM, created atomically, changed only while no VM uses them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ... import _files
from ..._errors import Conflict, NotFound, Refused, about_option
from ..._image_lock import remove_images
from ..format import disk_format, qcow2, qemu_img
from ..format.foreign_image import Rules, judge
from ..format.qemu_img import QemuImg
from ..format.source_file import held
from ..store import lease, references, usage, uses
from .backing import require_formats
from .chain import locked
from .disk import Base, Change, ConvertDisk, CreateDisk, Disk, RebaseDisk, RepairDisk, ResizeDisk
from .whole import appearing


@dataclass(frozen=True)
class Qcow2Files:
    """Observes and changes disk files; before a disk is removed, its overlays are searched for in ``directories``."""

    qemu: QemuImg
    directories: Sequence[Path] = ()
    headers: references.Headers = field(default_factory=references.Headers, compare=False)

    def observe(self, path: Path, *, check: bool = False) -> Disk | None:
        """Return the disk at ``path`` or None; raise Conflict if something else is there. ``check`` also counts damage."""
        if not os.path.lexists(path):
            return None
        if path.is_symlink() or not path.is_file():
            raise Conflict(f"path: {path} exists and is not a regular file; it was left alone.", option="path", path=str(path))
        with path.open("rb") as file:
            if file.read(4) != qcow2.MAGIC or disk_format.recorded_raw(path):
                raise Conflict(f"path: {path} exists and is not a qcow2 image; it was left alone.", option="path", path=str(path))
        header = qcow2.read_header(path)
        in_use = self._in_use(path, header)
        found = self.qemu.check(path) if check and not in_use else None
        return Disk(
            path=str(path),
            virtual_size=header.virtual_size,
            backing_file=references.backing_name(path, header.backing_file) if header.backing_file else None,
            backing_format=header.backing_format,
            cluster_size=header.cluster_size,
            in_use=in_use,
            corruptions=found.corruptions if found else 0,
            leaks=found.leaks if found else 0,
        )

    def _in_use(self, path: Path, header: qcow2.Header) -> bool:
        if header.external_data:
            raise Refused(
                f"path: {path} keeps its data in another file ({header.data_file!r}); such disks are not managed.",
                option="path",
                path=str(path),
            )
        return locked(self.qemu, path)

    def base(self, path: Path, image_format: str | None) -> Base:
        """Return an image that can be the backing image of a disk, without a format a qcow2 that need not be doubted."""
        if not path.is_file():
            raise NotFound(
                f"backing_image: {path} does not exist on this host; pull or create it first.",
                option="backing_image",
                path=str(path),
            )
        if image_format not in (None, "qcow2"):
            return Base(str(path.resolve()), image_format, path.stat().st_size)
        with about_option("backing_image"):
            header = qcow2.read_header(path)
            qcow2.refuse_unless_standalone(replace(header, backing_file=None), str(path))
            if image_format is None and disk_format.detect_format(path, "backing_format") != "qcow2":
                raise Refused(f"{path} is on record as raw; give backing_format: raw.", path=str(path))
            require_formats(path)
        return Base(str(path.resolve()), "qcow2", header.virtual_size)

    def source(self, path: Path, image_format: str | None) -> Base:
        """Return an image that a disk can be converted from; raise Refused if it refers to other files."""
        with about_option("source"), held(path) as source:
            found = judge(self.qemu, source, Rules(format=image_format))
            return Base(str(path), found, int(self.qemu.info(source, found)["virtual-size"]))

    def apply(self, step: Change) -> None:
        """Carry out one step; a kill at any moment leaves the old or the new file."""
        path = Path(step.path)
        if isinstance(step, CreateDisk | ConvertDisk):
            self._make(path, step)
        elif isinstance(step, ResizeDisk):
            require_formats(path)
            self.qemu.resize(path, step.new, shrink=step.new < step.old)
        elif isinstance(step, RepairDisk):
            self.qemu.check(path, repair=step.what)
        elif isinstance(step, RebaseDisk):
            if not step.unsafe:
                require_formats(path)
            with _held(step.backing) as confirm:
                if step.backing:
                    lease.note(Path(step.backing.path), path, path)
                    confirm()
                self.qemu.rebase(path, _pair(step.backing), unsafe=step.unsafe)
        else:
            self._remove(path)

    def _make(self, path: Path, step: CreateDisk | ConvertDisk) -> None:
        backing = step.backing if isinstance(step, CreateDisk) else None
        creation = {"cluster_size": step.creation.cluster_size, "preallocation": step.creation.preallocation}
        with _held(backing) as confirm, appearing(path) as work:
            if isinstance(step, CreateDisk):
                self.qemu.create(work, step.size, _pair(backing), creation)
                if backing:
                    lease.note(Path(backing.path), path, work)
                    confirm()
                    usage.note_disk(Path(backing.path))
            else:
                self._convert(step, work, creation)

    def _convert(self, step: ConvertDisk, work: Path, creation: qemu_img.Creation) -> None:
        """Convert the source after it was judged again: what is judged is what is read."""
        with about_option("source"), held(Path(step.source.path)) as source:
            judge(self.qemu, source, Rules(format=step.source.format))
            self.qemu.convert(source, step.source.format, work, compress=step.creation.compress, creation=creation)

    def require_unused(self, path: Path) -> None:
        """Raise Refused if the disk is the backing image of others."""
        found = uses.uses_of(path, [path.parent, *self.directories], self.headers)
        found.require_none(f"path: {path}", option="path", path=str(path))

    def _remove(self, path: Path) -> None:
        with _files.file_lock(path, shared=False):
            self.require_unused(path)
            remove_images([str(path)])


def _pair(base: Base | None) -> tuple[Path, str] | None:
    return (Path(base.path), base.format) if base else None


@contextmanager
def _held(backing: Base | None) -> Iterator[Callable[[], None]]:
    """Keep a backing image from being removed until the overlay has its lease; what is given then raises NotFound if it was."""
    if backing is None:
        yield lambda: None
        return
    path = Path(backing.path)
    with _files.file_lock(path, shared=True) as held:
        yield lambda: _files.require_named(path, held)
