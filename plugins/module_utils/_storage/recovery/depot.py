# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of generations on a replica. A generation exists exactly when its document does, which is renamed last.

``ROOT/UUID/EPOCH.NUMBER.json`` are the generations of one VM, ``ROOT/UUID/files/HEX`` their files. ``ROOT/UUID/HEX.image`` is an
empty overlay of an image that they stand on, by which the image store sees that it is used. ``ROOT/UUID/EPOCH.NUMBER.pin`` keeps a
generation at any age, and so do ``EPOCH.NUMBER.export`` while its disks are exported by NBD, and ``EPOCH.NUMBER.lease`` while
they are for a host that asked for it.
``ROOT/partial/`` has locks and work in progress. Only root can read any of it.

VMs share no file, so that nothing that happens to one can take a file of another's.
"""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ... import _files
from ..._errors import Busy, Corrupt, EdgeError, InvalidInput, NotFound, Refused, Unsupported
from ..._generation import LARGEST_JSON, UUID, File, Generation, Point, file_name, parse, point_of

FILES = "files"
DOCUMENT = re.compile(r"\d{1,16}\.\d{1,16}\.json")
IMAGE_MARK = re.compile(r"[0-9a-f]{64}\.image")
PIN = re.compile(r"\d{1,16}\.\d{1,16}\.(pin|export|lease)")
EXPORT, LEASE = ".export", ".lease"


@dataclass(frozen=True)
class Unreadable:
    """A file that may be a generation, and why it cannot be read; ``newer`` is one of a newer version, which nobody replaces."""

    name: str
    why: str
    newer: bool = False

    @property
    def point(self) -> Point | None:
        """The point that its name says, None where it is not a generation's."""
        try:
            return point_of(self.name.removesuffix(".json"))
        except InvalidInput:
            return None


@dataclass(frozen=True)
class Listed:
    """The generations of a VM, the oldest first; ``damaged`` are names of those whose files are missing or have a wrong length.

    ``pinned`` are names of those that stay as they are, those that are ``exported`` among them.
    """

    generations: tuple[Generation, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    damaged: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    exported: frozenset[str] = frozenset()

    @property
    def whole(self) -> tuple[Generation, ...]:
        """Those that can be restored as far as lengths tell."""
        return tuple(one for one in self.generations if one.name not in self.damaged)

    @property
    def points(self) -> list[Point]:
        """All points that there may be, those of unreadable documents too."""
        read = [one.point for one in self.generations]
        return sorted([*read, *(point for one in self.unreadable if (point := one.point))])


@dataclass(frozen=True)
class Depot:
    """A store of generations under ``root``."""

    root: Path

    @property
    def partial(self) -> Path:
        """The folder of locks and work in progress."""
        return self.root / "partial"

    def folder(self, uuid: str) -> Path:
        """Return the folder of a VM, existing or not."""
        if not UUID.fullmatch(uuid):
            raise InvalidInput(f"uuid: {uuid!r:.100} is not the UUID of a VM, in lower case.", option="uuid")
        return self.root / uuid

    def files(self, uuid: str) -> Path:
        """Return the folder of a VM's files, existing or not."""
        return self.folder(uuid) / FILES

    def path_of(self, uuid: str, digest: str) -> Path:
        """Return the path of a file, existing or not."""
        return self.files(uuid) / file_name(digest)

    def document(self, uuid: str, name: str) -> Path:
        """Return the path of a generation's document, existing or not."""
        return self.folder(uuid) / f"{name}.json"

    def vms(self) -> list[str]:
        """Return the UUIDs of the VMs that have a folder."""
        try:
            return sorted(one.name for one in self.root.iterdir() if UUID.fullmatch(one.name))
        except FileNotFoundError:
            return []

    def prepare_root(self) -> None:
        """Create the folder, which only root can read; durable when this returns. Refused if others can read what is there."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (mode := stat.S_IMODE(self.root.stat().st_mode)) & 0o077:
            raise Refused(
                f"root: the folder {self.root} has mode {mode:04o}, but recovery points have the data of guests, so that only root "
                "may look into it. Is it the right one? Then set its mode to 0700.",
                option="root",
                path=str(self.root),
            )
        _make(self.partial)

    def prepare(self, uuid: str) -> None:
        """Create the folders of a VM; see ``prepare_root``."""
        self.prepare_root()
        _make(self.folder(uuid))
        _make(self.files(uuid))

    @contextmanager
    def changing(self, uuid: str, wait: _files.Wait = True) -> Iterator[Path]:
        """Hold the lock of a VM's generations and yield an empty folder for work; what a killed run left there is removed.

        The folder is a new one each time, since a program that a killed run started may still write by the old names.
        """
        self.prepare(uuid)
        with _files.locked(self.partial / f"{uuid}.lock", wait=wait):
            own = self.partial / uuid
            shutil.rmtree(own, ignore_errors=True)
            own.mkdir(mode=0o700)
            try:
                yield Path(tempfile.mkdtemp(dir=own))
            finally:
                shutil.rmtree(own, ignore_errors=True)

    def listed(self, uuid: str) -> Listed:
        """Return what there is of a VM; a document that is damaged, too new or not ours spoils only itself.

        Where a file is missing it looks again: a merge changes documents before files go.
        """
        found = self._look(uuid)
        return self._look(uuid) if found.damaged else found

    def _look(self, uuid: str) -> Listed:
        read: list[Generation] = []
        unreadable: list[Unreadable] = []
        pins: set[Path] = set()
        for path in self._entries(uuid):
            if PIN.fullmatch(path.name):
                pins.add(path)
            elif path.name != FILES and not IMAGE_MARK.fullmatch(path.name):
                try:
                    read.append(self._read(uuid, path))
                except (EdgeError, OSError) as error:
                    unreadable.append(Unreadable(path.name, str(error), isinstance(error, Unsupported)))
        read.sort(key=lambda one: one.point)
        damaged = frozenset(one.name for one in read if self.missing(one))
        exported = frozenset(path.stem for path in pins if path.suffix in (EXPORT, LEASE))
        return Listed(tuple(read), tuple(unreadable), damaged, frozenset(path.stem for path in pins), exported)

    def _entries(self, uuid: str) -> list[Path]:
        try:
            return sorted(self.folder(uuid).iterdir())
        except FileNotFoundError:
            return []

    def _read(self, uuid: str, path: Path) -> Generation:
        if not DOCUMENT.fullmatch(path.name):
            raise Corrupt(f"{path} is not a file of this store; look what it is, and move it elsewhere.", path=str(path))
        with path.open("rb") as file:
            found = parse(file.read(LARGEST_JSON + 1), str(path))
        if found.vm.uuid != uuid or found.name != path.stem:
            raise Corrupt(
                f"{path} is the generation {found.name} of the VM {found.vm.uuid}, which belongs elsewhere.", path=str(path)
            )
        return found

    def missing(self, generation: Generation) -> list[str]:
        """Return the digests of a generation's files that are missing or have a wrong length; nothing is read."""
        return [file.digest for file in generation.needs if not self.has(generation.vm.uuid, file)]

    def has(self, uuid: str, file: File) -> bool:
        """Return whether a file is here with its length."""
        path = self.path_of(uuid, file.digest)
        try:
            return path.is_file() and not path.is_symlink() and path.stat().st_size == file.size
        except OSError:
            return False

    def find(self, uuid: str, name: str | None = None) -> Generation:
        """Return a generation of a VM, without a name the newest whole one; raise NotFound with what there is, or Corrupt."""
        listed = self.listed(uuid)
        if name is None and listed.whole:
            return listed.whole[-1]
        found = next((one for one in listed.generations if one.name == name), None)
        if found and found.name not in listed.damaged:
            return found
        bad = next((one for one in listed.unreadable if one.name == f"{name}.json"), None)
        if bad or found:
            why = bad.why if bad else f"it lacks {', '.join(self.missing(found))}" if found else ""
            raise Corrupt(f"generation: {name} of the VM {uuid} cannot be used: {why}", option="generation", uuid=uuid)
        have = ", ".join(one.name for one in listed.whole) or "none that is whole"
        raise NotFound(
            f"generation: {self.root} has no generation {name or '(any)'} of the VM {uuid}; it has {have}.",
            option="generation",
            uuid=uuid,
        )

    def write(self, generation: Generation, work: Path) -> None:
        """Make a generation visible, or replace its document, durably; all its files are here. The caller holds the lock."""
        path = self.document(generation.vm.uuid, generation.name)
        _files.write_atomically(path, generation.to_json(), work / path.name, mode=0o600)

    def publish(self, uuid: str, work: Path, digest: str) -> None:
        """Give a verified file of the work folder its name; durable with the next ``fsync`` of the folder of files."""
        work.chmod(0o600)
        _files.fsync(work)
        work.rename(self.path_of(uuid, digest))

    @contextmanager
    def reading(self, generation: Generation) -> Iterator[dict[str, Path]]:
        """Keep the files of a generation from being removed, and yield their paths by digest; raise Busy if one is gone."""
        uuid = generation.vm.uuid
        paths = {file.digest: self.path_of(uuid, file.digest) for file in generation.needs}
        with ExitStack() as stack:
            for path in paths.values():
                try:
                    stack.enter_context(_files.file_lock(path, shared=True))
                except NotFound:
                    raise Busy(f"Files of {generation.name} were merged or removed meanwhile; run again.", uuid=uuid) from None
            yield paths

    def pin(self, uuid: str, name: str, wanted: bool) -> None:
        """Keep a generation whatever its age, and its document as it is, or no longer; waits for who changes the VM's."""
        self._mark(uuid, name, ".pin", wanted)

    def export(self, uuid: str, name: str, wanted: bool) -> bool:
        """Export a generation, which keeps it as a pin does, or no longer; return whether that is a change."""
        return self._mark(uuid, name, EXPORT, wanted)

    def is_exported(self, uuid: str, name: str) -> bool:
        """Return whether a generation is exported by ``export``, for hosts that asked or not."""
        return (self.folder(uuid) / f"{name}{EXPORT}").exists()

    def lease(self, uuid: str, name: str, wanted: bool, wait: _files.Wait = True) -> bool:
        """Do as ``export`` for hosts that asked; Busy where the VM's generations are being changed for longer than ``wait``."""
        return self._mark(uuid, name, LEASE, wanted, wait)

    def leased(self) -> frozenset[tuple[str, str]]:
        """Return the UUID and the name of each generation that is exported for hosts that asked for it."""
        marks = (path for uuid in self.vms() for path in self._entries(uuid) if PIN.fullmatch(path.name) and path.suffix == LEASE)
        return frozenset((path.parent.name, path.stem) for path in marks)

    def _mark(self, uuid: str, name: str, suffix: str, wanted: bool, wait: _files.Wait = True) -> bool:
        path = self.folder(uuid) / f"{name}{suffix}"
        if wanted:
            self.find(uuid, name)
        elif not path.exists():
            return False
        with self.changing(uuid, wait):
            changed = path.exists() != wanted
            if wanted:
                self.find(uuid, name)
                path.touch(mode=0o600)
            else:
                path.unlink(missing_ok=True)
            _files.fsync(path.parent)
        return changed

    def bytes_of(self, uuid: str) -> int:
        """Return what a VM takes here by the lengths of its files and documents."""
        total = 0
        for folder in (self.files(uuid), self.folder(uuid)):
            with suppress(FileNotFoundError):
                for path in folder.iterdir():
                    with suppress(FileNotFoundError):
                        total += path.lstat().st_size if path.name != FILES and path.suffix != ".image" else 0
        return total

    @property
    def bytes_used(self) -> int:
        """What all files take by their lengths."""
        return sum(self.bytes_of(uuid) for uuid in self.vms())


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        _files.fsync(folder.parent)
