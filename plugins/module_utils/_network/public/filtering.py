# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our tables of nftables: a guest sends only from its own address, and NAT is one to one. Pure.

The bridge table looks at frames in prerouting, before a bridge learns from them. The MAC address of an owner is at its tap only,
and only its tap with that may send from the public address; the gateway of guests is asked for by taps only, so that each host
answers its own guests. The inet table lets nothing be routed from a bridge, or from another virtual network to the outside, whose
sender the host has no route to there. It looks at frames to the bridge itself only: with br_netfilter those between guests pass it
too. A private address is behind NAT for all but its own network, although the host has a route to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from ..._taps import PREFIX
from ..virtual.names import BRIDGE as NETWORKS
from .entries import GATEWAY4, GATEWAY6, SHARED, Entry

BRIDGE, INET, NAT = "bridge edge_public", "inet edge_public", "inet edge_public_nat"
TAPS = ("vnet", PREFIX)  # libvirt's and ours
TARGET = "@th,64,128"  # of an ND message: nft 1.0.6 has no word for it
FILTER = "type filter hook {} priority {}; policy accept;"
TRANSLATE = "type nat hook {} priority {}; policy accept;"
DIRECT = "ct direction original ct status & dnat == 0"  # it was not sent to the public address
GATEWAY6_NUMBER = hex(int(ip_address(GATEWAY6)))


@dataclass(frozen=True)
class Table:
    """A table as it should be: sets and maps by name, chains, and rules with their chain."""

    sets: Mapping[str, str]
    chains: Mapping[str, str]
    rules: tuple[tuple[str, str], ...]

    @property
    def version(self) -> str:
        """A hash of all but the elements, which each rule has as its comment."""
        return sha256(repr((sorted(self.sets.items()), sorted(self.chains.items()), self.rules)).encode()).hexdigest()[:16]


TABLES = {
    BRIDGE: Table(
        {
            "ports": "set type ifname . ether_addr;",
            "macs": "set type ether_addr;",
            **{f"owned{v}": f"set type ifname . ether_addr . ipv{v}_addr;" for v in (4, 6)},
            **{f"public{v}": f"set type ipv{v}_addr;" for v in (4, 6)},
            **{f"guarded{v}": f"set type ether_addr . ipv{v}_addr;" for v in (4, 6)},
            "claims6": f"set typeof {TARGET};",
        },
        {"from_tap": "", "of_mac": "", "prerouting": FILTER.format("prerouting", -240)},
        (
            *(("from_tap", f'iifname "{prefix}*" return') for prefix in TAPS),
            ("from_tap", "drop"),
            ("of_mac", "iifname . ether saddr @ports return"),
            ("of_mac", "drop"),
            ("prerouting", "ether saddr @macs jump of_mac"),
            ("prerouting", f"arp saddr ip {GATEWAY4} drop"),
            ("prerouting", f"arp daddr ip {GATEWAY4} jump from_tap"),
            ("prerouting", "iifname . ether saddr . arp saddr ip @owned4 accept"),
            ("prerouting", "arp saddr ip @public4 drop"),
            ("prerouting", "iifname . ether saddr . ip saddr @owned4 accept"),
            ("prerouting", "ip saddr @public4 drop"),
            ("prerouting", "ether daddr . ip saddr @guarded4 drop"),
            ("prerouting", f"ip6 saddr {GATEWAY6} drop"),
            ("prerouting", f"icmpv6 type nd-neighbor-advert {TARGET} {GATEWAY6_NUMBER} drop"),
            ("prerouting", f"icmpv6 type nd-neighbor-advert {TARGET} @claims6 drop"),
            ("prerouting", f"icmpv6 type nd-neighbor-solicit {TARGET} {GATEWAY6_NUMBER} jump from_tap"),
            ("prerouting", "iifname . ether saddr . ip6 saddr @owned6 accept"),
            ("prerouting", "ip6 saddr @public6 drop"),
            ("prerouting", "ether daddr . ip6 saddr @guarded6 drop"),
        ),
    ),
    INET: Table(
        {"links": "set type ifname;", "bridges": "set type ifname . ether_addr;"},
        {
            "input": FILTER.format("input", -10),
            "forward": FILTER.format("forward", -10),
            "output": FILTER.format("output", -10),
        },
        (
            ("input", f"iifname . ether daddr @bridges ip6 daddr {GATEWAY6} meta l4proto != ipv6-icmp drop"),
            ("forward", "iifname . ether daddr @bridges fib saddr . iif oif missing drop"),
            ("forward", f'iifname "{NETWORKS}*" oifname != "{NETWORKS}*" fib saddr . iif oif missing drop'),
            ("output", "oifname @links icmp type redirect drop"),
            ("output", "oifname @links icmpv6 type nd-redirect drop"),
        ),
    ),
    NAT: Table(
        {
            "uplinks": "set type ifname;",
            **{f"private{v}": f"set type ipv{v}_addr;" for v in (4, 6)},
            **{f"origins{v}": f"set type ifname . ipv{v}_addr;" for v in (4, 6)},
            **{f"{name}{v}": f"map type ipv{v}_addr : ipv{v}_addr;" for name in ("dnat", "snat") for v in (4, 6)},
        },
        {
            "prerouting": TRANSLATE.format("prerouting", -110),
            "output": TRANSLATE.format("output", -110),
            "postrouting": TRANSLATE.format("postrouting", 90),
            "forward": FILTER.format("forward", -10),
        },
        (
            *(
                (chain, f"dnat {ip} to {ip} daddr map @dnat{v}")
                for chain in ("prerouting", "output")
                for ip, v in (("ip", 4), ("ip6", 6))
            ),
            *(
                ("postrouting", f"{match} snat {ip} to {ip} saddr map @snat{v}")
                for match in ("oifname @uplinks", "ct status dnat")
                for ip, v in (("ip", 4), ("ip6", 6))
            ),
            *(("forward", f"{ip} saddr @private{v} iifname . {ip} saddr != @origins{v} drop") for ip, v in (("ip", 4), ("ip6", 6))),
            *(
                ("forward", f"{other} {ip} daddr @private{v} iifname . {ip} daddr != @origins{v} {DIRECT} drop")
                for other in ("iifname @uplinks", f'iifname "{NETWORKS}*"')
                for ip, v in (("ip", 4), ("ip6", 6))
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Filter:
    """Our tables as a host has them: those whose rules are exactly ours, those that are there, and all elements."""

    whole: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    elements: frozenset[Entry] = frozenset()


def element(table: str, name: str, *parts: str, of: str = SHARED) -> Entry:
    """Return an element of a set; a part is a word as nft reads it, without quotes."""
    return Entry("element", of, (table, name, *parts))


def text(found: Filter, removed: Iterable[Entry], added: Iterable[Entry], wanted: frozenset[str]) -> str:
    """Return nft's input, one transaction, that takes elements away and adds others; ``wanted`` are the tables that stay.

    A table whose rules are not ours is made again with all its elements, which ``added`` has then.
    """
    lines: list[str] = []
    for name in TABLES:
        if name not in wanted:
            lines += [f"delete table {name}"] if name in found.there else []
            continue
        if name not in found.whole:
            lines += _table(name, name in found.there)
        else:
            lines += [f"delete element {name} {_written(one)}" for one in sorted(removed) if one.words[0] == name]
        lines += [f"add element {name} {_written(one)}" for one in sorted(added) if one.words[0] == name]
    return "".join(f"{line}\n" for line in lines)


def read(table: str, listed: list[dict[str, Any]]) -> tuple[bool, frozenset[Entry]]:
    """Return whether a table is as it should be except for its elements, and these, from ``nft -j list table``."""
    meant = TABLES[table]
    sets = {one["name"]: one for item in listed for kind, one in item.items() if kind in ("set", "map")}
    comments = [str(item["rule"].get("comment", "")) for item in listed if "rule" in item]
    chains = {item["chain"]["name"] for item in listed if "chain" in item}
    whole = comments == [meant.version] * len(meant.rules) and set(sets) == set(meant.sets) and chains == set(meant.chains)
    found = frozenset(element(table, name, *_parts(name, raw)) for name, one in sets.items() for raw in one.get("elem", ()))
    return whole, found


def _parts(name: str, raw: Any) -> tuple[str, ...]:
    """Return the parts of an element of nft's JSON; of a map, key and value."""
    if isinstance(raw, dict):
        raw = raw.get("concat", raw.get("elem", raw))
    if isinstance(raw, dict):  # with a counter or a comment
        raw = raw.get("val", raw)
    parts = tuple(map(str, raw)) if isinstance(raw, list) else (str(raw),)
    return tuple(str(int(part, 0)) for part in parts) if name.startswith("claims") else parts


def _table(name: str, there: bool) -> list[str]:
    meant = TABLES[name]
    again = [f"delete table {name}"] if there else []
    return [
        *again,
        f"add table {name}",
        *(f"add {kind.partition(' ')[0]} {name} {one} {{ {kind.partition(' ')[2]} }}" for one, kind in meant.sets.items()),
        *(f"add chain {name} {one}" + (f" {{ {hook} }}" if hook else "") for one, hook in meant.chains.items()),
        *(f'add rule {name} {chain} {rule} comment "{meant.version}"' for chain, rule in meant.rules),
    ]


def _written(entry: Entry) -> str:
    table, name, *parts = entry.words
    kind, _space, types = TABLES[table].sets[name].partition(" ")
    first = f'"{parts[0]}"' if "ifname" in types else parts[0]
    return f"{name} {{ {(' : ' if kind == 'map' else ' . ').join([first, *parts[1:]])} }}"
