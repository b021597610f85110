# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions are read as sfdisk and mkfs write them, and hostile tables end."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.mounting.partitions import MOST, content_of, partitions_of
from support.images import MIB

SIZE = 64 * MIB


def partitioned(folder: Path, script: str) -> Path:
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["/usr/sbin/sfdisk", "-q", path], input=script, text=True, check=True)
    return path


@pytest.mark.parametrize(
    "script",
    [
        "label: gpt\nsize=8MiB\nsize=4MiB\nsize=16MiB\n",
        "label: dos\nsize=8MiB\nsize=4MiB,bootable\n",
        "label: dos\n1: size=8MiB\n2: size=40MiB,type=5\n5: size=8MiB\n6: size=4MiB\n",
    ],
)
def test_partitions_are_those_of_sfdisk(tmp_path: Path, script: str) -> None:
    path = partitioned(tmp_path, script)
    said = json.loads(subprocess.run(["/usr/sbin/sfdisk", "--json", path], capture_output=True, check=True).stdout)
    expected = [
        (int(one["node"].removeprefix(str(path))), one["start"] * 512, one["size"] * 512)
        for one in said["partitiontable"]["partitions"]
        if one["type"] != "5"
    ]
    with path.open("rb") as disk:
        found = [(one.number, one.start, one.size) for one in partitions_of(disk, SIZE)]
    assert found == expected


@pytest.mark.parametrize(
    ("argv", "content"),
    [(["mkfs.ext4", "-q", "-F"], "ext"), (["mkfs.ext4", "-q", "-F", "-O", "^has_journal"], "ext"), (["mkswap", "-q"], "swap")],
)
def test_what_is_on_it(tmp_path: Path, argv: list[str], content: str) -> None:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([f"/usr/sbin/{argv[0]}", *argv[1:], path], check=True, capture_output=True)
    with path.open("rb") as disk:
        assert (content_of(disk), partitions_of(disk, SIZE)) == (content, [])


def record(kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3xB3xII", 0, kind, first, sectors)


def table(*records: bytes) -> bytes:
    return bytes(446) + b"".join(records).ljust(64, b"\0") + b"\x55\xaa"


def test_a_chain_that_leads_back_and_partitions_beyond_the_end(tmp_path: Path) -> None:
    loop = table(record(5, 1, 100)) + table(record(0x83, 1, 2), record(5, 0, 1))
    disk = io.BytesIO(loop + bytes(8192))
    assert [one.number for one in partitions_of(disk, len(disk.getvalue()))] == [5]
    beyond = table(record(0x83, 0xFFFFFFF0, 0xFFFFFFFF), record(0x83, 1, 0), record(0x83, 0, 1), record(0x83, 2, 1))
    disk = io.BytesIO(beyond + bytes(4096))
    assert [(one.number, one.start) for one in partitions_of(disk, len(disk.getvalue()))] == [(4, 1024)]


def test_a_table_that_says_four_billion_entries_ends() -> None:
    header = struct.pack("<8s64xQII", b"EFI PART", 2, 0xFFFFFFFF, 128)
    entry = b"\x01" * 32 + struct.pack("<QQ", 40, 41)
    disk = io.BytesIO((table(record(0xEE, 1, 1)) + header.ljust(512, b"\0") + entry.ljust(128, b"\0") * 1000).ljust(MIB, b"\0"))
    assert len(partitions_of(disk, MIB)) == MOST
    entry = b"\x01" * 32 + struct.pack("<QQ", 2**64 - 1, 0)
    disk = io.BytesIO((table(record(0xEE, 1, 1)) + header.ljust(512, b"\0") + entry).ljust(MIB, b"\0"))
    assert partitions_of(disk, MIB) == []


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_read_without_an_error(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(rng.randbytes(65536))
    data[510:512] = b"\x55\xaa"
    if seed % 2:
        data[450], data[512:520] = 0xEE, b"EFI PART"
    else:
        data[450] = 5
    size = len(data)
    assert all(0 < one.start < size and one.start + one.size <= size for one in partitions_of(io.BytesIO(bytes(data)), size))
