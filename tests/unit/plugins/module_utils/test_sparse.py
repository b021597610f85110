# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with holes: any sequence of writes gives the bytes that were written, and zeros take no space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KIB, MIB = 1024, 1024 * 1024
Piece = tuple[int, int, int]
PIECES = st.lists(st.tuples(st.integers(0, 300_000), st.integers(1, 150_000), st.sampled_from([0, 0, 7])), min_size=1, max_size=8)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=PIECES)
def test_any_writes_give_the_bytes_that_were_written(tmp_path: Path, pieces: list[Piece]) -> None:
    path, expected = tmp_path / "a", bytearray()
    path.unlink(missing_ok=True)
    with opened(path) as file:
        for offset, length, value in pieces:
            data = bytes([value]) * length
            expected.extend(bytes(max(0, offset + length - len(expected))))
            expected[offset : offset + length] = data
            _sparse.write(file, data, offset)
    assert path.read_bytes() == expected


def test_zeros_take_no_space_even_where_other_bytes_were(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 2 * MIB)
    with opened(path) as file:
        _sparse.write(file, bytes(MIB), MIB)
        _sparse.write(file, bytes(MIB) + b"end", 2 * MIB)
    assert path.read_bytes() == b"x" * MIB + bytes(2 * MIB) + b"end"
    assert MIB <= taken(path) <= MIB + 64 * KIB


def test_the_parts_of_a_file_are_all_of_it_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with opened(path) as file:
        os.ftruncate(file, 8 * MIB)
        os.pwrite(file, b"x" * MIB, 2 * MIB)
        found = list(_sparse.extents(file, MIB, 8 * MIB))
    assert found == [
        _sparse.Extent(MIB, MIB, data=False),
        _sparse.Extent(2 * MIB, MIB, data=True),
        _sparse.Extent(3 * MIB, 5 * MIB, data=False),
    ]


def test_a_copy_between_files_keeps_holes_and_replaces_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with opened(source) as from_, opened(target) as to:
        os.ftruncate(from_, 16 * MIB)
        os.pwrite(from_, b"a" * MIB, 4 * MIB)
        os.pwrite(to, b"old" * MIB, 0)
        assert _sparse.copy(from_, to, source_offset=2 * MIB, offset=MIB, length=12 * MIB)
        assert not _sparse.copy(from_, to, source_offset=15 * MIB, offset=0, length=2 * MIB)
    wanted = bytearray(13 * MIB)
    wanted[:MIB] = (b"old" * MIB)[:MIB]
    wanted[3 * MIB : 4 * MIB] = b"a" * MIB
    assert target.read_bytes() == wanted
    assert taken(target) <= 2 * MIB + 64 * KIB


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("wb", buffering=0) as full:
        _sparse.write_all(full.fileno(), b"x")
