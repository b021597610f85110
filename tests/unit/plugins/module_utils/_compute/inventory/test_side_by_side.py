# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that does not answer: it takes no place from other work, and its time passes once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, Lock

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.side_by_side import side_by_side
from support.waiting import LIMIT

Tell = Callable[[str], None]


@pytest.mark.parametrize("every", [25, 2])
def test_all_others_are_served_while_some_never_answer(every: int) -> None:
    """Of 1,250 some are silent, at most more than there are places; they answer only once all others have."""
    count, lock, done = 1250, Lock(), Event()
    left = [count - count // every]

    def live(place: int, _tell: Tell) -> str:
        with lock:
            left[0] -= 1
            if not left[0]:
                done.set()
        return f"live {place}"

    def silent(place: int, _tell: Tell) -> str:
        return f"freed {place}" if done.wait(LIMIT) else "never"

    works = [partial(live if place % every else silent, place) for place in range(count)]
    found = side_by_side(works, LIMIT, lambda place: f"late {place}")
    assert found == [f"{'live' if place % every else 'freed'} {place}" for place in range(count)]


def test_what_is_late_has_what_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    never = Event()

    def told(tell: Tell) -> str:
        tell("first")
        tell("a part")
        never.wait(LIMIT)
        return "all"

    def silent(_tell: Tell) -> str:
        never.wait(LIMIT)
        return "all"

    try:
        assert side_by_side([told, silent] * 3, 0.5, lambda place: f"late {place}") == [
            *("a part", "late 1"), *("a part", "late 3"), *("a part", "late 5")
        ]  # fmt: skip
    finally:
        never.set()


def test_an_exception_is_raised() -> None:
    def bad(_tell: Tell) -> str:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        side_by_side([bad], LIMIT, lambda _place: "late")
    assert side_by_side([], LIMIT, lambda _place: "late") == []
