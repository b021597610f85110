# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a crash: locks without leftovers, atomic writes, and space asked for before it is used."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import Busy, NoSpace, NotFound

RESERVE = 64 * 1024 * 1024


def fsync_directory(path: Path) -> None:
    """Make the names in ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the bytes of ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, work: Path, mode: int = 0o444) -> None:
    """Replace ``path`` by ``data`` so that a reader sees the old or the new file whole; ``work`` is a scratch name beside it.

    The caller holds a lock that makes ``work`` its own; what a dead process left there is replaced.
    """
    work.unlink(missing_ok=True)
    descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    work.rename(path)
    fsync_directory(path.parent)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock named ``path``; without ``wait`` raise Busy if somebody has it. A dead process holds nothing.

    The file is removed on release, while still locked: whoever waited for it notices that its file has no name and opens anew.
    """
    descriptor = _acquire(path, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, wait: bool) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _still_named(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(f"Another process works on this now; it holds {path}.", path=str(path)) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _still_named(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def file_lock(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold a lock on an existing file or directory itself: shared by its users, exclusive for who would remove it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist.", path=str(path)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        if not _still_named(path, descriptor):
            raise NotFound(f"{path} was removed a moment ago.", path=str(path))
        yield
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Return the bytes that may still be written into ``folder``'s file system."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def demand_space(folder: Path, needed: int, what: str, reserve: int = RESERVE) -> None:
    """Raise NoSpace unless ``needed`` bytes and a reserve are free in ``folder``."""
    free = free_bytes(folder)
    if free < needed + reserve:
        raise NoSpace(
            f"{what} needs {needed} bytes and {reserve} in reserve in {folder}, where {free} are free; "
            "free some or choose another place.",
            path=str(folder),
            needed=needed,
            free=free,
        )
