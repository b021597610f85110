# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file is, whatever its path: found again after a rename, by another mount or after a reboot, or proven deleted.

A device's number changes over a reboot, so a file system is known by its UUID, or by its ``f_fsid`` where it has none. A file is
known by its inode and its handle: the kernel opens a handle without a path, and says so where the file exists no more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from ... import _files, _libc

GET_UUID = 0x80111500  # FS_IOC_GETFSUUID: a length byte and 16 bytes, Linux 6.9
BY_UUID = Path("/dev/disk/by-uuid")
MOUNTS = Path("/proc/self/mountinfo")
PROVING = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs", "zfs"})  # whose handles outlive the cache
HANDLE = re.compile(r"|-?[0-9]{1,10}:([0-9a-f]{2}){0,128}")
ELSEWHERE = "the file system that it was on is mounted at another place, or this is a copy of it, and it is not there"
HIDING = ("/systemd/inaccessible/", "systemd-private-")


@dataclass(frozen=True)
class Filesystem:
    """A file system: its type, its UUID and its ``f_fsid``; empty where it has none."""

    type: str
    uuid: str = ""
    fsid: str = ""

    def same(self, other: Filesystem) -> bool:
        """Return whether both are the same for certain."""
        if self.type != other.type:
            return False
        if self.uuid and other.uuid:
            return self.uuid == other.uuid
        return bool(self.fsid) and self.fsid == other.fsid


@dataclass(frozen=True)
class FileId:
    """One file or folder; ``handle`` is the kernel's, in hexadecimal, empty where the file system gives none."""

    inode: int
    filesystem: Filesystem
    handle: str = ""

    def same(self, other: FileId) -> bool:
        """Return whether both are the same file for certain."""
        handles = not (self.handle and other.handle) or self.handle == other.handle
        return self.inode == other.inode and handles and self.filesystem.same(other.filesystem)

    def as_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        found = self.filesystem
        return {"inode": self.inode, "type": found.type, "uuid": found.uuid, "fsid": found.fsid, "handle": self.handle}


def from_json(value: object) -> FileId | None:
    """Return what ``as_json`` wrote; None for anything else."""
    if not isinstance(value, Mapping) or not isinstance(value.get("inode"), int):
        return None
    type_, uuid, fsid, handle = (str(value.get(key) or "") for key in ("type", "uuid", "fsid", "handle"))
    if not HANDLE.fullmatch(handle):
        return None
    return FileId(value["inode"], Filesystem(type_, uuid, fsid), handle)


@dataclass(frozen=True)
class Mount:
    """A mount as this process sees it: which folder of its file system is at which place."""

    root: str
    place: str
    type: str

    @property
    def hides(self) -> bool:
        """Whether it is an empty folder that systemd mounts over the true one (ProtectHome, PrivateTmp, InaccessiblePaths)."""
        return any(sign in self.root for sign in HIDING)


class Identities:
    """What many files are, found in one pass: what is true of all files of a mount is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes | None, int], Filesystem] = {}

    def of(self, path: Path) -> FileId:
        """Return what the file or folder at ``path`` is; raise OSError if it cannot be opened."""
        descriptor = os.open(path, os.O_PATH)
        try:
            found = os.fstat(descriptor)
            key = (_mount_number(descriptor), found.st_dev)
            if key not in self._known:
                self._known[key] = _filesystem(descriptor, mount_of(descriptor))
            return FileId(found.st_ino, self._known[key], _handle(path))
        finally:
            os.close(descriptor)


def identify(path: Path) -> FileId:
    """Return what one file or folder is; see ``Identities``."""
    return Identities().of(path)


def mount_of(descriptor: int) -> Mount | None:
    """Return the mount of an open file."""
    number = _mount_number(descriptor)
    return next(mounts(0, number), None) if number else None


def _mount_number(descriptor: int) -> bytes | None:
    with suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:  # noqa: PTH123 for each disk of a host
        for line in file:
            key, _colon, value = line.partition(b":")
            if key == b"mnt_id":
                return value.strip()
    return None


def type_of(device: int) -> str | None:
    """Return the type of the file system with this number, None where no mount that is seen has it."""
    number = b"%d:%d" % (os.major(device), os.minor(device))
    return next((mount.type for mount in mounts(2, number)), None)


def mounts(field: int = 0, wanted: bytes | None = None) -> Iterator[Mount]:
    """Yield the mounts that are seen; with ``wanted`` those that have it in this field of mountinfo, and no other one is read."""
    for line in MOUNTS.read_bytes().splitlines():
        if wanted is not None and line.split(b" ", field + 1)[field] != wanted:
            continue
        fields, _dash, rest = line.partition(b" - ")
        words = [_plain(word) for word in fields.split(b" ")]
        yield Mount(words[3], words[4], _plain(rest.split(b" ")[0]))


def _plain(word: bytes) -> str:
    """Return a path of mountinfo, which writes blanks and backslashes as three octal digits."""
    first, *others = word.split(b"\\")
    return os.fsdecode(first + b"".join(bytes([int(other[:3], 8)]) + other[3:] for other in others))


def _filesystem(descriptor: int, mount: Mount | None) -> Filesystem:
    device = os.fstat(descriptor).st_dev
    fsid = os.statvfs(descriptor).f_fsid
    lasting = fsid and fsid not in _numbers(device)
    return Filesystem(mount.type if mount else "", _uuid(descriptor, device), f"{fsid:x}" if lasting else "")


def _numbers(device: int) -> set[int]:
    """Return the ways in which the kernel makes an ``f_fsid`` of a device's number, which another one may have tomorrow."""
    major, minor = os.major(device), os.minor(device)
    return {device, (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)}


def _uuid(descriptor: int, device: int) -> str:
    with suppress(OSError):
        readable = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            answer = fcntl.ioctl(readable, GET_UUID, bytes(17))
            if any(answer[1:]):
                return str(UUID(bytes=answer[1:]))
        finally:
            os.close(readable)
    with suppress(OSError):
        return next((link.name for link in BY_UUID.iterdir() if link.stat().st_rdev == device), "")
    return ""


def _handle(path: Path) -> str:
    """Return the file's handle, empty where its file system has none."""
    with suppress(OSError):
        kind, data = _libc.file_handle(path)
        return f"{kind}:{data.hex()}"
    return ""


@dataclass(frozen=True)
class Sight:
    """Where a file is now: ``there``, or ``gone`` if it is proven deleted, else ``why`` that cannot be seen.

    One that is there has a ``path`` if the kernel knows it, which after a reboot it does only once that place was looked at;
    ``verdict`` is what was read of it.
    ``by_folder`` says that its file system opens no handles: only the folder that it was in can tell."""

    path: Path | None = None
    there: bool = False
    verdict: bool | None = None
    gone: bool = False
    by_folder: bool = False
    why: str = ""

    @property
    def ended(self) -> bool:
        """Whether the file was deleted, or is there and no longer what it was."""
        return self.gone or self.verdict is False


def find(wanted: FileId, near: Path, read: Callable[[Path], bool | None]) -> Sight:
    """Look for a file on each mounted file system that may be its own, and ``read`` it where it is there.

    A copy of a disk has the UUID of the disk, so there may be several. One that has the file wins. That it is gone is proven only
    if the file system is mounted where the file was, and if no other one that may be its own says otherwise.
    """
    sights, at_its_place = [], False
    for here, folder in _candidates(wanted.filesystem, near):
        sight = _by_handle(folder, wanted, read)
        if sight.there and sight.verdict is not False:
            return sight
        sights.append(sight)
        at_its_place = at_its_place or here
    if not sights:
        return Sight(why="the file system that it was on is not mounted here")
    if doubt := next((sight for sight in sights if not sight.ended), None):
        return doubt
    return sights[0] if at_its_place else Sight(why=ELSEWHERE)


def _candidates(wanted: Filesystem, near: Path) -> Iterator[tuple[bool, int]]:
    """Yield a folder of each file system that may be the wanted one, once, and whether that is mounted at ``near``."""
    seen = set()
    for here, place in _places(wanted, near):
        with _opened(place) as descriptor:
            if descriptor is None or (device := os.fstat(descriptor).st_dev) in seen:
                continue
            seen.add(device)
            if _filesystem(descriptor, mount_of(descriptor)).same(wanted):
                yield here, descriptor


def _places(wanted: Filesystem, near: Path) -> Iterator[tuple[bool, Path]]:
    yield True, _files.nearest_folder(near)
    yield from ((False, Path(mount.place)) for mount in mounts() if mount.type == wanted.type)


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _by_handle(folder: int, wanted: FileId, read: Callable[[Path], bool | None]) -> Sight:
    if not wanted.handle:
        return Sight(by_folder=True, why="its file system gives no handles of files")
    kind, _colon, data = wanted.handle.partition(":")
    try:
        descriptor = _libc.open_by_handle(folder, int(kind), bytes.fromhex(data), os.O_PATH)
    except OSError as error:
        return _not_opened(error, wanted.filesystem)
    try:
        if not os.fstat(descriptor).st_nlink:
            return Sight(why="it was deleted, and a program still has it open")
        path = _path_of(descriptor)
        return Sight(path, there=True, verdict=read(path or Path(f"/proc/self/fd/{descriptor}")))
    finally:
        os.close(descriptor)


def _path_of(descriptor: int) -> Path | None:
    """Return the path of an open file, None if it is not known or not below a mount here."""
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    with suppress(OSError):
        return path if os.path.samestat(path.stat(), os.fstat(descriptor)) else None
    return None


def _not_opened(error: OSError, filesystem: Filesystem) -> Sight:
    if error.errno == errno.EPERM:
        return Sight(why="this process may not look for it (CAP_DAC_READ_SEARCH)")
    if error.errno == errno.ESTALE and filesystem.type in PROVING:
        return Sight(gone=True)
    return Sight(by_folder=True, why="its file system does not tell whether the file exists")
