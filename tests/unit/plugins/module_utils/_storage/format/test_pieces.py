# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of pieces: any part of it is proven by its root, and only the pages that are used are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import (
    PAGE,
    VALUE,
    VALUES,
    Check,
    Pieces,
    length_of,
    levels_of,
    reader_of,
)

COUNTS = [1, 2, VALUES - 1, VALUES, VALUES + 1, 2 * VALUES, 5 * VALUES + 3]


def values(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


class Counted:
    """A file of pieces in memory that tells what was read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int, _check: Check) -> bytes:
        self.reads.append((offset, length))
        return self.data[offset : offset + length]

    @property
    def bytes(self) -> int:
        return sum(length for _offset, length in self.reads)


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_written_is_read(tmp_path: Path, count: int) -> None:
    made = Pieces.of(values(count))
    path = tmp_path / "x.pieces"
    path.write_bytes(b"".join(made.file()))
    assert path.stat().st_size == length_of(count) == made.length
    found = Pieces(count, made.root, reader_of(path), "x")
    found.prove()
    assert found == made and len(found) == count
    assert list(found) == [value.hex() for value in values(count)]
    assert found[-1] == found[count - 1] == values(count)[-1].hex()
    for offset, length in ((0, 1), (31, 70), (PAGE - 5, 10), (0, path.stat().st_size), (path.stat().st_size - 7, 100)):
        assert found.part(offset, length) == path.read_bytes()[offset : offset + length]
    with pytest.raises(IndexError):
        found[count]


def test_one_piece_of_millions_takes_one_page_of_each_level() -> None:
    """2,097,152 pieces are those of 1 TiB; all pages but those that are read are left out."""
    count = 2 * VALUES * VALUES
    assert levels_of(count) == [count, 2 * VALUES, 2]
    page = b"".join(values(VALUES))
    second = hashlib.sha256(page).digest() + bytes(PAGE - VALUE)
    top = hashlib.sha256(second).digest() + bytes(VALUE)
    begins = (0, VALUE * count, VALUE * (count + 2 * VALUES))
    parts = dict(zip(begins, (page, second, top), strict=True))
    read: list[int] = []

    def sparse(offset: int, length: int, _check: Check) -> bytes:
        read.append(length)
        return parts[offset][:length]

    found = Pieces(count, hashlib.sha256(top).hexdigest(), sparse, "here")
    assert found.value(7) == values(8)[7]
    assert found.value(500) == values(501)[500]
    assert sorted(read) == [2 * VALUE, PAGE, PAGE]


@pytest.mark.parametrize("count", [3, 2 * VALUES + 5])
@pytest.mark.parametrize("harm", ["flip", "cut", "swap", "empty"])
def test_no_other_list_is_believed(count: int, harm: str) -> None:
    made = Pieces.of(values(count))
    data = bytearray(b"".join(made.file()))
    if harm == "flip":
        data[VALUE + 1] ^= 1
    elif harm == "cut":
        data = data[: VALUE * 2]
    elif harm == "swap":
        data[:VALUE], data[VALUE : 2 * VALUE] = data[VALUE : 2 * VALUE], data[:VALUE]
    else:
        data = bytearray()
    with pytest.raises(Corrupt, match="here: the list of pieces is not the one"):
        Pieces(count, made.root, Counted(bytes(data)), "here").value(1)


def test_a_damaged_page_spoils_only_its_own_pieces() -> None:
    count = 3 * VALUES
    made = Pieces.of(values(count))
    data = bytearray(b"".join(made.file()))
    data[PAGE + 9] ^= 1
    found = Pieces(count, made.root, Counted(bytes(data)), "here")
    assert found.value(0) == values(1)[0] and found.value(2 * VALUES) == made.value(2 * VALUES)
    with pytest.raises(Corrupt):
        found.value(VALUES)


def test_who_reads_all_reads_it_once_and_in_few_requests() -> None:
    count = 16 * VALUES
    made = Pieces.of(values(count))
    source = Counted(b"".join(made.file()))
    list(Pieces(count, made.root, source, "here").values())
    assert source.bytes == made.length
    assert len(source.reads) == 2


def test_a_list_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not there"):
        Pieces(1, "0" * 64, reader_of(tmp_path / "no.pieces"), "no").prove()
