# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as people write them: an integer with a binary unit, always whole bytes inside."""

from __future__ import annotations

import re

from ._errors import InvalidInput

KIB, MIB, GIB = 2**10, 2**20, 2**30
UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 2**40, "PiB": 2**50}
SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?:(?P<unit>[KMGTP])(?:i?B)?|B)?", re.IGNORECASE)
SECTOR = 512
LARGE_SECTOR = 4096
LARGEST_DISK = 2**50
OVERLAY_CLUSTER = 131072  # bytes; with extended L2 entries it has 32 subclusters of a page each
OVERLAY_SUBCLUSTER = OVERLAY_CLUSTER // 32  # bytes: an overlay has all of one itself, or none of it
DELTA_CLUSTER = 65536  # bytes; a cluster of a delta of a recovery point
LONGEST_HOLE = 2**40  # bytes; QEMU walks once over its counters of all clusters up to a file's end


def length_when_full(size: int) -> int:
    """Return the length that the file of a new qcow2 disk of ``size`` bytes gets, by a hole: as if all of the disk were written.

    A write beyond a file's end waits for the file system, a write into a hole does not: a guest's first writes are twice as fast.
    """
    return min(size + size // 4096 + MIB, LONGEST_HOLE)  # the tables of an overlay take 1/6500 of it


def parse_size(text: str, where: str) -> int:
    """Return the bytes of ``2GiB``, ``512M`` or ``1073741824``; units are powers of 1024, a bare number is bytes."""
    found = SIZE.fullmatch(str(text).strip())
    if found is None:
        raise InvalidInput(
            f"{where}: {text!r} is not a size; write an integer with a unit, such as 512MiB or 20GiB.",
            option=where,
            value=str(text),
        )
    unit = (found["unit"] or "").upper()
    return int(found["number"]) * UNITS[unit + "iB" if unit else ""]


def whole_sectors(size: int) -> int:
    """Return the bytes that a disk has where ``size`` are asked."""
    return -(-size // SECTOR) * SECTOR


def disk_size(text: str, where: str, *, raw: bool = False) -> int:
    """Return the bytes of a disk: whole sectors, as QEMU makes it, which is up to 511 bytes more than was given.

    A raw file has whole sectors of 4096 bytes, without which QEMU opens it for direct I/O on no disk that has those.
    """
    sector = LARGE_SECTOR if raw else SECTOR
    size = -(-parse_size(text, where) // sector) * sector
    if size > LARGEST_DISK:
        raise InvalidInput(
            f"{where}: {text} is more than a qcow2 disk can have ({show_size(LARGEST_DISK)}).", option=where, value=text
        )
    return size


def show_size(size: int) -> str:
    """Return ``size`` in the largest unit that divides it."""
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return f"{size}B"
