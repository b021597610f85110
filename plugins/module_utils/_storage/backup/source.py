# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the bytes of a backup are on this host, and that they stay there while restic reads them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ... import _files
from ..._errors import Busy, Conflict, Corrupt, EdgeError, NotFound, Refused
from ..._generation import Generation, parse
from ..._shown import counted
from ..recovery.depot import Depot
from ..recovery.holding import images_of, missing_images
from ..store.store import Store
from .model import Backup, Source
from .restic import Restic, Summary

Lengths = dict[str, int]


@dataclass(frozen=True)
class VmSource:
    """A generation of a depot with the images that it stands on, each where it is: nothing is copied."""

    depot: Depot
    images: Store
    generation: Generation
    base_images: bool = True

    @property
    def source(self) -> Source:
        """What a backup of it is of."""
        one = self.generation
        return Source(one.vm.uuid, one.vm.name, one.name, one.instant)

    @property
    def document(self) -> Path:
        """The generation's document."""
        return self.depot.document(self.generation.vm.uuid, self.generation.name)

    def require_images(self) -> None:
        """Raise NotFound where an image that belongs to the backup is not here."""
        missing = missing_images(self.images, self.generation) if self.base_images else ()
        if missing:
            raise NotFound(
                f"images_root: {self.images.root} lacks {', '.join(missing)}, which disks of {self.generation.vm.name} stand on, so"
                " that a restore would need this cloud. Pull it first, or set base_images to false if you keep images elsewhere.",
                option="images_root",
                missing=list(missing),
            )

    def lengths(self) -> Lengths:
        """Return the files of it with their lengths, as they are now."""
        return {str(path): path.stat().st_size for path in self._paths()}

    def _paths(self) -> list[Path]:
        uuid = self.generation.vm.uuid
        deltas = [self.depot.path_of(uuid, file.digest) for file in self.generation.needs]
        return [self.document, *deltas, *(path for image in self._images() for path in image)]

    def _images(self) -> list[tuple[Path, Path, Path]]:
        found = images_of([self.generation]) if self.base_images else []
        return [(self.images.image_path(one), self.images.manifest_path(one), self.images.pieces_path(one)) for one in found]

    def back_up(self, restic: Restic, backup: Backup, parent: str | None) -> tuple[str, Summary]:
        """Make a backup that has all of it, and return its ID; one that has not is removed, and Busy or Corrupt says why.

        The files are locked against removal, which ends with this process however that ends. A merge may replace the document
        meanwhile: then it is another one than what is in the backup.
        """
        self.require_images()
        with self.depot.reading(self.generation), ExitStack() as stack:
            for image, _manifest, _pieces in self._images():
                stack.enter_context(_files.file_lock(image, shared=True))
            with _busy(self.generation):
                before, lengths = self.document.read_bytes(), self.lengths()
            if parse(before, str(self.document)).needs != self.generation.needs:
                raise _changed(self.generation)
            made = restic.backup(self._paths(), backup.source.tags, backup.time, parent)
            with _removed_unless_whole(restic, made.snapshot):
                require_readable(made)
                require_whole(restic, made.snapshot, lengths)
                if restic.read(made.snapshot, str(self.document)) != before:
                    raise _changed(self.generation)
        return made.snapshot, made


def _changed(generation: Generation) -> Busy:
    return Busy(f"The recovery point {generation.name} of {generation.vm.name} was merged or removed meanwhile; run again.")


@contextmanager
def _busy(generation: Generation) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _changed(generation) from None


@contextmanager
def _removed_unless_whole(restic: Restic, snapshot: str) -> Iterator[None]:
    """Remove a backup from the repository if it turns out that it is not whole; some repositories let only others remove it."""
    try:
        yield
    except EdgeError as error:
        try:
            restic.forget([snapshot])
        except EdgeError as why:
            raise Corrupt(
                f"{error.message.rstrip('.')}. Its snapshot could not be removed from the repository: remove the snapshot "
                f"{snapshot[:8]} from where that is allowed. {why.message}",
                snapshot=snapshot,
            ) from None
        raise


def require_readable(made: Summary) -> None:
    """Raise Corrupt where restic could not read all: it lists such a snapshot as any other."""
    if made.unread:
        raise Corrupt(f"The backup lacks what could not be read, and does not count: {made.unread}")


def require_whole(restic: Restic, snapshot: str, lengths: Lengths) -> None:
    """Raise Corrupt unless a snapshot has all these files with their lengths; restic ends well without a file that is gone."""
    found = restic.files(snapshot)
    wrong = [path for path, length in lengths.items() if found.get(path) != length]
    if wrong:
        raise Corrupt(
            f"The backup lacks {counted(len(wrong), 'file')}, {wrong[0]} first, and does not count. Run again.", missing=wrong[:20]
        )


def _has_files(folder: Path) -> bool:
    return any(names or any(Path(where, one).is_symlink() for one in folders) for where, folders, names in os.walk(folder))


@dataclass(frozen=True)
class FileSource:
    """Files and folders of this host; SQLite databases are copied by SQLite first, whole at one instant."""

    name: str
    paths: tuple[Path, ...]
    databases: tuple[Path, ...]
    work_dir: Path

    @property
    def source(self) -> Source:
        """What a backup of it is of."""
        return Source(files=self.name)

    def require_paths(self) -> None:
        """Raise NotFound for a path that is not here, and Refused for a link: with nothing of them, restic still ends well."""
        for option, paths in (("paths", self.paths), ("databases", self.databases)):
            for number, path in enumerate(paths):
                where = f"{option}[{number}]"
                if not os.path.lexists(path):
                    raise NotFound(f"{where}: {path} does not exist on this host.", option=where)
                if option == "paths" and path.is_symlink():
                    raise Refused(
                        f"{where}: {path} is a link to {path.readlink()}, and restic would back up the link alone; give the file "
                        "or folder itself.",
                        option=where,
                    )

    def require_filled(self, restic: Restic, backups: Sequence[Backup]) -> None:
        """Raise Conflict for a folder without a file that had some at its last backup: it may be one that is not mounted."""
        for number, path in enumerate(self.paths):
            last = next((one for one in reversed(backups) if str(path) in one.paths), None)
            if last and path.is_dir() and not _has_files(path) and any(one.startswith(f"{path}/") for one in restic.files(last.id)):
                raise Conflict(
                    f"paths[{number}]: {path} has no file any more, and had some at {last.view()['time']}. Is it mounted? "
                    "If it is to be empty, put an empty file into it.",
                    option=f"paths[{number}]",
                )

    @contextmanager
    def _ready(self) -> Iterator[list[Path]]:
        """Yield what restic is to read; the copies of databases are removed afterwards."""
        self.require_paths()
        if not self.databases:
            yield list(self.paths)
            return
        self.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _files.locked(self.work_dir / f"{self.name}.lock"):
            copies = self.work_dir / self.name
            shutil.rmtree(copies, ignore_errors=True)
            try:
                yield [*self.paths, *(self._copied(number, path, copies) for number, path in enumerate(self.databases))]
            finally:
                shutil.rmtree(copies, ignore_errors=True)

    def _copied(self, number: int, database: Path, copies: Path) -> Path:
        """Return a copy of a database, below its own path in a folder of the copies."""
        target = copies / "databases" / database.relative_to("/")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        try:
            source = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
            with closing(source) as one, closing(sqlite3.connect(target)) as other:
                one.backup(other)
        except sqlite3.Error as error:
            raise Corrupt(
                f"databases[{number}]: {database} cannot be read as a database of SQLite: {error}.", option=f"databases[{number}]"
            ) from None
        return target

    def back_up(self, restic: Restic, backup: Backup, parent: str | None) -> tuple[str, Summary]:
        """Make a backup; one that lacks what is here is removed, and the error says what."""
        with self._ready() as paths:
            made = restic.backup(paths, backup.source.tags, backup.time, parent)
            with _removed_unless_whole(restic, made.snapshot):
                require_readable(made)
                have = restic.files(made.snapshot)
                gone = [str(one) for one in paths if str(one) not in have and not any(at.startswith(f"{one}/") for at in have)]
                if any(Path(one).is_file() for one in gone) or any(not os.path.lexists(one) for one in gone):
                    raise Busy(f"{gone[0]} was changed while it was backed up, so that the backup does not count. Run again.")
        return made.snapshot, made
