# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, sizes and versions at the edge."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage import names
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 2**40), st.sampled_from(["", "K", "MiB", "gb", "T"]))
def test_sizes_are_powers_of_1024(number: int, unit: str) -> None:
    power = {"": 0, "K": 1, "MiB": 2, "gb": 3, "T": 4}[unit]
    if number * 1024**power <= names.LARGEST:
        assert names.size_in_bytes(f"{number}{unit}", "size") == number * 1024**power


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "10X", "9999999999P", "1 G", "G", "١G"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        names.size_in_bytes(text, "size")


@pytest.mark.parametrize("text", ["", "../x", "a/b", ".hidden", "a b", "a\n", "a\0", "-rf", "x" * 129, None, 3])
def test_a_name_that_could_leave_its_place_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput):
        names.image_name(text)


@pytest.mark.parametrize("text", ["sha256:" + "A" * 64, "sha256:" + "a" * 63, "a" * 64, f"sha256:{'a' * 64}\n", "md5:" + "a" * 32])
def test_only_a_whole_digest_is_one(text: str) -> None:
    with pytest.raises(InvalidInput):
        names.digest(text)


@pytest.mark.parametrize("text", ["relative", "json:{}", "nbd://host/x", "/a/../b", "/a\0b"])
def test_only_an_absolute_path_is_handed_on(text: str) -> None:
    with pytest.raises(InvalidInput):
        names.absolute_path(text)


def test_weak_checksums_count_as_none() -> None:
    assert names.checksum("SHA256:" + "AB" * 32) == "sha256:" + "ab" * 32
    for weak in ("md5:" + "a" * 32, "sha1:" + "a" * 40):
        with pytest.raises(InvalidInput):
            names.checksum(weak)


def test_versions_sort_as_people_read_them() -> None:
    ordered = ["12.9", "12.10", "13~rc1", "13", "13.0", "13.0.1", "20261101", "20261122"]
    assert sorted(set(ordered), key=names.version_key) == ordered
