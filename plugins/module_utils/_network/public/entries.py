# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a public address is made of on a host: routes, neighbours, answers to ARP and NDP, and elements of our tables. Pure.

What ip(8) makes bears PROTOCOL as its mark, and what nft(8) makes is in tables of our name; nothing else is ever changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

PROTOCOL = "219"  # of routes, neighbours and proxies: of no program in rt_protos
GATEWAY4 = "169.254.1.1"  # what guests use as their gateway; each host answers its own guests
GATEWAY6 = "fe80::a9fe:101"
SHARED = ""
USUAL_DELAY = 800  # the kernel's, of answers for others in ms
Words = tuple[str, ...]


@dataclass(frozen=True, order=True)
class Entry:
    """One thing of a host. ``of`` is the public address that it is for, or empty if several share it.

    By kind, ``words`` are: route (destination, link), neighbour (address, link, MAC), proxy and gateway (address, link), setting
    (the path of a sysctl), element (table, set, element).
    """

    kind: str
    of: str
    words: Words

    @property
    def key(self) -> tuple[str, Words]:
        """What it is, whichever address it is for."""
        return self.kind, self.words


def added(entry: Entry) -> tuple[Words, ...]:
    """Return the words of ip(8) that make an entry."""
    address, link, *more = entry.words
    if entry.kind == "route":
        return (("route", "replace", _cidr(address), "dev", link, "proto", PROTOCOL),)
    if entry.kind == "neighbour":
        return (("neigh", "replace", address, "lladdr", more[0], "dev", link, "nud", "permanent", "protocol", PROTOCOL),)
    if entry.kind == "proxy":
        answer = ("neigh", "replace", "proxy", address, "dev", link, "protocol", PROTOCOL)
        return (answer, _delay(link, 0)) if address == GATEWAY4 else (answer,)
    return (("addr", "replace", f"{address}/64", "dev", link, "nodad"),)


def removed(entry: Entry) -> tuple[Words, ...]:
    """Return the words of ip(8) that take an entry away."""
    address, link = entry.words[:2]
    if entry.kind == "route":
        return (("route", "del", _cidr(address), "dev", link, "proto", PROTOCOL),)
    if entry.kind == "neighbour":
        return (("neigh", "del", address, "dev", link),)
    if entry.kind == "proxy":
        answer = ("neigh", "del", "proxy", address, "dev", link)
        return (answer, _delay(link, USUAL_DELAY)) if address == GATEWAY4 else (answer,)
    return (("addr", "del", f"{address}/64", "dev", link),)


def _delay(link: str, milliseconds: int) -> Words:
    # The kernel waits up to this long before it answers for another, so that two that do so do not answer at once.
    return ("ntable", "change", "name", "arp_cache", "dev", link, "proxy_delay", str(milliseconds))


def _cidr(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"
