# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and routes as data, read from ip(8) with all that they have, so that they can be put on another link whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from itertools import pairwise
from typing import Any

Words = tuple[str, ...]
PLAIN = {"proto": "boot", "scope": "global", "table": "main", "pref": "medium"}  # what a route has without the word
VALUES = (
    "via",
    "dev",
    "proto",
    "scope",
    "table",
    "metric",
    "src",
    "tos",
    "realm",
    "realms",
    "pref",
    "expires",
    "from",
    "ttl-propagate",
)
METRICS = (
    *("mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "features", "rto_min"),
    *("initrwnd", "quickack", "congctl"),
)
STATES = ("linkdown", "dead", "offload", "rt_offload", "offload_failed", "trap", "rt_trap", "notify")
NOT_CONFIGURED = ("kernel", "redirect")
FOREVER = 2**32 - 1
FLAGS = ("noprefixroute", "home", "nodad", "mngtmpaddr", "autojoin")
KNOWN = {
    *("family", "local", "prefixlen", "address", "broadcast", "scope", "label", "dynamic", "temporary", "deprecated", "tentative"),
    *("metric", "valid_life_time", "preferred_life_time", "secondary", "dadfailed", "optimistic", "stable-privacy", "protocol"),
    *FLAGS,
}


@dataclass(frozen=True)
class Address:
    """One address of a link; ``dynamic`` ones come from DHCP or router advertisements and last for their ``lifetime``.

    ``words`` are those of ``ip`` for what else it has, ``label`` is the end of its label, and ``held`` says why it cannot move.
    """

    cidr: str
    dynamic: bool = False
    peer: str = ""
    words: Words = ()
    label: str = ""
    lifetime: Words = ()
    temporary: bool = False
    held: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_interface(self.cidr).version

    @property
    def leased(self) -> bool:
        """True for one that a DHCP server gave to this link."""
        return self.dynamic and (self.version == 4 or self.cidr.endswith("/128"))

    @property
    def target(self) -> Words:
        """The words of ``ip`` that name it."""
        return (self.cidr.partition("/")[0], "peer", self.peer) if self.peer else (self.cidr,)

    def on(self, dev: str, *, lasting: bool = False) -> Words:
        """Return the words of ``ip`` that put this address on ``dev``; ``lasting`` makes a static one of a dynamic one."""
        label = ("label", f"{dev}{self.label}") if self.label else ()
        return ("addr", "replace", *self.target, "dev", dev, *self.words, *label, *(() if lasting else self.lifetime))


@dataclass(frozen=True)
class Route:
    """A route that was configured (not the kernel's own), with the words of ``ip`` that add it, except its device.

    ``held`` says why it cannot be put on another link.
    """

    dst: str
    dev: str
    version: int
    words: Words
    gateway: str | None = None
    protocol: str = "boot"
    table: str = "main"
    held: str = ""

    @property
    def is_default(self) -> bool:
        """True for the default route of the main table."""
        return self.dst in ("default", "0.0.0.0/0", "::/0") and self.table == "main"

    @property
    def advertised(self) -> bool:
        """True for a route from a router advertisement."""
        return self.protocol == "ra"

    def on(self, dev: str) -> Words:
        """Return the words of ``ip`` that put this route, same destination and metric, on ``dev``, replacing it where it is."""
        return (f"-{self.version}", "route", "replace", *self.words, "dev", dev)


def put(routes: tuple[Route, ...], dev: str) -> tuple[Words, ...]:
    """Return the words of ``ip`` that put routes on ``dev``: first those that lead to the gateways of others."""
    return tuple(route.on(dev) for route in sorted(routes, key=lambda route: route.gateway is not None))


def drop(addresses: tuple[Address, ...], dev: str) -> tuple[Words, ...]:
    """Return the words of ``ip`` that take addresses off ``dev``, in this order.

    The kernel leaves the route to the subnet of a dynamic IPv6 address behind, so such a one is made a static one first.
    """
    six = [address for address in addresses if address.dynamic and address.version == 6]
    ever = ("valid_lft", "forever", "preferred_lft", "forever")
    return (
        *((*address.on(dev, lasting=True), *ever) for address in six),
        *(("addr", "del", *address.target, "dev", dev) for address in addresses),
    )


def read_address(item: Mapping[str, Any], link: str) -> Address:
    """Return an address from the JSON of ``ip -details address``."""
    label = str(item.get("label", link))
    strange = sorted(set(item) - KNOWN) + ([f"the label {label}"] if label != link and not label.startswith(f"{link}:") else [])
    given = [(word, str(item[word])) for word in ("broadcast", "metric") if word in item]
    given += [("scope", item["scope"])] if item.get("scope", "global") != "global" else []
    words = [word for pair in given for word in pair] + [flag for flag in FLAGS if item.get(flag)]
    dynamic = bool(item.get("dynamic"))
    if item.get("deprecated") and not dynamic:
        words += ["preferred_lft", "0"]
    times = [("valid_lft", item.get("valid_life_time", FOREVER)), ("preferred_lft", item.get("preferred_life_time", FOREVER))]
    return Address(
        cidr=f"{item['local']}/{32 if item.get('address') and item['family'] == 'inet' else item['prefixlen']}",
        dynamic=dynamic,
        peer=f"{item['address']}/{item['prefixlen']}" if item.get("address") else "",
        words=tuple(words),
        label=label.removeprefix(link) if label.startswith(f"{link}:") else "",
        lifetime=tuple(text for word, seconds in times for text in (word, _seconds(seconds))) if dynamic else (),
        temporary=bool(item.get("temporary")),
        held=f"has {', '.join(strange)}" if strange else "",
    )


def _seconds(seconds: int) -> str:
    return "forever" if seconds == FOREVER else str(seconds)


def read_routes(text: str, version: int) -> list[Route]:
    """Return the configured routes from the text of ``ip -details route``, which is made of the words that add them.

    A route over several links is there once for each.
    """
    found: list[Route] = []
    for head, rest in _blocks(text):
        found += _read_route(head.split(), rest, version)
    return found


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Return each route's first line and those that belong to it."""
    lines = [line for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if not line[0].isspace()]
    for start, end in pairwise((*starts, len(lines))):
        yield lines[start], lines[start + 1 : end]


def _read_route(line: list[str], rest: list[str], version: int) -> list[Route]:
    kind, dst = line[0], line[1]
    found, strange = _attributes(line[2:])
    protocol, table = _after(line, "proto") or "boot", _after(line, "table") or "main"
    hops = [words.split() for words in rest if words.split()[0] == "nexthop"]
    devices = sorted({dev for words in (hops or [line]) if (dev := _after(words, "dev"))})
    if protocol in NOT_CONFIGURED or table == "local" or kind in ("local", "broadcast", "anycast"):
        return []
    held = f"has {', '.join(strange)}" if strange else ""
    if hops:
        held = f"has several next hops ({' and '.join(devices)})"
    elif kind != "unicast":
        held = f"is of type {kind}"
    words = [word for key, values in found.items() if key != "dev" and [PLAIN.get(key)] != values for word in (key, *values)]
    gateway = found["via"][-1] if "via" in found else None
    onlink = ("onlink",) if "onlink" in line else ()
    return [Route(dst, dev, version, (dst, *words, *onlink), gateway, protocol, table, held) for dev in devices]


def _after(line: list[str], word: str) -> str:
    return line[line.index(word) + 1] if word in line[:-1] else ""


def _attributes(line: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the words of a route with their values, and those that cannot be restored."""
    found: dict[str, list[str]] = {}
    strange, words = [], iter(line)
    for word in words:
        if word in VALUES or word in METRICS:
            value = next(words, "")
            values = [value, next(words, "")] if value in ("lock", "inet", "inet6") else [value]
            found["realms" if word == "realm" else word] = _accepted(word, values)
        elif word not in (*STATES, "onlink"):
            strange.append(word)
            break  # what follows may belong to it
    return found, strange


def _accepted(word: str, values: list[str]) -> list[str]:
    """Return values as ``ip`` reads them, which is not always as it prints them."""
    if word == "rto_min":
        return values[-1:]
    return [value.removesuffix("sec") for value in values] if word == "expires" else values
