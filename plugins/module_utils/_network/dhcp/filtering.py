# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables table that lets a service speak with the VMs of its own host only. Pure.

The services of a network have one MAC address on all hosts. So their frames pass between the service and the taps of VMs, which
are known by their names, and nowhere else: not to and from uplinks, VXLAN links or the host itself. Frames that come from elsewhere
with the MAC address of a service are dropped in prerouting, before a bridge learns from them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from ..._taps import PREFIX
from .names import link_of, service_mac
from .state import Filter

TABLE = "bridge edge_dhcp"
TAPS = ("vnet", PREFIX)  # libvirt's and ours
SETS = {"links": "ifname", "macs": "ether_addr", "routed": "ifname"}  # routed: the host is the gateway there
BASE = "type filter hook {} priority -250; policy accept;"  # before other filters, at -200
CHAINS = {
    "from_tap": "",
    "to_tap": "",
    "prerouting": BASE.format("prerouting"),
    "forward": BASE.format("forward"),
    "input": BASE.format("input"),
    "output": BASE.format("output"),
}
RULES = (
    *(("from_tap", f'iifname "{prefix}*" accept') for prefix in TAPS),
    ("from_tap", "drop"),
    *(("to_tap", f'oifname "{prefix}*" accept') for prefix in TAPS),
    ("to_tap", "drop"),
    ("prerouting", "iifname @links accept"),
    ("prerouting", "ether saddr @macs drop"),
    ("prerouting", "ether daddr @macs goto from_tap"),
    ("forward", "iifname @links goto to_tap"),
    ("forward", "oifname @links goto from_tap"),
    ("input", "iifname @routed accept"),
    ("input", "iifname @links drop"),
    ("output", "oifname @routed accept"),
    ("output", "oifname @links drop"),
)
VERSION = sha256(repr((SETS, CHAINS, RULES)).encode()).hexdigest()[:16]


def added(network: str, routed: bool, found: Filter) -> str:
    """Return nft's input that brings the table up to date and adds a network, in one transaction."""
    link = link_of(network)
    lines = [] if found.version == VERSION else _table()
    lines += [f'add element {TABLE} links {{ "{link}" }}', f"add element {TABLE} macs {{ {service_mac(network)} }}"]
    if routed:
        lines.append(f'add element {TABLE} routed {{ "{link}" }}')
    elif link in found.routed:
        lines.append(f'delete element {TABLE} routed {{ "{link}" }}')
    return "\n".join([*lines, ""])


def with_network(network: str, routed: bool, found: Filter) -> Filter:
    """Return the table after ``added``."""
    link = frozenset({link_of(network)})
    return Filter(
        VERSION,
        found.links | link,
        found.macs | {service_mac(network)},
        found.routed | link if routed else found.routed - link,
    )


def removed(network: str, found: Filter) -> str:
    """Return nft's input that removes a network, and with the last one the table."""
    after = without_network(network, found)
    if not after.links:
        return f"delete table {TABLE}\n"
    link = link_of(network)
    held = (("routed", found.routed), ("links", found.links))
    lines = [f'delete element {TABLE} {name} {{ "{link}" }}' for name, links in held if link in links]
    if service_mac(network) in found.macs:
        lines.append(f"delete element {TABLE} macs {{ {service_mac(network)} }}")
    return "\n".join([*lines, ""])


def without_network(network: str, found: Filter) -> Filter:
    """Return the table after ``removed``."""
    link = frozenset({link_of(network)})
    after = Filter(found.version, found.links - link, found.macs - {service_mac(network)}, found.routed - link)
    return after if after.links else Filter()


def read(listed: list[dict[str, Any]]) -> Filter:
    """Return the table as ``nft -j list table`` has it; without a version if its rules are not exactly ours."""
    sets = {item["set"]["name"]: _elements(item["set"].get("elem", [])) for item in listed if "set" in item}
    rules = [item["rule"] for item in listed if "rule" in item]
    versions = {str(rule.get("comment", "")) for rule in rules}
    whole = versions == {VERSION} and len(rules) == len(RULES) and set(sets) == set(SETS)
    return Filter(VERSION if whole else "", *(sets.get(name, frozenset()) for name in SETS))


def _elements(items: list[Any]) -> frozenset[str]:
    return frozenset(str(item) for item in items)


def _table() -> list[str]:
    return [
        f"add table {TABLE}",
        *(f"add set {TABLE} {name} {{ type {kind}; }}" for name, kind in SETS.items()),
        *(f"add chain {TABLE} {name}" + (f" {{ {hook} }}" if hook else "") for name, hook in CHAINS.items()),
        *(f"flush chain {TABLE} {name}" for name in CHAINS),
        *(f'add rule {TABLE} {chain} {rule} comment "{VERSION}"' for chain, rule in RULES),
    ]
