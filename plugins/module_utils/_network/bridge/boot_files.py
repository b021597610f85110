# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the files that create a bridge at boot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_interface
from typing import TypeAlias

from ..._errors import Unsupported
from ..link.routes import Address, Route
from .steps import Bridge

MARK = "# Written by edge.cloud.bridge; changes here are lost."
Pair: TypeAlias = "tuple[str, str | int | None]"
Section: TypeAlias = "tuple[str, list[Pair]]"
ROUTE_KEYS = {
    "metric": "Metric",
    "table": "Table",
    "src": "PreferredSource",
    "from": "Source",
    "scope": "Scope",
    "pref": "IPv6Preference",
    "mtu": "MTUBytes",
    "advmss": "TCPAdvertisedMaximumSegmentSize",
    "initcwnd": "InitialCongestionWindow",
    "initrwnd": "InitialAdvertisedReceiveWindow",
    "quickack": "QuickAck",
    "ttl-propagate": "TTLPropagate",
    "congctl": "TCPCongestionControlAlgorithm",
}
ADDRESS_KEYS = {"broadcast": "Broadcast", "scope": "Scope", "metric": "RouteMetric", "preferred_lft": "PreferredLifetime"}
ADDRESS_FLAGS: dict[str, Pair] = {
    "noprefixroute": ("AddPrefixRoute", "no"),
    "home": ("HomeAddress", "yes"),
    "nodad": ("DuplicateAddressDetection", "none"),
    "mngtmpaddr": ("ManageTemporaryAddress", "yes"),
    "autojoin": ("AutoJoin", "yes"),
}
YES_NO = {"1": "yes", "0": "no", "enabled": "yes", "disabled": "no"}
SUFFIXES = (".netdev", ".network", "-ports.network")


def file_names(bridge: str) -> tuple[str, ...]:
    """Return the names of all files that a bridge can have."""
    return tuple(f"50-edge-{bridge}{suffix}" for suffix in SUFFIXES)


def boot_files(
    bridge: Bridge, routes: Iterable[Route], *, mac: str | None, mtu: int | None, held: Mapping[str, Address] | None = None
) -> dict[str, str]:
    """Return name and text of the files that create ``bridge`` at boot; VM ports attach themselves.

    ``mtu`` is written only if the user asked for it; otherwise it follows the ports, at boot as now. Boot waits for the bridge only
    if the host's default route leads over it: one without carrier would hold it up for two minutes. ``held`` says what else an
    address has. Raises Unsupported for what the files cannot say.
    """
    netdev, network, ports = file_names(bridge.name)
    routes = tuple(routes)
    addresses = [(held or {}).get(cidr, Address(cidr)) for cidr in bridge.addresses]
    plain = [address for address in addresses if _is_plain(address)]
    online = None if any(route.is_default for route in routes) else "no"
    # Not in the netdev: the first port would change an MTU that is set there.
    settings: list[Pair] = [("MTUBytes", mtu), ("RequiredForOnline", online)]
    link: list[Section] = [("Link", settings)] if mtu or online else []
    files = {
        netdev: _text(
            ("NetDev", [("Name", bridge.name), ("Kind", "bridge"), ("MACAddress", mac)]),
            ("Bridge", [("STP", "yes" if bridge.stp else "no"), ("ForwardDelaySec", f"{bridge.forward_delay:g}")]),
        ),
        network: _text(
            ("Match", [("Name", bridge.name)]),
            *link,
            ("Network", [("ConfigureWithoutCarrier", "yes"), *(("Address", address.cidr) for address in plain)]),
            *(("Address", _address(address, bridge.name)) for address in addresses if address not in plain),
            *(("Route", _route(route)) for route in routes if not route.advertised and "expires" not in route.words),
        ),
    }
    if bridge.ports:
        files[ports] = _text(
            ("Match", [("Name", " ".join(bridge.ports))]),
            ("Link", [("RequiredForOnline", "no")]),
            ("Network", [("Bridge", bridge.name)]),
        )
    return files


def _is_plain(address: Address) -> bool:
    usual = ("broadcast", str(ip_interface(address.cidr).network.broadcast_address))
    return not (address.peer or address.label or address.held) and address.words in ((), usual)


def _address(address: Address, bridge: str) -> list[Pair]:
    if address.held:
        raise _unsupported(f"the address {address.cidr} {address.held}")
    pairs: list[Pair] = [("Address", address.cidr), ("Peer", address.peer or None)]
    pairs += [("Label", f"{bridge}{address.label}")] if address.label else []
    words = iter(address.words)
    for word in words:
        if word in ADDRESS_FLAGS:
            pairs.append(ADDRESS_FLAGS[word])
        else:
            pairs.append((ADDRESS_KEYS[word], next(words)))
    return pairs


def _route(route: Route) -> list[Pair]:
    destination = None if route.dst == "default" else route.dst
    if route.held:
        raise _unsupported(f"the route to {route.dst} {route.held}")
    if not (route.table.isdigit() or route.table == "main"):
        raise _unsupported(f"the route to {route.dst} is in the table {route.table}, of which it must have the number")
    pairs: list[Pair] = [("Gateway", route.gateway), ("Destination", destination)]
    words = iter(route.words[1:])
    for word in words:
        value = "" if word == "onlink" else next(words)
        if word == "via":
            value = next(words) if value in ("inet", "inet6") else value
        elif word in ROUTE_KEYS and value != "lock":
            pairs.append((ROUTE_KEYS[word], YES_NO.get(value, value) if word in ("quickack", "ttl-propagate") else value))
        elif word == "onlink":
            pairs.append(("GatewayOnLink", "yes"))
        elif word != "proto":
            raise _unsupported(f"the route to {route.dst} has {word} {value}")
    return pairs


def _unsupported(what: str) -> Unsupported:
    return Unsupported(
        f"boot: files of systemd-networkd cannot hold all that the bridge has: {what}. Remove that, or leave boot out and"
        " configure the bridge elsewhere.",
        option="boot",
    )


def _text(*sections: Section) -> str:
    lines = [MARK]
    for name, pairs in sections:
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in pairs if value is not None)]
    return "\n".join(lines) + "\n"
