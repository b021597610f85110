# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What garbage collection decides, over all states that hypothesis thinks of."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import (
    FITS,
    Cache,
    Cached,
    Leftover,
    Limits,
    RemoveCached,
    decide,
    quota_of,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 10_000.0
IMAGES = st.lists(
    st.builds(
        Cached,
        digest=st.integers(0, 99).map(lambda number: f"sha256:{number:064d}"),
        size=st.integers(0, 50),
        last_use=st.floats(0, NOW + 100),
        pinned=st.booleans(),
        users=st.sampled_from([(), (), ("/vms/a",)]),
        busy=st.sampled_from([False, False, True]),
        orphan=st.sampled_from([False, False, True]),
    ),
    unique_by=lambda image: image.digest,
    max_size=12,
)
CACHES = st.builds(Cache, IMAGES.map(tuple), st.just((Leftover("import-x", 3),)) | st.just(()))
LIMITS = st.builds(Limits, st.none() | st.integers(0, 300), st.floats(0, NOW))


def taken(state: Cache, limits: Limits) -> list[Cached]:
    return [step.image for step in decide(state, limits, NOW).plan.steps if isinstance(step, RemoveCached)]


@given(CACHES, LIMITS)
def test_nothing_goes_that_is_needed_pinned_busy_or_young(state: Cache, limits: Limits) -> None:
    for image in taken(state, limits):
        assert not (image.users or image.pinned or image.busy)
        assert NOW - image.last_use >= limits.minimum_age


@given(CACHES, LIMITS)
def test_no_more_goes_than_the_quota_needs_and_the_oldest_first(state: Cache, limits: Limits) -> None:
    gone = [image for image in taken(state, limits) if not image.orphan]
    if not gone:
        return
    assert limits.quota is not None
    after = decide(state, limits, NOW).plan.after
    assert after.bytes + gone[-1].size > limits.quota
    assert gone == sorted(gone, key=lambda image: (image.last_use, image.digest))
    free = [one for one in after.images if decide(state, limits, NOW).kept[one.digest] == FITS]
    assert all(one.last_use >= gone[-1].last_use for one in free)


@given(CACHES, LIMITS)
def test_every_image_goes_or_is_kept_for_a_reason_and_the_rest_is_reported(state: Cache, limits: Limits) -> None:
    decision = decide(state, limits, NOW)
    assert {image.digest for image in taken(state, limits)} | set(decision.kept) == {image.digest for image in state.images}
    assert {image.digest for image in decision.plan.after.images} == set(decision.kept)
    assert decision.over == (max(0, decision.plan.after.bytes - limits.quota) if limits.quota is not None else 0)
    assert not (decision.over and FITS in decision.kept.values())
    assert decision.plan.after.leftovers == ()


@given(CACHES, LIMITS)
def test_a_second_collection_finds_nothing(state: Cache, limits: Limits) -> None:
    again = decide(decide(state, limits, NOW).plan.after, limits, NOW)
    assert not again.plan.changed


def test_the_reasons_are_words() -> None:
    images = (
        Cached("sha256:1", 5, 0, "a 1", users=("/vms/x", "/vms/y")),
        Cached("sha256:2", 5, 0, "a 2", pinned=True),
        Cached("sha256:3", 5, 0, "a 3", busy=True),
        Cached("sha256:4", 5, NOW - 10, "a 4"),
        Cached("sha256:5", 5, 0, "a 5"),
        Cached("sha256:6", 7, 0, orphan=True),
    )
    decision = decide(Cache(images, (Leftover("x.lock", 0),)), Limits(0, 60), NOW)
    assert dict(decision.kept) == {
        "sha256:1": "it is used by /vms/x, /vms/y",
        "sha256:2": "it is pinned",
        "sha256:3": "a process uses it now",
        "sha256:4": "it was used in the last 60 seconds",
    }
    assert decision.over == 20
    assert decision.plan.actions == [
        "Remove x.lock, 0 bytes that a killed process left.",
        "Remove the file without a manifest of sha256:6, 7 bytes.",
        "Remove the image a 5 (sha256:5), 5 bytes.",
    ]


@pytest.mark.parametrize(
    ("in_bytes", "percent", "limit"),
    [(None, None, None), (10, None, 10), (None, 50, 500), (10, 50, 10), (900, 50.0, 500), (0, 9, 0)],
)
def test_the_tighter_quota_counts(in_bytes: int | None, percent: float | None, limit: int | None) -> None:
    assert quota_of(in_bytes, percent, 1000) == limit


def test_impossible_limits_are_refused() -> None:
    for percent in (-1, 100.5, float("nan")):
        with pytest.raises(InvalidInput):
            quota_of(None, percent, 1000)
    for wrong in ((-1, 0.0), (0, -1.0)):
        with pytest.raises(InvalidInput):
            Limits(*wrong)
