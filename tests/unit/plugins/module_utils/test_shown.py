# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in messages: a few of them, the likeliest first, at a cost that grows with their number and no faster."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._shown import counted, few, nearest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue


@pytest.mark.parametrize(("number", "text"), [(0, "0 replica hosts"), (1, "1 replica host"), (2, "2 replica hosts")])
def test_one_thing_is_not_called_several(number: int, text: str) -> None:
    assert counted(number, "replica host") == text


def entry(name: str, version: str = "1") -> catalogue.Entry:
    return catalogue.Entry(name, version, f"sha256:{'0' * 64}", 1, 1, "qcow2", "", "amd64", 1, "")


def lines_run(entries: list[catalogue.Entry], name: str) -> int:
    """Return how many lines of Python the search for an image that is not there takes."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(NotFound):
            catalogue.resolve(entries, name, None, "the catalogue")
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("length", [20, 128])
def test_the_cost_of_an_error_grows_no_faster_than_the_number_of_names(length: int) -> None:
    """The names are all alike; what is costly is done for a few of them, and what is done for each is cheap."""
    wanted = "debian-web-".ljust(length, "x")
    made = [entry(f"debian-web-{number:05d}".ljust(length, "x")) for number in range(1600)]
    few_names, many_names = lines_run(made[:400], wanted), lines_run(made, wanted)
    assert many_names < 2 * few_names, f"four times the names: {few_names} and {many_names} lines"


def test_the_names_most_like_it_come_first() -> None:
    names = [*(f"customer-{number:04d}" for number in range(3000)), "debian-13", "Debian-web", "alpine", "debian-12"]
    assert nearest("debain-13", names)[:2] == ["debian-13", "debian-12"]
    assert nearest("customer-2999x", names)[0] == "customer-2999"
    assert sorted(nearest("debian", names)) == sorted(names)
    assert nearest("", ["b", "a", "a"]) == ["a", "b"]
    assert nearest("a", []) == []


def test_a_message_shows_a_few_names_of_thousands() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few([]) == "none"
    assert few([], otherwise="nothing") == "nothing"
    assert few(map(str, range(1000)), 3) == "0, 1, 2, and 997 more"
    for entries, name in (
        ([entry(f"n{number}") for number in range(3000)], "m"),
        ([entry("m", str(number)) for number in range(3000)], "m"),
    ):
        with pytest.raises(NotFound) as error:
            catalogue.resolve(entries, name, "x", "the catalogue")
        assert len(error.value.message) < 300
        assert "and 2988 more" in error.value.message


def test_the_newest_versions_are_shown() -> None:
    with pytest.raises(NotFound, match=r"it has 100, 99, 98, .*, and 88 more"):
        catalogue.resolve([entry("m", str(number)) for number in range(1, 101)], "m", "x", "the catalogue")
