# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: every sound one survives JSON, everything else is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, EdgeError, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import digest, manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import times
from support.hand_check import digest_of

PIECE = manifest.SMALLEST_PIECE
KEYS = st.sampled_from(sorted(manifest.KEYS))
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def made(data: bytes, piece_size: int = PIECE, **changes: Any) -> Manifest:
    blocks = [data[at : at + piece_size] for at in range(0, len(data), piece_size)]
    fields: dict[str, Any] = {
        "size": len(data),
        "virtual_size": 1024,
        "piece_size": piece_size,
        "pieces": tuple(hashlib.sha256(block).hexdigest() for block in blocks),
        "name": "debian",
        "version": "13.1",
        "created": "2026-01-02T03:04:05Z",
    }
    return Manifest.new(**{**fields, **changes})


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
        {"piece_size": PIECE + 1}, {"piece_size": 1}, {"piece_size": 2**20}, {"root": []}, {"root": "ab"}, {"root": 1},
        {"root": "A" * 64}, {"name": "../../etc/passwd"}, {"name": None}, {"digest": "sha256:../x"},
        {"format": "raw"}, {"created": "yesterday"}, {"os": "a\nb"}, {"source": "x" * 3000},
        {"min_disk": -1}, {"source_digest": "md5:1"}, {"schema": 0}, {"schema": "1"}, {"schema": True},
        {"unknown": "x" * 70_000}, {"size": None}, {"root": {"a": 1}},
        {"template": []}, {"template": "vm"}, {"template": {"a": "x" * 70_000}},
    ],
)  # fmt: skip
def test_an_odd_field_is_refused(changes: dict[str, Any]) -> None:
    good = json.loads(made(b"x" * (PIECE + 5)).to_json())
    with pytest.raises(Corrupt):
        manifest.parse(json.dumps({**good, **changes}).encode(), "here")


def test_a_list_of_pieces_that_would_fill_the_memory_is_refused() -> None:
    """The digest is right, so only the numbers can tell; a source may offer such an image under a good name."""
    fields = {"format": "qcow2", "virtual_size": 1024, "piece_size": PIECE, "root": "0" * 64}
    good = json.loads(made(b"x").to_json())
    for count, taken in ((manifest.LONGEST_LIST, True), (manifest.LONGEST_LIST + 1, False), (2**34, False)):
        bound = {**fields, "size": count * PIECE}
        data = json.dumps({**good, **bound, "digest": manifest.digest_of(**bound)}).encode()
        if taken:
            assert manifest.parse(data, "here").count == count
        else:
            with pytest.raises(Corrupt, match=f"are {count} pieces"):
                manifest.parse(data, "here")


def test_a_template_is_kept_as_it_is_and_is_no_part_of_the_digest() -> None:
    plain = made(b"x" * (PIECE + 5))
    template = {"kind": "vm", "memory": 2**30, "context": {"A": [{"input": "B"}]}, "of_a_newer_version": [1, {"a": None}]}
    image = made(b"x" * (PIECE + 5), template=template)
    assert image.digest == plain.digest
    assert manifest.parse(image.to_json(), "here", plain.digest).template == template
    assert image.described(os="BSD").template == image.summary()["template"] == template
    assert b"template" not in plain.to_json()
    deep: Any = {}
    for _level in range(100):
        deep = {"a": deep}
    with pytest.raises(Corrupt, match="template"):
        manifest.parse(json.dumps({**json.loads(plain.to_json()), "template": deep}).encode(), "here")


@pytest.mark.parametrize("new", [{"licence": "x"}, {"zones": [{"a": [1, None]}], "z": 1.5}, {"kept": {"kept": 1}}, {"schema": 1}])
def test_a_key_of_a_newer_version_is_kept(new: dict[str, Any]) -> None:
    image = made(b"x" * (PIECE + 5))
    data = json.dumps({**json.loads(image.to_json()), **new}).encode()
    found = manifest.parse(data, "here", image.digest)
    assert found.digest == image.digest
    assert found.summary() == image.summary()
    assert json.loads(found.described(os="BSD").to_json()) == {**json.loads(data), "os": "BSD"}
    assert manifest.parse(found.to_json(), "here") == found


@pytest.mark.parametrize(
    "new", ["[" * 40 + "]" * 40, '{"a":' * 800 + "1" + "}" * 800, "NaN", "[1e999]", f'"{"x" * manifest.LARGEST_KEPT}"']
)
def test_a_key_that_could_not_be_served_on_is_refused(new: str) -> None:
    """A lying host gave it; a copy of what is nested so deep would end the program."""
    data = made(b"x").to_json().strip()[:-1] + f',"new":{new}}}'.encode()
    with pytest.raises(Corrupt, match=r"here (has|is)"):
        manifest.parse(data, "here")


def test_what_an_older_version_did_not_write_has_its_default() -> None:
    image = made(b"x")
    old = {key: value for key, value in json.loads(image.to_json()).items() if key in manifest.REQUIRED}
    assert manifest.parse(json.dumps(old).encode(), "here") == image


def test_a_higher_schema_needs_an_upgrade() -> None:
    data = {**json.loads(made(b"x").to_json()), "schema": 2, "pieces": "elsewhere"}
    with pytest.raises(Unsupported, match=r"here has schema 2, and this host knows schema 1; upgrade edge\.cloud on this host"):
        manifest.parse(json.dumps(data).encode(), "here")


@pytest.mark.parametrize("key", sorted(manifest.REQUIRED))
def test_what_makes_an_image_is_not_missing(key: str) -> None:
    data = {name: value for name, value in json.loads(made(b"x").to_json()).items() if name != key}
    with pytest.raises(Corrupt, match=f"it has no {key}"):
        manifest.parse(json.dumps(data).encode(), "here")


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


@pytest.mark.parametrize(
    "lie",
    [
        {"root": "0" * 64}, {"size": PIECE + 6}, {"size": 2 * PIECE}, {"virtual_size": 1023},
        {"virtual_size": 2**62}, {"piece_size": 2 * PIECE}, {"digest": "sha256:" + "a" * 64},
    ],
)  # fmt: skip
def test_no_other_image_has_the_digest(lie: dict[str, Any]) -> None:
    image = made(b"x" * PIECE + b"y" * 5)
    with pytest.raises(Corrupt, match="another image"):
        manifest.parse(json.dumps({**json.loads(image.to_json()), **lie}).encode(), "here")


def test_the_digest_is_that_of_its_documented_bytes() -> None:
    """A change of this value makes every image of every user another one."""
    hashes = hashlib.sha256(b"x" * PIECE).digest() + hashlib.sha256(b"y" * 5).digest()
    text = "edge.cloud image 1\nformat qcow2\nsize 65541\nvirtual_size 1024\npiece_size 65536\npieces "
    wanted = "sha256:" + hashlib.sha256(f"{text}{hashlib.sha256(hashes).hexdigest()}\n".encode()).hexdigest()
    assert (
        made(b"x" * PIECE + b"y" * 5).digest
        == wanted
        == ("sha256:3bc6524345cf667e15102ae1872f9153698c524ea934e31003a13bef1aa92df6")
    )


def test_a_description_changes_nothing_of_the_name() -> None:
    image = made(b"x" * (PIECE + 5))
    other = image.described(name="other", version="2", os="BSD", arch="arm", min_disk=5, source="elsewhere")
    assert other.digest == image.digest


@times(2)
@given(ANYTHING)
def test_no_json_makes_it_fall_over(value: object) -> None:
    with pytest.raises(EdgeError):
        manifest.parse(json.dumps(value).encode(), "here")


@pytest.mark.parametrize("length", [40, PIECE, 3 * PIECE + 1])
def test_the_documented_program_gives_the_digest(tmp_path: Path, length: int) -> None:
    """Of any file, since nothing but its bytes counts; the size of the disk is where a qcow2 header has it."""
    path = tmp_path / "file"
    path.write_bytes(b"QFI\xfb".ljust(24, b"\0") + (5 * 2**30).to_bytes(8, "big") + bytes(length - 32))
    wanted = Manifest.new(
        **vars(digest.describe(path)), virtual_size=5 * 2**30, name="a", version="1", created="2026-01-02T03:04:05Z"
    )
    assert digest_of(path) == wanted.digest
    assert digest.checksum_of(path, "image") == f"image:{wanted.hex}"
    assert digest.copy_with_checksum(path, tmp_path / "copy", "image") == f"image:{wanted.hex}"


@pytest.mark.parametrize("length", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_describe_agrees_with_plain_hashing(tmp_path: Path, length: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    path = tmp_path / "file"
    path.write_bytes(data[:length])
    found = digest.describe(path, PIECE)
    wanted = made(data[:length])
    assert (found.size, found.piece_size, found.pieces) == (length, PIECE, wanted.pieces)
