# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for the largest packet that a path carries: on every width, with answers that are lost or late."""

from __future__ import annotations

import random

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.path.search import LEAST, TRIES, Search

MOST_WAVES = TRIES * 6


def found(search: Search, width: int, answers: random.Random | None = None) -> int:
    """Return how many waves a search takes where packets up to ``width`` bytes pass; some answers come two waves late."""
    late: list[tuple[int, int]] = []
    for number in range(1000):
        if search.done:
            return number
        for size in search.wave():
            if size <= width:
                late.append((number + (answers.choice((0, 0, 0, 2)) if answers else 0), size))
        for _when, size in [one for one in late if one[0] <= number]:
            search.answered(size)
        late = [one for one in late if one[0] > number]
    raise AssertionError(f"{search} did not end for {width}")


@pytest.mark.parametrize("needed", [LEAST, 576, 1500, 9000, 65535])
def test_every_width_is_found_to_the_byte(needed: int) -> None:
    for width in {LEAST, LEAST + 1, needed - 1, needed, needed + 100, *range(LEAST, needed, 97)} - {LEAST - 1}:
        search = Search(needed)
        waves = found(search, width)
        assert search.passed == min(width, needed)
        assert waves <= MOST_WAVES, width


def test_answers_that_are_late_count() -> None:
    for seed in range(200):
        answers = random.Random(seed)
        width = answers.randrange(LEAST, 1600)
        search = Search(1500)
        found(search, width, answers)
        assert search.passed == min(width, 1500), seed


def test_a_host_that_does_not_answer_yet_is_asked_on() -> None:
    search = Search(1500)
    for _number in range(100):
        assert search.wave() == (LEAST, 1500)
        assert not search.done
    assert found(search, 1500) == 1


def test_an_answer_to_what_counted_as_lost_is_right() -> None:
    search = Search(1500)
    search.answered(LEAST)
    while search.lost == 1501:
        search.wave()
    assert search.lost == 1500
    search.answered(1500)
    assert search.done
    assert search.passed == 1500
