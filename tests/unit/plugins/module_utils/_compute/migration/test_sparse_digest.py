# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the digest that a file's holes cost nothing."""

from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.sparse_digest import BLOCK, SparseDigest
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.lists(st.tuples(st.sampled_from([0, 7]), st.integers(0, 3 * BLOCK)), max_size=6)


def of(parts: list[tuple[int, int]], holes: bool) -> str:
    digest = SparseDigest()
    for byte, size in parts:
        if holes and byte == 0:
            digest.zeros(size)
        else:
            digest.update(bytes([byte]) * size)
    return digest.hexdigest()


def whole(parts: list[tuple[int, int]]) -> bytes:
    return b"".join(bytes([byte]) * size for byte, size in parts)


@given(PARTS, st.integers(1, 2 * BLOCK))
def test_it_is_of_the_bytes_however_they_come(parts: list[tuple[int, int]], step: int) -> None:
    data, digest = whole(parts), SparseDigest()
    for at in range(0, len(data), step):
        digest.update(data[at : at + step])
    assert digest.hexdigest() == of(parts, holes=True) == of(parts, holes=False)


@given(PARTS, PARTS)
def test_other_bytes_have_another(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    assert (of(one, holes=True) == of(two, holes=True)) == (whole(one) == whole(two))


def test_a_hole_of_any_size_costs_nothing() -> None:
    """Zeros of a petabyte: to hash them would take days."""
    assert of([(7, 5), (0, 2**50), (7, 5)], holes=True) != of([(7, 5), (0, 2**50 + BLOCK), (7, 5)], holes=True)
