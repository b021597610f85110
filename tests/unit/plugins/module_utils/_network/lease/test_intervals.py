# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals, against sets of numbers."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.intervals import (
    Interval,
    first_block,
    inside,
    interval_of,
    merged,
    next_free,
    size,
    unusable,
    without,
)
from hypothesis import given
from hypothesis import strategies as st

PLACES = st.integers(0, 40)
INTERVALS = st.lists(st.tuples(PLACES, PLACES).map(lambda pair: (min(pair), max(pair))), max_size=8)


def numbers(intervals: list[Interval]) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


@given(INTERVALS, INTERVALS)
def test_intervals_are_as_sets(some: list[Interval], others: list[Interval]) -> None:
    assert numbers(merged(some)) == numbers(some)
    left = without(some, others)
    assert numbers(left) == numbers(some) - numbers(others)
    assert merged(left) == left and size(left) == len(numbers(left))
    assert all(inside(left, number) == (number in numbers(left)) for number in range(-1, 42))


@given(INTERVALS, st.sampled_from([1, 2, 4, 8]))
def test_the_first_block_is_the_lowest(some: list[Interval], length: int) -> None:
    free = numbers(some)
    blocks = [start for start in range(0, 48, length) if set(range(start, start + length)) <= free]
    assert first_block(merged(some), length) == (blocks[0] if blocks else None)


@pytest.mark.parametrize(
    ("subnet", "never"),
    [
        ("192.0.2.0/30", ["192.0.2.0", "192.0.2.3"]),
        ("192.0.2.0/31", []),
        ("192.0.2.0/32", []),
        ("2001:db8::/64", ["2001:db8::"]),
        ("2001:db8::/127", []),
    ],
)
def test_what_no_host_can_have(subnet: str, never: list[str]) -> None:
    assert list(unusable(ip_network(subnet))) == [ip_address(one) for one in never]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.5", "192.0.2.5", "192.0.2.5"),
        ("192.0.2.5/24", "192.0.2.5", "192.0.2.5"),
        ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
        ("192.0.2.5 - 192.0.2.9", "192.0.2.5", "192.0.2.9"),
        ("2001:db8::/112", "2001:db8::", "2001:db8::ffff"),
    ],
)
def test_addresses_subnets_and_ranges_are_read(text: str, first: str, last: str) -> None:
    low, high = ip_address(first), ip_address(last)
    assert interval_of(text, "used") == (low.version, (int(low), int(high)))


@pytest.mark.parametrize("text", ["", "x", "192.0.2.9-192.0.2.5", "192.0.2.1-2001:db8::1", "192.0.2.0/33", "1-2-3"])
def test_no_interval(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^used: "):
        interval_of(text, "used")


def test_the_next_free_address_and_subnet_of_the_largest_subnet() -> None:
    whole = ip_network("2001:db8::/32")
    used = [interval_of(one, "used")[1] for one in ("2001:db8::/64", "2001:db8:0:1::-2001:db8:0:1::9")]
    assert str(next_free(whole, used)) == "2001:db8:0:1::a"
    assert str(next_free(whole, used, 64)) == "2001:db8:0:2::/64"
    assert next_free(ip_network("192.0.2.0/30"), [interval_of("192.0.2.1-192.0.2.2", "used")[1]]) is None
    with pytest.raises(InvalidInput, match=r"^prefix_length: /31"):
        next_free(whole, used, 31)
