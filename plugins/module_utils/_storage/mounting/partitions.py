# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partitions of a guest's disk, read by Python alone: its tables may be hostile, and programs that parse them run as root.

At most ``MOST`` partitions are read, whatever the tables say, and no table is followed twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

SECTOR = 512
MOST = 128
EXTENDED, PROTECTIVE = (0x05, 0x0F, 0x85), 0xEE
ENTRY = struct.Struct("<B3xB3xII")  # status, type, first sector, sectors
GPT = struct.Struct("<8s64xQII")  # magic, first sector of the entries, their number, bytes of one
GPT_MAGIC, GPT_SIZES = b"EFI PART", (512, 4096)
CONTENTS = (
    (1080, b"\x53\xef", "ext"),
    (0, b"XFSB", "xfs"),
    (65600, b"_BHRfS_M", "btrfs"),
    (3, b"NTFS    ", "ntfs"),
    (82, b"FAT32   ", "vfat"),
    (54, b"FAT1", "vfat"),
    (0, b"LUKS\xba\xbe", "luks"),
    (536, b"LVM2 001", "lvm"),
    (4086, b"SWAPSPACE2", "swap"),
    (32769, b"CD001", "iso9660"),
    (0, b"hsqs", "squashfs"),
)


@dataclass(frozen=True)
class Partition:
    """A partition, in bytes; ``content`` is what its first bytes look like, None for nothing known."""

    number: int
    start: int
    size: int
    content: str | None = None


def content_of(disk: BinaryIO, start: int = 0) -> str | None:
    """Return what is at ``start`` by its signature: a file system, or what holds some (``lvm``, ``luks``); None if unknown."""
    return next((name for at, magic, name in CONTENTS if _read(disk, start + at, len(magic)) == magic), None)


def partitions_of(disk: BinaryIO, size: int) -> list[Partition]:
    """Return the partitions of a disk of ``size`` bytes that lie within it; none where it has no table that is known."""
    found: list[Partition] = []
    for number, start, length in _entries(disk):
        if len(found) < MOST and 0 < start < size and 0 < length <= size - start:
            found.append(Partition(number, start, length, content_of(disk, start)))
    return found


def _read(disk: BinaryIO, at: int, length: int) -> bytes:
    if at > 2**62:
        return b""
    disk.seek(at)
    return disk.read(length)


def _entries(disk: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and length in bytes of what the table says."""
    entries = _records(disk, 0)
    if any(kind == PROTECTIVE for kind, _first, _sectors in entries):
        yield from _gpt(disk)
        return
    if content_of(disk) in ("ntfs", "vfat"):  # whose first sector ends as a table does
        return
    for number, (kind, first, sectors) in enumerate(entries, 1):
        if kind in EXTENDED:
            yield from _logical(disk, first)
        elif kind:
            yield number, first * SECTOR, sectors * SECTOR


def _records(disk: BinaryIO, sector: int) -> list[tuple[int, int, int]]:
    """Return type, first sector and sectors of the four entries of a DOS table, none where there is no table."""
    data = _read(disk, sector * SECTOR, SECTOR)
    if len(data) < SECTOR or data[510:] != b"\x55\xaa":
        return []
    return [ENTRY.unpack_from(data, 446 + 16 * number)[1:] for number in range(4)]


def _logical(disk: BinaryIO, base: int) -> Iterator[tuple[int, int, int]]:
    """Yield the partitions of a chain of extended tables, each of which says where the next one is."""
    at, seen = base, set[int]()
    while at not in seen and len(seen) < MOST and (entries := _records(disk, at)):
        seen.add(at)
        kind, first, sectors = entries[0]
        if kind:
            yield 4 + len(seen), (at + first) * SECTOR, sectors * SECTOR
        if entries[1][0] not in EXTENDED:
            return
        at = base + entries[1][1]


def _gpt(disk: BinaryIO) -> Iterator[tuple[int, int, int]]:
    for sector in GPT_SIZES:
        data = _read(disk, sector, GPT.size)
        if len(data) == GPT.size and data.startswith(GPT_MAGIC):
            _magic, first, count, length = GPT.unpack(data)
            if not 128 <= length <= 4096:
                return
            for number in range(min(count, MOST)):
                entry = _read(disk, first * sector + number * length, 48)
                if len(entry) == 48 and any(entry[:16]):
                    begin, end = struct.unpack_from("<QQ", entry, 32)
                    yield number + 1, begin * sector, (end - begin + 1) * sector
            return
