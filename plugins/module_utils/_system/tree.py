# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and changes paths so that only root can redirect them: each folder is opened from the one above, links are refused.

Only a link that root made in a folder that only root writes is followed, such as one that moves a folder to another disk.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from .._errors import Conflict, NotFound, Refused
from .entry import Entry, Found

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LONGEST_WAY = 8
LARGEST = 16 * 1024 * 1024
WORK = re.compile(r"\..+\.edge-new", re.DOTALL)


@contextmanager
def opened_folder(path: PurePosixPath, *, create: bool = False, links: int = 0) -> Iterator[int]:
    """Give the descriptor of a folder; FileNotFoundError if it is not there, unless ``create`` makes it and those above."""
    descriptor = os.open("/", OPEN)
    try:
        here = PurePosixPath("/")
        for name in path.parts[1:]:
            inner, here = _enter(descriptor, here, name, create, links)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(above: int, here: PurePosixPath, name: str, create: bool, links: int) -> tuple[int, PurePosixPath]:
    if create:
        _make(above, name)
    try:
        return os.open(name, OPEN, dir_fd=above), here / name
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    target = _trusted_target(above, here / name, links)
    with opened_folder(target, links=links + 1) as inner:
        return os.dup(inner), target


def _make(above: int, name: str) -> None:
    """Make a folder that all may read, whatever the user's umask is, unless it is there."""
    umask = os.umask(0o022)
    try:
        os.mkdir(name, 0o755, dir_fd=above)
        os.fsync(above)
    except FileExistsError:
        pass
    finally:
        os.umask(umask)


def _trusted_target(above: int, path: PurePosixPath, links: int) -> PurePosixPath:
    """Return what a link names if only root could have made it; anything else is refused."""
    found, folder = os.lstat(path.name, dir_fd=above), os.fstat(above)
    if not stat.S_ISLNK(found.st_mode):
        raise Conflict(f"{path} is not a folder; remove it or choose another place.", path=str(path))
    own = {0, os.geteuid()}
    if not {found.st_uid, folder.st_uid} <= own or folder.st_mode & 0o022 or links >= LONGEST_WAY:
        raise Refused(
            f"{path} is a symbolic link that a user other than root could have made; nothing was written through it. "
            "Remove it, or make it as root in a folder that only root can write.",
            path=str(path),
        )
    return PurePosixPath(os.path.normpath(path.parent / os.readlink(path.name, dir_fd=above)))


def look(entry: Entry) -> Found:
    """Return what is at a declared path."""
    path = PurePosixPath(entry.path)
    try:
        with opened_folder(path.parent) as above:
            return _look_in(above, path, entry)
    except FileNotFoundError:
        return Found("absent")


def _look_in(above: int, path: PurePosixPath, entry: Entry) -> Found:
    found = os.lstat(path.name, dir_fd=above)
    if entry.kind == "folder" and (stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        with opened_folder(path) as inner, os.scandir(inner) as rows:
            names = frozenset(row.name for row in rows)
            about = _found(entry, "folder", os.fstat(inner), names=names, followed=stat.S_ISLNK(found.st_mode))
            return about if entry.present else replace(about, mounted=_mounted(path))
    if stat.S_ISLNK(found.st_mode):
        return _found(entry, "link", found, target=os.readlink(path.name, dir_fd=above))
    if stat.S_ISREG(found.st_mode):
        data = _read(above, path.name) if entry.kind == "file" and entry.present else b""
        return _found(entry, "file", found, data=data)
    return _found(entry, "folder" if stat.S_ISDIR(found.st_mode) else "other", found)


def _mounted(path: PurePosixPath) -> bool:
    """Tell whether a file system is mounted at a path, be it another folder of the same one."""
    escaped = re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", str(path))
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return any(line.split(" ")[4] == escaped for line in lines)


def _read(above: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LARGEST)


def filled(entry: Entry, missing_ok: bool = False) -> Entry:
    """Return an entry with the bytes that it is to be a copy of; NotFound, with the option, unless there is such a file."""
    if not (entry.copy_of and entry.present):
        return entry
    path, option = PurePosixPath(entry.copy_of), f"{entry.option}.copy_of"
    try:
        with opened_folder(path.parent) as above:
            regular = stat.S_ISREG(os.lstat(path.name, dir_fd=above).st_mode)
            data = _read(above, path.name) if regular else b""
    except FileNotFoundError:
        if missing_ok:
            return entry
        raise NotFound(f"{option}: {path} is not there, of which {entry.path} is to be a copy.", option=option) from None
    if not regular or len(data) == LARGEST:
        raise Conflict(f"{option}: {path} is not a file of less than {LARGEST >> 20} MiB; nothing was changed.", option=option)
    return replace(entry, data=data)


def _found(entry: Entry, kind: str, about: os.stat_result, *, data: bytes = b"", target: str = "", followed: bool = False,
           names: frozenset[str] = frozenset()) -> Found:  # fmt: skip
    mode = stat.S_IMODE(about.st_mode)
    names = frozenset(name for name in names if not WORK.fullmatch(name))
    user, group = _user(about.st_uid, entry.owner), _group(about.st_gid, entry.group)
    return Found(kind, user, group, mode, data, target, followed, names)


def _user(number: int, wanted: str) -> str:
    """Return the name of a user, the wanted one if it is one of several."""
    with contextlib.suppress(KeyError):
        if pwd.getpwnam(wanted).pw_uid == number:
            return wanted
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group(number: int, wanted: str) -> str:
    with contextlib.suppress(KeyError):
        if grp.getgrnam(wanted).gr_gid == number:
            return wanted
    with contextlib.suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)


def owner_ids(entry: Entry) -> tuple[int, int]:
    """Return the numbers of the declared owner and group; NotFound, with the option, if there is none of that name."""
    try:
        user = pwd.getpwnam(entry.owner).pw_uid
    except KeyError:
        raise NotFound(
            f"{entry.option}.owner: there is no user {entry.owner} on this host.", option=f"{entry.option}.owner"
        ) from None
    try:
        return user, grp.getgrnam(entry.group).gr_gid
    except KeyError:
        raise NotFound(
            f"{entry.option}.group: there is no group {entry.group} on this host.", option=f"{entry.option}.group"
        ) from None


def set_folder(entry: Entry) -> None:
    """Make a folder, or give it its owner and mode."""
    user, group = owner_ids(entry)
    with opened_folder(PurePosixPath(entry.path), create=True) as folder:
        os.fchown(folder, user, group)
        os.fchmod(folder, entry.mode)
        os.fsync(folder)


@contextmanager
def written(entry: Entry) -> Iterator[str]:
    """Write a file beside its place and give that path; after the block it has its name, durably. An error leaves the old one."""
    path = PurePosixPath(entry.path)
    work = f".{path.name}.edge-new"
    user, group = owner_ids(entry)
    with opened_folder(path.parent, create=True) as above:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(work, dir_fd=above)
        try:
            descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=above)
            with os.fdopen(descriptor, "wb") as file:
                file.write(entry.data)
                file.flush()
                os.fchown(descriptor, user, group)
                os.fchmod(descriptor, entry.mode)
                os.fsync(descriptor)
            yield str(path.with_name(work))
            os.rename(work, path.name, src_dir_fd=above, dst_dir_fd=above)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(work, dir_fd=above)
            raise
        os.fsync(above)


def set_link(entry: Entry) -> None:
    """Make a link, or let it name something else, by one rename."""
    path = PurePosixPath(entry.path)
    work = f".{path.name}.edge-new"
    with opened_folder(path.parent, create=True) as above:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(work, dir_fd=above)
        os.symlink(entry.target, work, dir_fd=above)
        os.rename(work, path.name, src_dir_fd=above, dst_dir_fd=above)
        os.fsync(above)


def remove(entry: Entry) -> None:
    """Remove a path; a folder with its contents only if that was asked for."""
    path = PurePosixPath(entry.path)
    with opened_folder(path.parent) as above:
        if entry.kind != "folder":
            os.unlink(path.name, dir_fd=above)
        elif entry.remove_contents:
            shutil.rmtree(path.name, dir_fd=above)
        else:
            _remove_work(path)
            os.rmdir(path.name, dir_fd=above)
        os.fsync(above)


def _remove_work(folder: PurePosixPath) -> None:
    """Remove what runs that were killed left in a folder: it may hold a secret."""
    with opened_folder(folder) as inner, os.scandir(inner) as rows:
        for name in [row.name for row in rows if WORK.fullmatch(row.name)]:
            os.unlink(name, dir_fd=inner)
