# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with holes: zeros take no space in any copy that we make, whether the original had a hole there or bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from . import _libc

GRAIN = 4096  # bytes: a smaller run of zeros is written
CHUNK = 64 * 1024
BLOCK = 4 * 1024 * 1024
ZEROS = bytes(BLOCK)
CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)
NO_REFLINK = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Extent:
    """A range of a file: bytes, or a hole."""

    offset: int
    length: int
    data: bool


def write_all(descriptor: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write all of ``data``, at the current place or at ``offset``."""
    view = memoryview(data)
    while view:
        done = os.write(descriptor, view) if offset is None else os.pwrite(descriptor, view, offset)
        view = view[done:]
        offset = None if offset is None else offset + done


def write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``; whole grains of zeros become a hole, also where other bytes were."""
    view = memoryview(data)
    for run in _runs(view, offset):
        if run.data:
            write_all(descriptor, view[run.offset - offset : run.offset - offset + run.length], run.offset)
        else:
            clear(descriptor, run.offset, run.length)


def clear(descriptor: int, offset: int, length: int) -> None:
    """Make a range of the file read as zeros and take no space; the file reaches at least to its end."""
    size = os.fstat(descriptor).st_size
    if size < offset + length:
        os.ftruncate(descriptor, offset + length)
    try:
        _libc.fallocate(descriptor, _libc.PUNCH_HOLE | _libc.KEEP_SIZE, offset, length)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        for at in range(offset, min(offset + length, size), BLOCK):
            write_all(descriptor, ZEROS[: min(BLOCK, min(offset + length, size) - at)], at)


def extents(descriptor: int, start: int, end: int) -> Iterator[Extent]:
    """Yield the parts of a file from ``start`` to before ``end``, in order; where holes are not known, all is data."""
    at = start
    while at < end:
        try:
            data = min(os.lseek(descriptor, at, os.SEEK_DATA), end)
            stop = min(os.lseek(descriptor, data, os.SEEK_HOLE), end) if data < end else end
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole up to the end
                raise
            data = stop = end
        if data > at:
            yield Extent(at, data - at, data=False)
        if stop > data:
            yield Extent(data, stop - data, data=True)
        at = stop


def copy(source: int, target: int, *, source_offset: int, offset: int, length: int) -> bool:
    """Copy a range between two files, by the kernel, which shares blocks if it can; return False if the source ends before."""
    if os.fstat(source).st_size < source_offset + length:
        return False
    for part in extents(source, source_offset, source_offset + length):
        place = offset + part.offset - source_offset
        if not part.data:
            clear(target, place, part.length)
        elif not _copy_data(source, target, part, place):
            return False
    return True


def _copy_data(source: int, target: int, part: Extent, place: int) -> bool:
    done = 0
    while done < part.length:
        count = _copy_some(source, target, part.length - done, part.offset + done, place + done)
        if not count:
            return False
        done += count
    return True


def _copy_some(source: int, target: int, left: int, source_offset: int, offset: int) -> int:
    try:
        return os.copy_file_range(source, target, left, source_offset, offset)
    except OSError as error:
        if error.errno not in NO_REFLINK:
            raise
    data = os.pread(source, min(left, BLOCK), source_offset)
    write(target, data, offset)
    return len(data)


def _runs(view: memoryview, offset: int) -> Iterator[Extent]:
    """Yield the data and the zeros of a buffer that belongs at ``offset``, as long as each goes on."""
    begun, data, at = offset, True, offset
    for start, end, empty in _grains(view, offset):
        if data == empty:
            if start > begun:
                yield Extent(begun, start - begun, data)
            begun, data = start, not empty
        at = end
    if at > begun:
        yield Extent(begun, at - begun, data)


def _grains(view: memoryview, offset: int) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end and emptiness of chunks, and of the grains of a chunk that has any data; places are those of the file."""
    end, at = offset + len(view), offset
    while at < end:
        stop = min(at - at % CHUNK + CHUNK, end)
        chunk = bytes(view[at - offset : stop - offset])
        if len(chunk) == CHUNK and chunk == ZEROS[:CHUNK]:
            yield at, stop, True
        else:
            yield from _grains_of(chunk, at)
        at = stop


def _grains_of(chunk: bytes, offset: int) -> Iterator[tuple[int, int, bool]]:
    at, end = offset, offset + len(chunk)
    while at < end:
        stop = min(at - at % GRAIN + GRAIN, end)
        grain = chunk[at - offset : stop - offset]
        yield at, stop, len(grain) == GRAIN and grain == ZEROS[:GRAIN]
        at = stop
