# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a generation in from a folder: copied, verified, and visible only when all of it is durable.

The folder is another host's and may hold anything. What counts is read from our own copy, whose digest must be what the document
says. Files that are not in the folder must be here already, under their digest or merged: a chain whose beginning is not in the
folder continues one that is here and has the same state.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ... import _files
from ..._errors import Conflict, Corrupt, EdgeError, NoSpace, NotFound, Refused, from_os_error
from ..._generation import DOCUMENT, LARGEST_JSON, Delta, Disk, File, Generation, file_name, parse, point_name
from ..._shown import counted
from ..._sizes import MIB
from ..format import qcow2
from ..format.foreign_image import LARGEST_VIRTUAL_SIZE
from ..format.qemu_img import QemuImg
from ..format.source_file import held, named
from ..store.digest import checksum_of, copy_with_checksum
from ..store.store import Store
from .delta_file import judge_delta
from .depot import Depot, Listed
from .holding import hold_images, missing_images

Bring = Callable[[Path, File, Path], Path]
LARGEST_OTHER = 256 * MIB  # of NVRAM, TPM state, seed or context
OVERHEAD = 64 * MIB
MOST_DELTAS = 256
LARGEST_JUMP = 2**30  # no VM makes so many points; who lies needs millions of points to leave no epoch or number for the VM


@dataclass(frozen=True)
class Taken:
    """A generation that is here now; ``missing_images`` are digests of images that it stands on and that are not here."""

    generation: Generation
    changed: bool
    bytes_copied: int = 0
    missing_images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """Takes generations into a depot; ``quota`` is in bytes of all its files."""

    depot: Depot
    qemu: QemuImg
    images: Store | None = None
    quota: int | None = None

    def lacking(self, offered: Generation) -> tuple[File, ...]:
        """Return the files that a generation needs beside what is here, none where it is here; raise what ``take`` would now."""
        uuid, listed = offered.vm.uuid, self.depot.listed(offered.vm.uuid)
        if any(one.point == offered.point for one in listed.whole):
            return ()
        require_epoch(listed, offered)
        _refuse_newer(listed, offered)
        needed = to_bring(offered, listed, partial(self.depot.has, uuid))
        generation = resolved(offered, listed, lambda file: file in needed or self.depot.has(uuid, file))
        _require_usual(generation)
        for file in needed:
            _require_possible(generation, file)
        self._require_quota(sum(file.size for file in needed) + len(generation.to_json()))
        return needed

    def take(self, folder: Path, uuid: str | None = None, *, own: bool = False) -> Taken:
        """Take in the generation in ``folder``; ``uuid`` is the VM whose points the folder may have.

        From a folder of our ``own``, on the same file system, files are moved instead of copied. Raises Refused for an older epoch
        or another VM, Conflict where this point is here with another content, NotFound where deltas before it are missing, and
        Corrupt for what is not what it says. Nothing is kept then, and nothing older is touched.
        """
        offered = read_document(folder)
        if uuid is not None and offered.vm.uuid != uuid:
            raise Refused(f"{folder} has a generation of the VM {offered.vm.uuid}, not of {uuid}; it was not taken.", uuid=uuid)
        with self.depot.changing(offered.vm.uuid) as work:
            listed = self.depot.listed(offered.vm.uuid)
            there = next((one for one in listed.whole if one.point == offered.point), None)
            if there:
                _require_same(there, offered)
                return Taken(there, changed=False, missing_images=missing_images(self.images, there))
            require_epoch(listed, offered)
            _refuse_newer(listed, offered)
            return self._take(folder, offered, listed, work, moved_file if own else copied_file)

    def _take(self, folder: Path, offered: Generation, listed: Listed, work: Path, bring: Bring) -> Taken:
        uuid = offered.vm.uuid
        generation = resolved(offered, listed, lambda file: self.depot.has(uuid, file) or _offers(folder, file))
        _require_usual(generation)
        brought = [file for file in generation.needs if _offers(folder, file)]
        more = sum(file.size for file in brought if not self.depot.has(uuid, file))
        self._require_quota(more + len(generation.to_json()))
        copied = 0
        for file in brought:
            if not self._whole(uuid, file):
                _require_possible(generation, file)
                bring(folder / file_name(file.digest), file, work)
                copied += file.size
        self._judge(generation, listed, work, folder)
        for path in sorted(work.iterdir()):
            self.depot.publish(uuid, path, path.name)
        _files.fsync(self.depot.files(uuid))
        hold_images(self.depot, self.qemu, self.images, [generation], work)
        self.depot.write(generation, work)
        return Taken(generation, changed=True, bytes_copied=copied, missing_images=missing_images(self.images, generation))

    def _judge(self, generation: Generation, listed: Listed, work: Path, folder: Path) -> None:
        """Raise unless each delta is one, and the last has its disk's size; those of a generation that is here were judged."""
        known = {delta.digest for one in listed.generations for disk in one.disks for delta in disk.chain}
        for disk in generation.disks:
            for delta in disk.chain:
                copy, where = work / file_name(delta.digest), str(folder / file_name(delta.digest))
                path = copy if copy.exists() else self.depot.path_of(generation.vm.uuid, delta.digest)
                with named(path, where):
                    judge = delta.digest not in known or copy.exists()
                    size = judge_delta(self.qemu, path, where) if judge else qcow2.read_header(path).virtual_size
                if delta is disk.chain[-1] and size != disk.virtual_size:
                    raise Corrupt(f"{where} is of a disk of {size} bytes; the document says {disk.virtual_size}.", path=where)

    def _whole(self, uuid: str, file: File) -> bool:
        """Return whether a file that is offered again is here, by reading it: a damaged one is replaced."""
        return self.depot.has(uuid, file) and checksum_of(self.depot.path_of(uuid, file.digest), "sha256") == file.digest

    def _require_quota(self, more: int) -> None:
        used = self.depot.bytes_used if self.quota is not None else 0
        if self.quota is not None and used + more > self.quota:
            raise NoSpace(
                f"The generation needs {more} bytes, and {used} of the quota of {self.quota} are used in {self.depot.root}; keep "
                "fewer generations, or raise the quota.",
                needed=more,
                used=used,
                quota=self.quota,
            )


def read_document(folder: Path) -> Generation:
    """Return the generation of a folder; the file is a regular one and no link."""
    path = folder / DOCUMENT
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise NotFound(f"{folder} has no {DOCUMENT}: a generation that is not complete, or none.", path=str(folder)) from None
    except OSError as error:
        raise Corrupt(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Corrupt(f"{path} is not a regular file.", path=str(path))
    with os.fdopen(descriptor, "rb") as file:
        return parse(file.read(LARGEST_JSON + 1), str(path))


def require_epoch(listed: Listed, offered: Generation) -> None:
    """Raise Refused for a generation of an older epoch than the newest: the VM was started elsewhere since.

    So is one whose epoch or number no VM reaches from the newest: after it, no later point of the VM might be possible.
    """
    newest = listed.points[-1] if listed.points else None
    before = newest or (0, 0)
    if any(now - then > LARGEST_JUMP for now, then in zip(offered.point, before, strict=True)):
        raise Refused(
            f"The generation {offered.name} of the VM {offered.vm.uuid} is too far from the newest one here, "
            f"{point_name(before)}: epoch and number may rise by {LARGEST_JUMP} at most. Find out which host gives it.",
            uuid=offered.vm.uuid,
        )
    if newest and offered.epoch < newest[0]:
        raise Refused(
            f"The generation {offered.name} of the VM {offered.vm.uuid} is of epoch {offered.epoch}, and there is one of epoch "
            f"{newest[0]}: the VM was started elsewhere since. Stop the VM on the host that made this point.",
            uuid=offered.vm.uuid,
            epoch=newest[0],
        )


def _require_same(there: Generation, offered: Generation) -> None:
    """Raise Conflict unless both are the same point with the same content, however their chains are merged."""
    if there.content != offered.content:
        raise Conflict(
            f"The generation {offered.name} of the VM {offered.vm.uuid} is here with another content; it was left alone.",
            uuid=offered.vm.uuid,
        )


def _refuse_newer(listed: Listed, offered: Generation) -> None:
    """Raise Conflict where this point has a document of a newer version."""
    newer = next((one for one in listed.unreadable if one.newer and one.point == offered.point), None)
    if newer:
        raise Conflict(f"The generation {offered.name} of the VM {offered.vm.uuid} is here already: {newer.why}", newer=newer.name)


def to_bring(offered: Generation, listed: Listed, has: Callable[[File], bool]) -> tuple[File, ...]:
    """Return the files that a generation needs beside what is here: of each chain, what no generation here has the result of."""
    needed = [file for file in offered.files.values() if not has(file)]
    for disk in offered.disks:
        for delta in reversed(disk.chain):
            if _chain_to(disk, delta.state, listed) is not None:
                break
            if not has(delta.file):
                needed.append(delta.file)
    return tuple(dict.fromkeys(needed))


def resolved(offered: Generation, listed: Listed, available: Callable[[File], bool]) -> Generation:
    """Return a generation whose files are all available: where the beginning of a chain is not, one of ours is continued."""
    return replace(offered, disks=tuple(_continued(disk, listed, available) for disk in offered.disks))


def _continued(disk: Disk, listed: Listed, available: Callable[[File], bool]) -> Disk:
    lacking = [number for number, delta in enumerate(disk.chain) if not available(delta.file)]
    if not lacking:
        return disk
    for number in range(lacking[-1], len(disk.chain)):  # a delta that is here may be one merged with those before it
        before = _chain_to(disk, disk.chain[number].state, listed)
        if before is not None:
            return replace(disk, chain=(*before, *disk.chain[number + 1 :]))
    missing = [disk.chain[number].digest for number in lacking]
    raise NotFound(
        f"The disk {disk.target} lacks {counted(len(missing), 'delta')}, {missing[0]} first, and no generation here has what they "
        "give; take in the generations before it first.",
        target=disk.target,
        missing=missing[:20],
    )


def _chain_to(disk: Disk, state: str, listed: Listed) -> tuple[Delta, ...] | None:
    """Return a chain of a whole generation that has this state, of the newest such."""
    for generation in reversed(listed.whole):
        same = generation.disk(disk.target)
        if same is None or same.image != disk.image:
            continue
        for number, delta in enumerate(same.chain):
            if delta.state == state:
                return same.chain[: number + 1]
    return None


def _offers(folder: Path, file: File) -> bool:
    """Return whether the folder has something by the file's name; what that is, its copy tells."""
    return os.path.lexists(folder / file_name(file.digest))


def _require_possible(generation: Generation, file: File) -> None:
    """Raise Refused for a file that is longer than what it is can be."""
    delta = any(one.digest == file.digest for disk in generation.disks for one in disk.chain)
    largest = max((disk.virtual_size for disk in generation.disks), default=0)
    most = largest + largest // 8 + OVERHEAD if delta else LARGEST_OTHER
    if file.size > most:
        raise Refused(f"The file {file.digest} has {file.size} bytes; at most {most} are possible.", digest=file.digest)


def _require_usual(generation: Generation) -> None:
    """Raise Refused, before a byte is copied, for too large a disk or more deltas than a chain can have until it is merged."""
    for disk in generation.disks:
        if disk.virtual_size > LARGEST_VIRTUAL_SIZE:
            raise Refused(
                f"The disk {disk.target} has {disk.virtual_size} bytes; at most {LARGEST_VIRTUAL_SIZE} are taken.",
                target=disk.target,
            )
        if len(disk.chain) > MOST_DELTAS:
            raise Refused(
                f"The disk {disk.target} has {len(disk.chain)} deltas; at most {MOST_DELTAS} are taken. Take in the points before "
                "it first, and tidy, which merges them.",
                target=disk.target,
            )


def moved_file(source: Path, file: File, work: Path) -> Path:
    """Move a file of ours to the work folder, by the name of its digest, which its bytes have; raise Corrupt for any other file."""
    if source.is_symlink() or not source.is_file() or checksum_of(source, "sha256") != file.digest:
        raise Corrupt(f"{source} does not have the digest {file.digest}, which the document says.", path=str(source))
    return source.rename(work / file_name(file.digest))


def copied_file(source: Path, file: File, work: Path) -> Path:
    """Return our own copy of a file, by the name of its digest, which its bytes have; raise Corrupt for any other file."""
    target = work / file_name(file.digest)
    try:
        if source.is_symlink():
            raise Corrupt(f"{source} is a link; it was not followed.", path=str(source))
        with held(source) as opened:
            found = opened.stat().st_size
            if found != file.size:
                raise Corrupt(f"{source} has {found} bytes; the document says {file.size}.", path=str(source))
            digest = copy_with_checksum(opened, target, "sha256")
    except OSError as error:
        raise from_os_error(error) from None
    except EdgeError:
        target.unlink(missing_ok=True)
        raise
    if digest != file.digest:
        target.unlink()
        raise Corrupt(f"{source} has the digest {digest}; the document says {file.digest}.", path=str(source))
    target.chmod(0o600)
    return target
