# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a backup, and its restore: written under another name, compared with its document, and only then under its own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ... import _files
from ..._errors import Conflict, Corrupt
from ..._generation import DOCUMENT, Generation, file_name, parse
from ..format.qemu_img import QemuImg
from ..recovery.depot import Depot
from ..recovery.holding import images_of
from ..recovery.restore import Restore
from ..recovery.verify import Verification
from ..store.digest import copy_with_checksum, describe
from ..store.store import Store
from .model import Backup
from .restic import Restic

IMAGE = re.compile(r"[0-9a-f]{64}\.qcow2")
IMAGES = "images"


@dataclass(frozen=True)
class Contents:
    """The generation in a backup, and the folders of its depot and of the store of its images, None where those were left out."""

    generation: Generation
    document: bytes
    root: PurePosixPath
    images: PurePosixPath | None
    lengths: dict[str, int]

    @property
    def lacking(self) -> list[str]:
        """The digests of files that the document names and that are not in the backup."""
        files = self.root / self.generation.vm.uuid / "files"
        found = [one.digest for one in self.generation.needs if self.lengths.get(str(files / file_name(one.digest))) != one.size]
        return found + [one for one in images_of([self.generation]) if self.images and not self._has_image(one)]

    def _has_image(self, digest: str) -> bool:
        return all(f"{self.images}/{file_name(digest)}.{kind}" in self.lengths for kind in ("qcow2", "json", "pieces"))


def contents_of(restic: Restic, backup: Backup) -> Contents:
    """Return what is in a backup of a VM; raise Corrupt where its document is not in it."""
    lengths = restic.files(backup.id)
    wanted = f"/{backup.source.uuid}/{backup.source.generation}.json"
    found = [path for path in lengths if path.endswith(wanted)]
    if len(found) != 1:
        raise Corrupt(f"snapshot: {backup.id[:8]} has no document of {backup.source.words}.", option="snapshot")
    document = restic.read(backup.id, found[0])
    generation = parse(document, found[0])
    if (generation.vm.uuid, generation.name) != (backup.source.uuid, backup.source.generation):
        raise Corrupt(f"snapshot: {backup.id[:8]} has the document of {generation.vm.uuid} {generation.name}.", option="snapshot")
    path = PurePosixPath(found[0])
    images = {PurePosixPath(one).parent for one in lengths if IMAGE.fullmatch(PurePosixPath(one).name)}
    return Contents(generation, document, path.parents[1], min(images) if images else None, lengths)


def is_whole(restic: Restic, backup: Backup, base_images: bool) -> bool:
    """Return whether a backup has all that its document names, by lengths; nothing but the document is read."""
    try:
        found = contents_of(restic, backup)
    except Corrupt:
        return False
    return not found.lacking and not (base_images and images_of([found.generation]) and found.images is None)


@dataclass(frozen=True)
class Restorer:
    """Restores backups; ``images`` is this host's store, for those without their images."""

    restic: Restic
    qemu: QemuImg
    images: Store

    @contextmanager
    def extracted(self, backup: Backup, work: Path) -> Iterator[tuple[Contents, Depot, Store]]:
        """Write a backup of a VM below ``work`` and yield what it is, its depot and its image store, each file of it verified."""
        contents = contents_of(self.restic, backup)
        size = sum(contents.lengths.values())
        _files.require_space(work, size, f"The backup of {backup.source.words}")
        self.restic.restore(backup.id, work)
        depot = Depot(work / contents.root.relative_to("/"))
        images = Store(work / contents.images.relative_to("/")) if contents.images else self.images
        generation = contents.generation
        found = Verification(depot, self.qemu, images).of(generation.vm.uuid, {generation.name})
        if found.damaged or (contents.images and found.images):
            raise Corrupt(
                f"snapshot: the backup {backup.id[:8]} of {backup.source.words} is damaged: "
                f"{'; '.join([*found.damaged.get(generation.name, []), *found.images.values()])}. Nothing was kept.",
                option="snapshot",
                damaged=found.damaged,
                images=found.images,
            )
        yield contents, depot, images

    def restore_vm(self, backup: Backup, path: Path, form: str) -> Contents:
        """Restore a VM's backup to the folder ``path``, which is missing or empty."""
        with appearing_folder(path) as (work, made), self.extracted(backup, work) as (contents, depot, images):
            if form == "disks":
                self._write_disks(contents.generation, depot, images, made)
            else:
                _lay_out(contents, depot, images if contents.images else None, made)
            (made / DOCUMENT).write_bytes(contents.document)
        return contents

    def _write_disks(self, generation: Generation, depot: Depot, images: Store, made: Path) -> None:
        for disk in generation.disks:
            Restore(depot, self.qemu, images).write(generation, disk.target, made / f"{disk.target}.qcow2", whole=True)
        for name, file in generation.files.items():
            depot.path_of(generation.vm.uuid, file.digest).rename(made / name)

    def restore_files(self, backup: Backup, path: Path) -> None:
        """Restore files below the folder ``path``, which is missing or empty, each by the path that it had."""
        lengths = self.restic.files(backup.id)
        with appearing_folder(path) as (work, made):
            _files.require_space(work, sum(lengths.values()), f"The backup of {backup.source.words}")
            self.restic.restore(backup.id, made)
            missing = [one for one, length in lengths.items() if _length(made / one.lstrip("/")) != length]
            if missing:
                raise Corrupt(f"snapshot: restic did not restore {missing[0]}; nothing was kept.", option="snapshot")

    def drill(self, backup: Backup, folder: Path) -> None:
        """Restore a backup into the folder of trials, compare all of it with its document, and remove it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with emptied_trial(folder) as work:
            work.mkdir(mode=0o700)
            try:
                if backup.source.uuid:
                    with self.extracted(backup, work):
                        pass
                else:
                    self.restore_files(backup, work / "files")
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def import_images(self, folder: Path, generation: Generation) -> None:
        """Put the images of a restored folder into this host's store, those that are not in it."""
        restored = Store(folder / IMAGES)
        self.images.prepare()
        for digest in images_of([generation]):
            with self.images.lock(digest):
                about = restored.find(digest)
                if about is None or self.images.find(digest) is not None:
                    continue
                work = self.images.partial_path(digest)
                work.unlink(missing_ok=True)
                try:
                    copy_with_checksum(restored.image_path(digest), work, "sha256")
                    if describe(work, about.piece_size).pieces.root != about.pieces.root:
                        raise Corrupt(f"{restored.image_path(digest)} was not copied as it is; it was not taken.")
                    self.images.publish(work, about)
                finally:
                    work.unlink(missing_ok=True)


def _lay_out(contents: Contents, depot: Depot, images: Store | None, made: Path) -> None:
    """Move files as a generation on its way has them: each by its digest beside the document, and the images as in a store."""
    generation = contents.generation
    for file in generation.needs:
        depot.path_of(generation.vm.uuid, file.digest).rename(made / file_name(file.digest))
    if images:
        (made / IMAGES).mkdir(mode=0o700)
        for digest in images_of([generation]):
            for path in (images.image_path(digest), images.manifest_path(digest), images.pieces_path(digest)):
                path.rename(made / IMAGES / path.name)


@contextmanager
def emptied_trial(folder: Path, *, wait: bool = True) -> Iterator[Path]:
    """Yield the one folder of trials below, which is not there; what a killed one left, with the data of a guest, is removed."""
    with _files.locked(folder / "trial.lock", wait=wait):
        work = folder / "trial"
        shutil.rmtree(work, ignore_errors=True)
        yield work


def drop_work(path: Path) -> None:
    """Remove what a run that was killed after ``path`` had appeared left beside it."""
    if (work := path.parent / f".{path.name}.restore").exists():
        with _files.locked(path.parent / f".{path.name}.restore.lock"):
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def appearing_folder(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for work and one that becomes ``path``, durable, if no error occurs. What a killed run left is removed."""
    require_empty(path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _files.locked(path.parent / f".{path.name}.restore.lock"):
        work = path.parent / f".{path.name}.restore"
        shutil.rmtree(work, ignore_errors=True)
        (work / "work").mkdir(mode=0o700, parents=True)
        (work / "made").mkdir(mode=0o700)
        try:
            yield work / "work", work / "made"
            _sync(work / "made")
            require_empty(path)
            (work / "made").rename(path)  # over an empty folder, in one step
            _files.fsync(path.parent)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def require_empty(path: Path) -> None:
    """Raise Conflict unless ``path`` is missing or an empty folder."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
        raise Conflict(f"path: {path} is there and not an empty folder; it was left alone. Give another one.", option="path")


def _sync(folder: Path) -> None:
    for where, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            one = Path(where, name)
            if one.is_file() and not one.is_symlink():
                _files.fsync(one)
        _files.fsync(Path(where))


def _length(path: Path) -> int | None:
    return path.lstat().st_size if os.path.lexists(path) else None
