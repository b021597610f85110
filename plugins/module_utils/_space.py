# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Space that is taken before it is needed, so that programs side by side cannot fill a file system together.

It is allocated to the file itself, beyond its end: the file keeps its length, no other file gets the space, and what is not used is
given back. A file system that cannot do that (NFS) is only looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import _files, _libc, _sparse
from ._errors import DiskFailed, NoSpace

FULL = (errno.ENOSPC, errno.EDQUOT)
CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS)
SLACK = 1024 * 1024
STEP = 8 * 1024 * 1024  # bytes that a file of unknown length takes at a time
TRIES = 5
Range = tuple[int, int]  # offset and length


@dataclass(frozen=True)
class Space:
    """The space of one file system for ``what``, which errors name; ``folder`` is where the files are.

    Programs that use the same folder wait for each other, except for ``alone``.
    """

    folder: Path
    what: str
    alone: bool = False

    def take(self, descriptor: int, ranges: Sequence[Range]) -> None:
        """Allocate ranges of a file whose bytes are not needed; raise NoSpace, and allocate none, unless the reserve stays."""
        needed = sum(length for _offset, length in ranges)
        waiting = contextlib.nullcontext() if self.alone else _files.locked(self.folder / "space.lock")
        with waiting:
            for _try in range(TRIES):
                _files.require_space(self.folder, needed, self.what)
                if self._taken(descriptor, ranges):
                    return
                time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - another program took space at the same time
        raise self.full(f"needs {needed} bytes, and others took space at the same time")

    def _taken(self, descriptor: int, ranges: Sequence[Range]) -> bool:
        try:
            for offset, length in ranges:
                _libc.fallocate(descriptor, _libc.KEEP_SIZE, offset, length)
        except OSError as error:
            if error.errno in CANNOT:
                return True
            give_back(descriptor, ranges)
            if error.errno in FULL:
                raise self.full(f"needs {sum(length for _offset, length in ranges)} bytes") from None
            raise
        if _files.free_bytes(self.folder) >= _files.RESERVE:
            return True
        give_back(descriptor, ranges)
        return False

    def full(self, why: str) -> NoSpace:
        """Return the error, with what is free."""
        free = _files.free_bytes(self.folder)
        return NoSpace(
            f"No space left: {self.what} {why}; {free} are free in {self.folder}, of which {_files.RESERVE} stay in reserve; "
            "free some or choose another place.",
            path=str(self.folder),
            free=free,
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Let an error of the disk be NoSpace or DiskFailed, which is never taken for one of the network."""
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise self.full("needs more") from None
            raise DiskFailed(
                f"{self.what} could not be written to {self.folder}: {error.strerror or error}.",
                path=str(self.folder),
                errno=error.errno,
            ) from None


@contextlib.contextmanager
def reserved(path: Path, needed: int, what: str) -> Iterator[int | None]:
    """Have the space for a file that another program writes, and give back what it did not need.

    Yields None where ``needed`` bytes are there, else how long the file may become; raises NoSpace where that is next to nothing.
    """
    have = path.stat().st_size
    room = _files.free_bytes(path.parent) - _files.RESERVE - SLACK
    length = max(min(needed - have, room), min(needed - have, SLACK))
    with longer(path, length, what):
        yield None if length >= needed - have else have + length


@contextlib.contextmanager
def longer(path: Path, length: int, what: str) -> Iterator[None]:
    """Have ``length`` bytes beyond the end of a file that another program writes, and give back what it did not need.

    Raises NoSpace where they are not there.
    """
    with path.open("r+b") as file:
        end = os.fstat(file.fileno()).st_size
        Space(path.parent, what, alone=True).take(file.fileno(), [(end, length)] if length > 0 else [])
        try:
            yield
        finally:
            give_back(file.fileno())


def unused(path: Path) -> list[Range]:
    """Return what a file has taken and not written, in it and beyond its end; nothing if that is next to nothing.

    What is in the page cache counts as written.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        parts = list(_sparse.extents(file.fileno(), 0, found.st_size))
    written = sum(part.length for part in parts if part.data)
    if found.st_blocks * 512 <= written + SLACK:
        return []
    return [*((part.offset, part.length) for part in parts if not part.data), (found.st_size, 0)]


def no_room(folder: Path, needed: int, what: str) -> NoSpace:
    """Return the error where ``what`` turned out to need more than there is."""
    return Space(folder, what).full(f"can need {needed} bytes")


class Growing:
    """Space for a file that is written from its start, or from ``at``, and whose length is not known."""

    def __init__(self, space: Space, descriptor: int, at: int = 0) -> None:
        self._space = space
        self._file = descriptor
        self._end = at

    def reach(self, end: int) -> None:
        """Have space up to ``end``; raises NoSpace."""
        while self._end < end:
            length = max(STEP, end - self._end)
            self._space.take(self._file, [(self._end, length)])
            self._end += length


def give_back(descriptor: int, ranges: Sequence[Range] = ()) -> None:
    """Free what is allocated beyond the end of a file, and ranges of it, which read as zeros then."""
    with contextlib.suppress(OSError):
        size = os.fstat(descriptor).st_size
        for offset, length in ranges:
            if offset < size:
                _libc.fallocate(descriptor, _libc.PUNCH_HOLE | _libc.KEEP_SIZE, offset, length)
        os.ftruncate(descriptor, size)
