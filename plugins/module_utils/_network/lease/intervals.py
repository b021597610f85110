# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of intervals of whole numbers, ends included: its time depends on their number, never on their size. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network

from ..._errors import InvalidInput

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Interval = tuple[int, int]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same numbers in as few intervals as possible, in order."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def without(intervals: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """Return what is in ``intervals`` and not in ``taken``, in order."""
    blocks, place, found = merged(taken), 0, []
    for first, last in merged(intervals):
        start = first
        while place < len(blocks) and blocks[place][1] < start:
            place += 1
        for at in range(place, len(blocks)):
            block_first, block_last = blocks[at]
            if block_first > last:
                break
            if start < block_first:
                found.append((start, block_first - 1))
            start = block_last + 1
            place = at
        if start <= last:
            found.append((start, last))
    return found


def size(intervals: Iterable[Interval]) -> int:
    """Return how many numbers are in intervals that do not overlap."""
    return sum(last - first + 1 for first, last in intervals)


def inside(intervals: Sequence[Interval], number: int) -> bool:
    """Tell whether a number is in one of the intervals, which are in order."""
    place = bisect_right(intervals, number, key=lambda one: one[0]) - 1
    return place >= 0 and number <= intervals[place][1]


def first_block(intervals: Iterable[Interval], length: int) -> int | None:
    """Return the lowest multiple of ``length`` from which ``length`` numbers lie within one of the intervals."""
    for first, last in intervals:
        start = -(-first // length) * length
        if start + length - 1 <= last:
            return start
    return None


def next_free(within: Subnet, used: Iterable[Interval], prefix_length: int | None = None) -> Address | Subnet | None:
    """Return the lowest free address that a host can have, or the lowest free subnet of a prefix length; None if there is none."""
    whole = (int(within.network_address), int(within.broadcast_address))
    if prefix_length is None:
        specials = [(int(address), int(address)) for address in unusable(within)]
        free = without([whole], [*used, *specials])
        return type(within.network_address)(free[0][0]) if free else None
    if not within.prefixlen <= prefix_length <= within.max_prefixlen:
        raise InvalidInput(
            f"prefix_length: /{prefix_length} is not a subnet of {within}; give {within.prefixlen} to {within.max_prefixlen}.",
            option="prefix_length",
        )
    start = first_block(without([whole], used), 1 << (within.max_prefixlen - prefix_length))
    return None if start is None else ip_network((type(within.network_address)(start), prefix_length))


def unusable(subnet: Subnet) -> dict[Address, str]:
    """Return the addresses that no host can have, and what they are: RFC 3021 and RFC 6164 free both of a /31 and /127."""
    if subnet.max_prefixlen - subnet.prefixlen < 2:
        return {}
    if subnet.version == 6:
        return {subnet.network_address: "the subnet-router anycast address"}
    return {subnet.network_address: "the network address", subnet.broadcast_address: "the broadcast address"}


def interval_of(text: str, option: str) -> tuple[int, Interval]:
    """Return version and interval of an address, a subnet or ``first-last``; an address with prefix length is that address."""
    try:
        first, last = _ends(text)
    except ValueError as error:
        raise InvalidInput(
            f"{option}: {text!r} is not an address, subnet or range ({error}); write it as 192.0.2.10, 192.0.2.0/24 or "
            "192.0.2.10-192.0.2.19.",
            option=option,
        ) from None
    if first.version != last.version or int(first) > int(last):
        raise InvalidInput(f"{option}: {text!r} does not lead from an address to a higher one of its family.", option=option)
    return first.version, (int(first), int(last))


def _ends(text: str) -> tuple[Address, Address]:
    ends = [part.strip() for part in text.split("-")]
    if len(ends) == 2:
        return ip_address(ends[0]), ip_address(ends[1])
    found = ip_interface(text.strip())
    if "/" in text and found.ip == found.network.network_address:
        return found.network.network_address, found.network.broadcast_address
    return found.ip, found.ip
