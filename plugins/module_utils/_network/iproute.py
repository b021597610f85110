# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of ip(8): it reads links, addresses and routes and carries out the steps of a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from .._runner import Runner
from .addressing import Taken
from .links import Address, Host, Link, LinkStep, Route

TIMEOUT = 60.0
NOT_A_NETWORK = ("local", "broadcast", "multicast", "anycast")
NOT_CONFIGURED = ("kernel", "ra", "redirect")


class IpRoute:
    """Reads and changes links by ip(8)."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def _json(self, *words: str) -> list[dict[str, Any]]:
        done = self._runner.run(("ip", "-json", "-details", *words), timeout=TIMEOUT)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return [item for item in found if item]

    def observe(self) -> Host:
        """Return all links with their global addresses, and all routes that were configured."""
        links = {item["ifname"]: _link(item) for item in self._json("addr", "show")}
        routes = [
            route
            for version in (4, 6)
            for item in self._json(f"-{version}", "route", "show", "table", "all")
            if (route := _route(item, version)) is not None
        ]
        return Host(links, tuple(routes))

    def taken(self, without: str | None = None) -> list[Taken]:
        """Return what the host's addresses and routes of all tables use, except those of the link ``without``."""
        found = []
        for item in self._json("addr", "show"):
            for address in item.get("addr_info", ()):
                if item["ifname"] != without and "local" in address:
                    by = f"address {address['local']} of {item['ifname']}"
                    found += [Taken(network, by) for network in _networks(address)]
        for item in self._json("-4", "route", "show", "table", "all"):
            if item.get("dev", "") != without and item.get("type", "unicast") not in NOT_A_NETWORK:
                found.append(_taken_route(item))
        return found

    def apply(self, step: LinkStep) -> None:
        """Carry out one step; several commands go to one ``ip -batch``, which stops at the first error."""
        commands = step.commands
        if len(commands) == 1:
            self._runner.run(("ip", *commands[0]), timeout=TIMEOUT)
            return
        lines = "".join(" ".join(_batch_words(words)) + "\n" for words in commands)
        self._runner.run(("ip", "-batch", "-"), stdin=lines, timeout=TIMEOUT)


def _networks(address: Mapping[str, Any]) -> list[IPv4Network | IPv6Network]:
    """Return what an address is part of; the prefix length of one with a peer is the peer's."""
    peer, local = address.get("address"), ip_network(address["local"])
    if peer is None:
        return [ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)]
    return [local, ip_network(f"{peer}/{address['prefixlen']}", strict=False)]


def _taken_route(item: Mapping[str, Any]) -> Taken:
    hops = item.get("nexthops") or [item]
    devices = sorted({hop["dev"] for hop in hops if "dev" in hop})
    kind, table = item.get("type", "unicast"), str(item.get("table", "main"))
    by = f"route over {' and '.join(devices)}" if devices else f"{kind} route"
    way = (table, kind, *(str(hop.get(key)) for hop in hops for key in ("dev", "gateway", "via")))
    dst = "0.0.0.0/0" if item["dst"] == "default" else item["dst"]
    return Taken(ip_network(dst, strict=False), by if table == "main" else f"{by} in table {table}", way)


def _batch_words(words: tuple[str, ...]) -> tuple[str, ...]:
    # A batch line takes no options: the family follows from the destination, except for "default".
    if words[0] not in ("-4", "-6"):
        return words
    family, rest = words[0], list(words[1:])
    if rest[2] == "default":
        rest[2] = "0.0.0.0/0" if family == "-4" else "::/0"
    return tuple(rest)


def _link(item: Mapping[str, Any]) -> Link:
    info = item.get("linkinfo", {})
    data = info.get("info_data", {}) if info.get("info_kind") == "bridge" else {}
    return Link(
        name=item["ifname"],
        kind=info.get("info_kind", ""),
        master=item.get("master"),
        mtu=item.get("mtu", 1500),
        mac=item.get("address", ""),
        up="UP" in item.get("flags", ()),
        addresses=tuple(_address(found) for found in item.get("addr_info", ()) if found.get("scope") == "global"),
        stp=bool(data.get("stp_state", 0)),
        forward_delay=data.get("forward_delay", 1500) / 100,
        vlan_filtering=bool(data.get("vlan_filtering", 0)),
        altnames=tuple(item.get("altnames", ())),
        permanent_mac=item.get("permaddr", ""),
        ethernet=item.get("link_type", "ether") == "ether",
    )


def _address(item: Mapping[str, Any]) -> Address:
    return Address(f"{item['local']}/{item['prefixlen']}", bool(item.get("dynamic")))


def _route(item: Mapping[str, Any], version: int) -> Route | None:
    if item.get("type", "unicast") != "unicast" or item.get("table") == "local" or "dev" not in item:
        return None
    if item.get("protocol", "boot") in NOT_CONFIGURED:
        return None
    via = item.get("via", {})
    gateway = item.get("gateway") or via.get("host")
    words = [item["dst"]]
    words += ["via", *([via["family"]] if via else []), gateway] if gateway else []
    for key, word in (("metric", "metric"), ("table", "table"), ("protocol", "proto"), ("scope", "scope"), ("prefsrc", "src")):
        if item.get(key) not in (None, "main", "boot", "global"):
            words += [word, str(item[key])]
    words += ["onlink"] if "onlink" in item.get("flags", ()) else []
    return Route(
        dst=item["dst"],
        dev=item["dev"],
        version=version,
        words=tuple(words),
        gateway=gateway,
        protocol=str(item.get("protocol", "boot")),
        table=str(item.get("table", "main")),
    )
