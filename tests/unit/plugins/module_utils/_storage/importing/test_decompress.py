# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking with the real formats: whole, with holes, within limits, and never from damage."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
from functools import cache, partial
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, NoSpace, Refused, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing import decompress
from support.images import MIB

DATA = random.Random(1).randbytes(3 * MIB) + bytes(4 * MIB) + b"end"


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACK = {"gzip": gzip.compress, "xz": partial(lzma.compress, preset=0), "bzip2": bz2.compress, "zstd": zstd}


@cache
def packed(kind: str) -> bytes:
    return PACK[kind](DATA)


def packed_file(path: Path, kind: str) -> Path:
    path.write_bytes(packed(kind))
    return path


@pytest.mark.parametrize("kind", PACK)
def test_what_was_packed_comes_out_with_holes(tmp_path: Path, kind: str) -> None:
    source = packed_file(tmp_path / "a", kind)
    assert decompress.packed_as(source) == kind
    assert decompress.unpack(source, kind, tmp_path / "b", len(DATA)) == len(DATA)
    assert (tmp_path / "b").read_bytes() == DATA
    assert (tmp_path / "b").stat().st_blocks * 512 < 4 * MIB


@pytest.mark.parametrize("kind", PACK)
def test_several_streams_make_one_file_and_an_end_of_zeros_stays(tmp_path: Path, kind: str) -> None:
    one = PACK[kind](b"first")
    padding = bytes(8) if kind in ("xz", "gzip") else b""
    (tmp_path / "a").write_bytes(one + PACK[kind](bytes(2 * MIB)) + padding)
    decompress.unpack(tmp_path / "a", kind, tmp_path / "b", 3 * MIB)
    assert (tmp_path / "b").read_bytes() == b"first" + bytes(2 * MIB)


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_refused_before_it_is_large(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "a"
    source.write_bytes(PACK[kind](bytes(64 * MIB)))
    assert source.stat().st_size < MIB
    with pytest.raises(Refused, match="more than 1048576 bytes"):
        decompress.unpack(source, kind, tmp_path / "b", MIB)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("damage", ["cut", "flip", "garbage"])
def test_damage_is_corrupt_and_leaves_nothing(tmp_path: Path, kind: str, damage: str) -> None:
    source = packed_file(tmp_path / "a", kind)
    data = bytearray(source.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0x55
    source.write_bytes(data[:-100] if damage == "cut" else data + b"garbage" if damage == "garbage" else data)
    with pytest.raises(Corrupt, match="cannot be unpacked"):
        decompress.unpack(source, kind, tmp_path / "b", len(DATA))
    assert not (tmp_path / "b").exists()


def test_an_xz_that_wants_much_memory_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "MEMORY", 64 * 1024)
    with pytest.raises(Corrupt, match="Memory"):
        decompress.unpack(packed_file(tmp_path / "a", "xz"), "xz", tmp_path / "b", len(DATA))


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = packed_file(tmp_path / "a", "zstd")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="install the package zstd"):
        decompress.unpack(source, "zstd", tmp_path / "b", len(DATA))
    assert not (tmp_path / "b").exists()


def test_a_full_disk_is_no_space_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        with pytest.raises(NoSpace, match=r"Unpacking .* needs"):
            decompress.unpack(packed_file(tmp_path / "a", "gzip"), "gzip", small / "b", len(DATA))
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
