# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's own locks on disk images, held while a file is replaced, removed or committed, so that no guest starts on it meanwhile.

QEMU marks what it does with an image by read locks (OFD) on single bytes of it: byte 100+N for each permission N that it uses, byte
200+N for each that it does not share. Then it looks whether others hold the bytes that contradict, and fails with 'Failed to
get "write" lock' if so. We do the same. Source: QEMU's block/file-posix.c, ``raw_apply_lock_bytes`` and ``raw_check_lock_bytes``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import struct
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ._errors import Busy, NotFound, Unsupported
from ._files import fsync

FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
USED, DENIED = 100, 200
CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE, GRAPH_MOD = range(5)
PERMISSIONS = range(5)
WRITING = (WRITE, RESIZE)
NO_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
PATIENCE = 5.0  # seconds; a program that only looks at an image holds its locks for less
LOOK_AGAIN = 0.1
GUEST = re.compile(rb"\0-name\0guest=([^,\0]+)")


@dataclass
class ImageHold:
    """An image file whose locks we hold; they end with the descriptor, whatever becomes of the name."""

    path: Path
    descriptor: int
    held: set[int] = field(default_factory=set)

    def deny(self, permissions: Collection[int], seconds: float = PATIENCE) -> None:
        """Hold these permissions alone; raise Busy, with who has the file, if a QEMU program keeps one for ``seconds``."""
        deadline = time.monotonic() + seconds
        wanted = {USED + CONSISTENT_READ, *(DENIED + one for one in permissions)}
        against = {DENIED + CONSISTENT_READ, *(USED + one for one in permissions)}
        while not self._take(wanted, against):
            if time.monotonic() >= deadline:
                raise self._busy("a QEMU program has it open")
            time.sleep(LOOK_AGAIN)

    def require_unopened(self, seconds: float = PATIENCE) -> None:
        """Raise Busy, with who has the file open, unless no other descriptor of it is open within ``seconds``.

        A QEMU that has opened a file takes its locks only later: this sees it before that.
        """
        deadline = time.monotonic() + seconds
        while not self._unopened():
            if time.monotonic() >= deadline:
                raise self._busy("another process has it open")
            time.sleep(LOOK_AGAIN)

    def still_named(self) -> bool:
        """Return whether the path still is this file's."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False

    def _take(self, wanted: set[int], against: set[int]) -> bool:
        """Take locks, then look: of two that do so at once at least one sees the other. What was held before stays."""
        new = wanted - self.held
        if all(self._lock(fcntl.F_OFD_SETLK, fcntl.F_RDLCK, byte) for byte in new) and all(map(self._free, against)):
            self.held |= new
            return True
        for byte in new:
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, byte)
        return False

    def _free(self, byte: int) -> bool:
        found = self._lock(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, byte)
        return found is not None and FLOCK.unpack(found)[0] == fcntl.F_UNLCK

    def _lock(self, command: int, kind: int, byte: int) -> bytes | None:
        """Return the kernel's answer, None where another process holds the byte for itself."""
        try:
            return fcntl.fcntl(self.descriptor, command, FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return None
            if error.errno in NO_LOCKS:
                raise Unsupported(
                    f"The file system of {self.path} has no locks ({error.strerror}), without which QEMU does not open an image "
                    "either; mount it with locks (NFS: version 4, or 3 with lockd), or move the file.",
                    path=str(self.path),
                ) from None
            raise

    def _unopened(self) -> bool:
        """Ask the kernel by a lease, which it gives only for a file that no other process has open; else look at all processes."""
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGURG)  # what breaks the lease must not end us
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            return error.errno != errno.EAGAIN and not processes_with(self.descriptor)
        fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return True

    def _busy(self, otherwise: str) -> Busy:
        users = processes_with(self.descriptor)
        by = ", ".join(users) or otherwise
        return Busy(
            f"{self.path} is in use ({by}); it was left as it is. Run again when that has ended.",
            path=str(self.path),
            used_by=users,
        )


def processes_with(descriptor: int) -> list[str]:
    """Return the other processes that have the descriptor's file open, such as ``domain web (process 4711)``."""
    mine = os.fstat(descriptor)
    found = (process for process in Path("/proc").glob("[0-9]*") if int(process.name) != os.getpid())
    return sorted(_name(process) for process in found if _has(process, mine))


def _has(process: Path, wanted: os.stat_result) -> bool:
    try:
        opened = list((process / "fd").iterdir())
    except OSError:  # it has ended, or is not ours to look at
        return False
    return any(_same(one, wanted) for one in opened)


def _same(opened: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(opened.stat(), wanted)
    except OSError:
        return False


def _name(process: Path) -> str:
    try:
        arguments, program = (process / "cmdline").read_bytes(), (process / "comm").read_text().strip()
    except OSError:
        return f"process {process.name}"
    guest = GUEST.search(arguments)
    program = f"domain {guest[1].decode(errors='replace')}" if guest else program
    return f"{program} (process {process.name})"


@contextmanager
def unwritten(path: Path, seconds: float = PATIENCE) -> Iterator[ImageHold]:
    """Keep every QEMU from writing an image, and so a guest from starting on it; others may read it.

    Raises Busy with who has it open, NotFound without the file, Unsupported on a file system without locks. A qemu-img of our own
    that writes it must run without locks (``locking=off``).
    """
    with _held(path, WRITING, seconds) as hold:
        yield hold


@contextmanager
def untouched(path: Path, seconds: float = PATIENCE) -> Iterator[ImageHold]:
    """Keep every QEMU from using an image at all, also below an overlay; else as ``unwritten``."""
    with _held(path, PERMISSIONS, seconds) as hold:
        yield hold


@contextmanager
def _held(path: Path, permissions: Collection[int], seconds: float) -> Iterator[ImageHold]:
    while True:
        try:
            hold = ImageHold(path, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except FileNotFoundError:
            raise NotFound(f"{path} does not exist.", path=str(path)) from None
        try:
            hold.deny(permissions, seconds)
            if hold.still_named():  # else it was replaced since
                yield hold
                return
        finally:
            os.close(hold.descriptor)


@contextmanager
def all_unwritten(paths: Iterable[str], seconds: float = PATIENCE) -> Iterator[None]:
    """Hold ``unwritten`` for each of the files that is there."""
    with ExitStack() as stack:
        for path in sorted({Path(path).resolve() for path in paths if Path(path).exists()}):
            stack.enter_context(unwritten(path, seconds))
        yield


def take_place(hold: ImageHold, work: Path, seconds: float = PATIENCE) -> None:
    """Rename ``work``, whole and durable, over the held file, durably; raise Busy before it if anybody has that open.

    A guest cannot start on the old file or the new one meanwhile. Who opened the old one in the instant before the rename is waited
    for: it gets no lock. Busy after the rename says so.
    """
    hold.deny(PERMISSIONS, seconds)
    with untouched(work, seconds):
        hold.require_unopened(seconds)
        work.rename(hold.path)
        fsync(hold.path.parent)
        try:
            hold.require_unopened(seconds)
        except Busy as error:
            by = ", ".join(error.details["used_by"]) or "another process"
            raise Busy(
                f"{hold.path} was replaced, but {by} opened the old file right before and still has it, so that what it writes is "
                "lost; stop it, and start it again if it is a VM.",
                **error.details,
            ) from None


def remove_images(paths: Iterable[str], seconds: float = PATIENCE) -> None:
    """Delete image files, durably, all or none: raise Busy, with who uses which, before the first goes. Missing ones are no error.

    A name that is not the file's only one is deleted in any case: nothing is lost with it.
    """
    with ExitStack() as stack:
        found = [path for path in map(Path, paths) if os.path.lexists(path)]
        for path in found:
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                stack.enter_context(untouched(path, seconds))
        for path in found:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in found}:
            fsync(folder)
