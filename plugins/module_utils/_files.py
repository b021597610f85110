# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a crash: locks without leftovers, atomic writes, and space that is checked before it is used."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import _libc
from ._errors import Busy, Conflict, NoSpace, NotFound, Unsupported

RESERVE = 64 * 1024 * 1024
CANNOT_RENAME = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # a file system or kernel without renameat2
UNREADABLE = frozenset({errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ENODATA, errno.EISDIR})  # a disk's fault, of one file
Wait = bool | float  # for ever, not at all, or so many seconds
FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid


def fsync(path: Path) -> None:
    """Make the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, work: Path, mode: int = 0o444, owner: tuple[int, int] | None = None) -> None:
    """Replace ``path`` by ``data`` so that a reader sees the old or the new file whole; ``work`` is a scratch name beside it.

    The caller holds a lock that makes ``work`` its own; a file that a killed process left there is replaced.
    """
    work.unlink(missing_ok=True)
    descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk
        work.unlink(missing_ok=True)
        raise
    work.rename(path)
    fsync(path.parent)


def rename_new(work: Path, path: Path) -> None:
    """Give ``work`` its final name in one step; raise Conflict, and keep ``work``, if anything has that name by now."""
    try:
        try:
            _libc.rename_noreplace(work, path)
        except OSError as error:
            if error.errno not in CANNOT_RENAME:
                raise
            link_new(work, path)
    except FileExistsError:
        raise Conflict(f"{path} was created by another process meanwhile; it was left alone. Run again.", path=str(path)) from None


def link_new(work: Path, path: Path) -> None:
    """Do as ``rename_new`` where the file system cannot, by a second name; FileExistsError if the name is taken."""
    try:
        os.link(work, path, follow_symlinks=False)
    except PermissionError:
        raise Unsupported(
            f"The file system of {path} can neither rename a file without replacing another nor link it; choose another place.",
            path=str(path),
        ) from None
    work.unlink()


@contextmanager
def locked(path: Path, *, wait: Wait = True, make_folder: bool = False) -> Iterator[None]:
    """Hold the lock named ``path``; raise Busy if another process has it for longer than ``wait``. A killed process holds no lock.

    The file is removed on release, while still locked: a process that waited notices that its file has no name and opens it again.
    With ``make_folder`` its folder is made if it is missing, such as one below /run after a boot.
    """
    if make_folder:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = _acquire(path, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, wait: Wait) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _flock(descriptor, fcntl.LOCK_EX, wait)
            if _still_named(path, descriptor):
                return descriptor
        except BlockingIOError:
            by = _holders(descriptor)
            os.close(descriptor)
            raise Busy(f"Another process works on this now; it holds {path}{by}.", path=str(path)) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int, how: int, wait: Wait) -> None:
    """Lock an open file; raise BlockingIOError if that takes longer than ``wait``."""
    if wait is True:
        fcntl.flock(descriptor, how)
        return
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        if not _locked_within(descriptor, how, wait):
            raise


def _locked_within(descriptor: int, how: int, seconds: float) -> bool:
    """Wait in the kernel's queue, in a thread since no call of it ends by time; a lock that comes too late is released at once."""
    if not seconds:
        return False
    own = os.dup(descriptor)
    locked = threading.Event()

    def wait() -> None:
        try:
            fcntl.flock(own, how)
            locked.set()
        finally:
            os.close(own)

    threading.Thread(target=wait, daemon=True).start()
    return locked.wait(seconds)


def _holders(descriptor: int) -> str:
    """Return the programs that hold a lock on an open file as messages name them, as far as the kernel tells."""
    found = os.fstat(descriptor)
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    holders = []
    with contextlib.suppress(OSError):
        for words in map(str.split, Path("/proc/locks").read_text().splitlines()):
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
                with contextlib.suppress(OSError):
                    holders.append(f"{Path('/proc', words[4], 'comm').read_text().strip()} (process {words[4]})")
    return f" (held by {', '.join(sorted(set(holders)))})" if holders else ""


def _still_named(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def file_lock(path: Path, *, shared: bool, wait: Wait = True) -> Iterator[int]:
    """Hold a lock on an existing file or directory itself: shared for its users, exclusive for its removal; give its descriptor.

    Raise Busy if another process holds a conflicting lock for longer than ``wait``. A file that was replaced is opened again.
    """
    descriptor = _lock_named(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def require_named(path: Path, descriptor: int) -> None:
    """Raise NotFound if the locked file was removed; one that was replaced is locked shortly, so that a removal of it has ended."""
    if not _still_named(path, descriptor):
        with file_lock(path, shared=True):
            return


def _lock_named(path: Path, how: int, wait: Wait) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise NotFound(f"{path} does not exist.", path=str(path)) from None
        try:
            _flock(descriptor, how, wait)
            if _still_named(path, descriptor):
                return descriptor
        except BlockingIOError:
            by = _holders(descriptor)
            os.close(descriptor)
            raise Busy(f"{path} is in use by another process now{by}.", path=str(path)) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def held(path: Path) -> bool:
    """Return whether a process holds the lock of ``path``, by ``locked`` or by ``file_lock``; nothing is created or changed."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


@contextmanager
def signalled(path: Path) -> Iterator[None]:
    """Make ``held`` return True for ``path`` meanwhile; any number of processes may do so at once, and none of them waits."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a full disk, or a process that calls held() just now
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


def open_in_qemu(path: Path) -> bool:
    """Return whether a QEMU program has the image file open: it holds locks on some of its bytes, even if it only reads."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            question = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))[0] != fcntl.F_UNLCK
        finally:
            os.close(descriptor)
    return False


def nearest_folder(path: Path) -> Path:
    """Return the folder at ``path``, or the nearest one above it that is there: where it will be has that one's file system."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def free_bytes(folder: Path) -> int:
    """Return the bytes that may still be written into ``folder``'s file system."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def require_space(folder: Path, needed: int, what: str, reserve: int = RESERVE) -> None:
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
