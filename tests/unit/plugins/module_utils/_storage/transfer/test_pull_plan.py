# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a pull, by properties."""

from __future__ import annotations

from itertools import pairwise

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import SMALLEST_PIECE, Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer import pull_plan
from hypothesis import given
from hypothesis import strategies as st


def of(size: int) -> Manifest:
    hashes = ("a" * 64,) * -(-size // SMALLEST_PIECE)
    bound = {"size": size, "virtual_size": 1, "piece_size": SMALLEST_PIECE, "pieces": hashes}
    return Manifest.new(**bound, name="n", version="1", created="2026-01-02T03:04:05Z")


sizes = st.integers(1, 40 * SMALLEST_PIECE)


@given(sizes, st.sets(st.integers(0, 39)))
def test_runs_and_good_pieces_are_the_whole_image_once(size: int, good: set[int]) -> None:
    image = of(size)
    runs = list(pull_plan.missing(image, good))
    fetched = [index for run in runs for index in range(run.first, run.end)]
    assert fetched == sorted(set(range(len(image.pieces))) - good)
    assert all(run.offset == run.first * image.piece_size and run.length > 0 for run in runs)
    assert all(one.end < two.first for one, two in pairwise(runs)), "two runs that touch would be two requests"
    kept = sum(image.piece_length(index) for index in good if index < len(image.pieces))
    assert pull_plan.bytes_missing(image, good) == size - kept
