# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: every sound one survives JSON, everything else is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import digest, manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import times

PIECE = manifest.SMALLEST_PIECE
KEYS = st.sampled_from(sorted(manifest.KEYS))
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def made(data: bytes, piece_size: int = PIECE, **changes: Any) -> Manifest:
    blocks = [data[at : at + piece_size] for at in range(0, len(data), piece_size)]
    heads = [data[: at + piece_size] for at in range(0, len(data), piece_size)]
    fields: dict[str, Any] = {
        "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "virtual_size": 1024,
        "piece_size": piece_size,
        "pieces": tuple(hashlib.sha256(block).hexdigest() for block in blocks),
        "checkpoints": tuple(hashlib.sha256(head).hexdigest() for head in heads),
        "name": "debian",
        "version": "13.1",
        "created": "2026-01-02T03:04:05Z",
    }
    return Manifest(**{**fields, **changes})


@times(0.3)
@given(st.integers(1, 3 * PIECE + 7), st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=40))
def test_json_and_back_is_the_same(length: int, words: str) -> None:
    one = made(b"x" * length, os=words, source=words)
    data = one.to_json()
    assert manifest.parse(data, "here", one.digest) == one
    assert manifest.parse(data, "here").to_json() == data


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0}, {"size": True}, {"size": "5"}, {"size": 5.0}, {"size": 2**60}, {"size": 3 * PIECE}, {"virtual_size": -1},
        {"piece_size": PIECE + 1}, {"piece_size": 1}, {"piece_size": 2**40}, {"pieces": []}, {"pieces": "ab"}, {"pieces": [1, 2]},
        {"pieces": ["A" * 64, "b" * 64]}, {"checkpoints": ["a" * 64, "a" * 64]}, {"name": "../../etc/passwd"}, {"name": None},
        {"digest": "sha256:../x"},
        {"format": "raw"}, {"created": "yesterday"}, {"os": "a\nb"}, {"source": "x" * 3000},
        {"min_disk": -1}, {"source_digest": "md5:1"}, {"unknown": 1}, {"size": None}, {"pieces": {"a": 1}},
    ],
)  # fmt: skip
def test_an_odd_field_is_refused(changes: dict[str, Any]) -> None:
    good = asdict(made(b"x" * (PIECE + 5)))
    with pytest.raises(Corrupt):
        manifest.parse(json.dumps({**good, **changes}).encode(), "here")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000, b"{}", b'{"digest": NaN}'])
def test_what_is_not_a_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        manifest.parse(data, "here")


def test_a_hundred_megabytes_of_json_are_not_parsed() -> None:
    with pytest.raises(Corrupt, match="larger than"):
        manifest.parse(b" " * (manifest.LARGEST_JSON + 1), "here")


def test_another_image_than_asked_for_is_refused() -> None:
    with pytest.raises(Corrupt, match="was asked for"):
        manifest.parse(made(b"a").to_json(), "here", "sha256:" + "0" * 64)


@times(2)
@given(ANYTHING)
def test_no_json_makes_it_fall_over(value: object) -> None:
    with pytest.raises(EdgeError):
        manifest.parse(json.dumps(value).encode(), "here")


@pytest.mark.parametrize("length", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_describe_agrees_with_plain_hashing(tmp_path: Path, length: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    path = tmp_path / "file"
    path.write_bytes(data[:length])
    found = digest.describe(path, PIECE)
    wanted = made(data[:length])
    assert (found.digest, found.size, found.pieces, found.checkpoints) == (wanted.digest, length, wanted.pieces, wanted.checkpoints)
