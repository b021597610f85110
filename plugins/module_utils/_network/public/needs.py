# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a public address needs on a host: its entries. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ..link.model import Link
from .definition import Definition
from .entries import GATEWAY4, GATEWAY6, SHARED, Entry
from .filtering import BRIDGE, INET, NAT, element
from .state import Facts


def uplink_of(definition: Definition, facts: Facts) -> str | None:
    """Return the link by which the host reaches others: the one that was named, else that of the best default route."""
    if definition.uplink:
        return definition.uplink
    found = [route for route in facts.routes if route.dst == "default" and route.version == definition.version and route.dev]
    return min(found, key=lambda route: route.metric).dev if found else None


def needs(definition: Definition, facts: Facts) -> frozenset[Entry]:
    """Return all entries of a public address. What follows from a link that is not there now is not among them."""
    uplink, bridge = facts.links.get(uplink_of(definition, facts) or ""), facts.links.get(definition.bridge)
    return frozenset((*_by_ip(definition, facts, uplink), *_by_nft(definition, uplink, bridge)))


def proxy_ndp(link: str) -> str:
    """Return the path of the setting without which the kernel answers no neighbour solicitation for others."""
    return f"net/ipv6/conf/{link}/proxy_ndp"


def _by_ip(given: Definition, facts: Facts, uplink: Link | None) -> Iterator[Entry]:
    address = given.address
    for one in {address, given.of_guest}:
        yield Entry("route", address, (one, given.bridge))
    yield Entry("neighbour", address, (given.of_guest, given.bridge, given.mac))
    if given.version == 4:
        yield Entry("proxy", SHARED, (GATEWAY4, given.bridge))
    else:
        yield Entry("gateway", SHARED, (GATEWAY6, given.bridge))
    if uplink is not None and uplink.ethernet:
        yield Entry("proxy", address, (address, uplink.name))
        path = proxy_ndp(uplink.name)
        if given.version == 6 and (facts.settings.get(path) != "1" or path in facts.set_by_us):
            yield Entry("setting", SHARED, (path,))


def _by_nft(given: Definition, uplink: Link | None, bridge: Link | None) -> Iterator[Entry]:
    address, version = given.address, given.version
    yield element(BRIDGE, "ports", given.tap, given.mac)
    yield element(BRIDGE, "macs", given.mac)
    yield element(BRIDGE, f"owned{version}", given.tap, given.mac, given.of_guest, of=address)
    yield element(BRIDGE, f"public{version}", address, of=address)
    if version == 6:
        yield element(BRIDGE, "claims6", str(int(ip_address(address))), of=address)
    yield element(INET, "links", given.bridge)
    if bridge is not None:
        yield element(INET, "bridges", bridge.name, bridge.mac)
    if given.private_address is None:
        return
    if bridge is not None:
        yield element(BRIDGE, f"guarded{version}", bridge.mac, given.private_address, of=address)
    if uplink is not None:
        yield element(NAT, "uplinks", uplink.name)
    yield element(NAT, f"private{version}", given.private_address, of=address)
    yield element(NAT, f"origins{version}", given.bridge, given.private_address, of=address)
    yield element(NAT, f"dnat{version}", address, given.private_address, of=address)
    yield element(NAT, f"snat{version}", given.private_address, address, of=address)
