# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that stand on another, by one scan of the headers of all qcow2 files below some folders.

It sees disks that this library did not make. It cannot see a folder that is not mounted or hidden from this process, which it
reports as a doubt; the leases of a store (``uses``) are the other witness.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ..._errors import Corrupt, EdgeError, NotFound
from ..._json import load_json
from ..format import qcow2
from ..format.disk_format import recorded_raw
from .identity import PROVING, mount_of, type_of

DISK_DIRECTORIES = ("/var/lib/edge/vms", "/var/lib/edge/recovery")
IMAGE_NAME = re.compile(r"[0-9a-f]{64}\.qcow2")
PROTOCOL = re.compile(r"[^/:]+:")
REMOTE = re.compile(r"(nbd|nbds|https?|ftps?|s?ftp|ssh|iscsi|rbd|nfs|gluster|sheepdog|vxhs)(\+[a-z]+)?:")
Key = tuple[int, int] | Path | str


@dataclass(frozen=True)
class References:
    """The users of each backing file, the files that may use any with the reason, and in ``doubts`` the folders not seen.

    ``broken`` are files whose chain ends in a file that is not there, with that: an image may be below it.

    A backing file is known by device and inode, so that a bind mount or a link does not hide it, and by its path. One that is not
    there has its path, and its name if that is an image's.
    """

    by_backing: Mapping[Key, frozenset[str]]
    doubtful: dict[str, str]
    broken: dict[str, str]
    doubts: tuple[str, ...] = ()

    def users_of(self, image: Path) -> list[str]:
        """Return the paths of the files whose chain has ``image``, sorted."""
        found = {user for key in _keys(image) | {image.name} for user in self.by_backing.get(key, ())}
        return sorted((found | self.doubtful.keys()) - {str(image)})


SETTLED = 2.0  # seconds after which a change of a file shows in its time of change, whatever the clock of its file system
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
LOCAL = PROVING | {"overlay"}
Signature = tuple[int, int, int, int, int]


class Headers:
    """What the files of a command stand on: each header is read once while its file stays as it is.

    A file whose status changed in the last seconds, or that is not on a file system of this host, is read each time.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Signature, tuple[Path, ...] | None]] = {}
        self._local: dict[int, bool] = {}

    def backings(self, path: Path) -> tuple[Path, ...] | None:
        """Return the files that a qcow2 names as its backing; None for a file that is not one, raise as ``qcow2`` does."""
        try:
            found = path.stat()
        except OSError as error:
            if error.errno in NO_FILE:
                return None
            raise
        if not stat.S_ISREG(found.st_mode):
            return None
        signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._known.get(path)
        if known and known[0] == signature:
            return known[1]
        read = tuple(_backings_of(path)) if _is_qcow2(path) else None
        if time.time() - found.st_ctime > SETTLED and self._is_local(found.st_dev):
            self._known[path] = (signature, read)
        return read

    def _is_local(self, device: int) -> bool:
        if device not in self._local:
            self._local[device] = type_of(device) in LOCAL
        return self._local[device]


@dataclass
class _Scan:
    headers: Headers
    users: dict[Key, set[str]] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    keys: dict[Path, set[Key]] = field(default_factory=dict)

    def keys_of(self, path: Path) -> set[Key]:
        if path not in self.keys:
            self.keys[path] = _keys(path)
        return self.keys[path]


def references(directories: Sequence[Path], headers: Headers | None = None) -> References:
    """Read every file under ``directories``; a backing file outside of them is followed to its own backing file.

    With the ``headers`` of an earlier scan only what has changed since is read.
    """
    scan = _Scan(headers or Headers())
    disks = _disks(directories, scan)
    inside = set(disks.values())
    for path in disks:
        try:
            for backing in _below(path, inside, scan.headers):
                for key in scan.keys_of(backing):
                    scan.users.setdefault(key, set()).add(str(path))
        except NotFound as error:
            scan.broken[str(path)] = error.message
        except (EdgeError, OSError) as error:
            scan.doubtful[str(path)] = str(error)
    by_backing = {backing: frozenset(users) for backing, users in scan.users.items()}
    return References(by_backing, scan.doubtful, scan.broken, tuple(scan.doubts))


def _disks(directories: Sequence[Path], scan: _Scan) -> dict[Path, Path]:
    """Return the qcow2 files under ``directories``, with what each is when links are resolved; note those that cannot be read."""
    disks: dict[Path, Path] = {}
    for path, real in _files(directories, scan):
        try:
            if scan.headers.backings(path) is not None:
                disks[path] = path.resolve() if path.is_symlink() else real
            elif path.is_symlink() and not path.exists():
                scan.broken[str(path)] = f"{path.readlink()}, to which it links, is not there"
        except EdgeError:  # which is raised when it is followed
            disks[path] = path.resolve()
        except (OSError, RuntimeError) as error:
            scan.doubtful[str(path)] = str(error)
    return disks


def stands_on(path: Path, image: Path) -> bool | None:
    """Return whether a file has ``image`` in its chain; None if that cannot be read."""
    try:
        headers = Headers()
        if headers.backings(path) is None:
            return False
        wanted = _keys(image) | {image.name}
        return any(_keys(backing) & wanted for backing in _below(path, frozenset(), headers))
    except (EdgeError, OSError):
        return None


def _keys(path: Path) -> set[Key]:
    """Return what a backing file is known by; one that is not there also by the name of an image."""
    resolved = path.resolve()
    try:
        found = resolved.stat()
    except FileNotFoundError:
        return {resolved, path.name} if IMAGE_NAME.fullmatch(path.name) else {resolved}
    return {resolved, (found.st_dev, found.st_ino)}


def _below(path: Path, inside: Set[Path], headers: Headers) -> Iterator[Path]:
    """Yield the backing file, and its own backing file unless it is one of the disks that are scanned anyway.

    Raise NotFound where the chain ends in a file that is not there: what that stood on is not known, unless it was an image.
    """
    followed: set[Path] = set()
    ahead = list(headers.backings(path) or ())
    while ahead:
        backing = ahead.pop()
        if backing in followed:
            continue
        yield backing
        followed.add(backing)
        if not backing.exists():
            if not IMAGE_NAME.fullmatch(backing.name):
                raise NotFound(f"{backing}, which it stands on, is not there", path=str(path))
        elif backing not in inside:
            ahead += headers.backings(backing) or ()


def _backings_of(path: Path) -> list[Path]:
    try:
        backing = qcow2.read_header(path).backing_file
    except FileNotFoundError:
        return []
    if backing is None or REMOTE.match(backing):
        return []
    if not backing.startswith("json:"):
        if PROTOCOL.match(backing) and not backing.startswith("file:"):
            raise Corrupt(f"{path} names a backing file by a protocol that is not known: {backing:.200}.", path=str(path))
        return [resolve_backing(path, backing)]
    options = load_json(backing.removeprefix("json:"), f"The name of the backing file of {path}", qcow2.LONGEST_NAME)
    try:
        return [resolve_backing(path, name) for name in _file_names(options)]
    except (ValueError, RecursionError):
        raise Corrupt(f"{path} names a backing file that cannot be a path: {backing:.200}.", path=str(path)) from None


def _file_names(node: object, key: str = "") -> Iterator[str]:
    """Yield every string in QEMU's options of a block device that may be the name of a file."""
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _file_names(below, name)
    elif isinstance(node, list):
        for below in node:
            yield from _file_names(below, key)
    elif isinstance(node, str) and _names_a_file(node, key):
        yield node


def _names_a_file(text: str, key: str) -> bool:
    if key.endswith("filename"):
        return not REMOTE.match(text)
    return text.startswith("/") and (Path(text).exists() or bool(IMAGE_NAME.fullmatch(Path(text).name)))


def _files(directories: Sequence[Path], scan: _Scan) -> Iterator[tuple[Path, Path]]:
    """Yield all files under ``directories``, following symbolic links as QEMU does, each folder once; with the folder resolved."""
    visited: set[tuple[int, int]] = set()
    known: dict[str, str] = {}

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            scan.doubts.append(f"the folder {error.filename} cannot be read ({error.strerror})")

    for directory in directories:
        scan.doubts += _hidden(directory)
        for folder, below, entries in os.walk(directory, onerror=unreadable, followlinks=True):
            found = _identity(folder)
            if found is None or found in visited:
                below.clear()
                continue
            visited.add(found)
            real = known[folder] = _real(folder, known)
            yield from ((Path(folder, entry), Path(real, entry)) for entry in entries)


def _real(folder: str, known: Mapping[str, str]) -> str:
    """Return a folder with its links resolved; ``known`` has those that were walked before, so that one below is one look."""
    above, name = os.path.split(folder)
    if above in known and not os.path.islink(folder):  # noqa: PTH114 for each folder of a host
        return os.path.join(known[above], name)  # noqa: PTH118
    return os.path.realpath(folder)


def _hidden(directory: Path) -> Iterator[str]:
    """Yield why a folder cannot be seen: it is not there, or systemd hides it from this process.

    Our own folders are made by roles that a host may not have; leases tell of disks that were in them.
    """
    try:
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        if str(directory) not in DISK_DIRECTORIES or os.path.lexists(directory):
            yield f"the folder {directory} of disk_directories is not there ({error.strerror}); mount it or correct its name"
        return
    try:
        mount = mount_of(descriptor)
    finally:
        os.close(descriptor)
    if mount and mount.hides:
        yield f"the folder {directory} of disk_directories is hidden from this process ({mount.place} is covered by systemd)"


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = Path(folder).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_qcow2(path: Path) -> bool:
    try:
        if not path.is_file() or recorded_raw(path):
            return False
        with path.open("rb") as file:
            return file.read(4) == qcow2.MAGIC
    except FileNotFoundError:
        return False


def resolve_backing(overlay: Path, backing: str) -> Path:
    """Return the file that a backing file name means, as QEMU reads it: relative to the overlay's folder."""
    plain = backing.removeprefix("file:")
    return (overlay.parent / plain).resolve()


def backing_name(overlay: Path, backing: str) -> str:
    """Return a backing file name as an absolute path, or unchanged if it is a network location."""
    remote = "://" in backing or backing.startswith(("json:", "nbd:"))
    return backing if remote else str(resolve_backing(overlay, backing))
