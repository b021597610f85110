# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of ip(8): it reads links, addresses and routes and carries out the steps of a plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Protocol

from ..._errors import CommandFailed
from ..._runner import Runner
from .addressing import Taken
from .model import Host, Link, Rule
from .routes import Words, read_address, read_routes

TIMEOUT = 60.0
NOT_A_NETWORK = ("local", "broadcast", "multicast", "anycast")
UNSET = "::"


class Commands(Protocol):
    """A step that ip(8) carries out."""

    @property
    def commands(self) -> tuple[Words, ...]:
        """The argument lists of ``ip``, in order."""

    @property
    def undo(self) -> tuple[Words, ...]:
        """What puts back a step that failed in the middle; commands among these may fail."""


class IpRoute:
    """Reads and changes links by ip(8)."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def _json(self, *words: str, check: bool = True) -> list[dict[str, Any]]:
        done = self._runner.run(("ip", "-json", "-details", *words), check=check, timeout=TIMEOUT)
        # What it printed before it failed is not whole, and no JSON.
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.rc == 0 else []
        return [item for item in found if item]

    def links(self) -> dict[str, Link]:
        """Return all links with their addresses, by name."""
        # Without IPv6 in the kernel there are no tokens.
        tokens = {item["ifname"]: str(item["token"]) for item in self._json("token", "show", check=False)}
        return {item["ifname"]: _link(item, tokens) for item in self._json("addr", "show")}

    def observe(self) -> Host:
        """Return all links with their addresses, all routes that were configured, and the rules that name a link."""
        links, routes, rules = self.links(), [], []
        for version in (4, 6):
            words = ("ip", "-details", f"-{version}", "route", "show", "table", "all")
            routes += read_routes(self._runner.run(words, timeout=TIMEOUT).stdout, version)
            # Without policy routing in the kernel there are no rules.
            rules += [rule for item in self._json(f"-{version}", "rule", "show", check=False) for rule in _rules(item, version)]
        return Host(links, tuple(routes), tuple(rules))

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

    def apply(self, step: Commands) -> None:
        """Carry out one step; several commands go to one ``ip -batch``, which stops at the first error, and is put back then."""
        commands = step.commands
        if len(commands) == 1:
            self._runner.run(("ip", *commands[0]), timeout=TIMEOUT)
            return
        try:
            self._runner.run(("ip", "-batch", "-"), stdin=batch(commands), timeout=TIMEOUT)
        except CommandFailed:
            if step.undo:
                self._runner.run(("ip", "-force", "-batch", "-"), stdin=batch(step.undo), check=False, timeout=TIMEOUT)
            raise


def batch(commands: Iterable[Words]) -> str:
    """Return the lines of ``ip -batch`` for argument lists of ``ip``."""
    return batch_text(map(_batch_words, commands))


def batch_text(commands: Iterable[Words]) -> str:
    """Return commands as ``ip -batch`` and ``bridge -batch`` read them, a line each; a word with a space is quoted."""
    return "".join(" ".join(f'"{word}"' if " " in word else word for word in words) + "\n" for words in commands)


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


def _batch_words(words: Words) -> Words:
    # A batch line takes no options: the family follows from the destination, except for "default".
    if words[0] not in ("-4", "-6"):
        return words
    family, rest = words[0], list(words[1:])
    if rest[2] == "default":
        rest[2] = "0.0.0.0/0" if family == "-4" else "::/0"
    return tuple(rest)


def _link(item: Mapping[str, Any], tokens: Mapping[str, str]) -> Link:
    info = item.get("linkinfo", {})
    data = info.get("info_data", {})
    name, token = item["ifname"], tokens.get(item["ifname"], UNSET)
    return Link(
        name=name,
        kind=info.get("info_kind", ""),
        master=item.get("master"),
        mtu=item.get("mtu", 1500),
        mac=item.get("address", ""),
        up="UP" in item.get("flags", ()),
        addresses=tuple(read_address(found, name) for found in item.get("addr_info", ()) if _counts(found)),
        stp=bool(data.get("stp_state", 0)),
        forward_delay=data.get("forward_delay", 1500) / 100,
        vlan_filtering=bool(data.get("vlan_filtering", 0)),
        altnames=tuple(item.get("altnames", ())),
        permanent_mac=item.get("permaddr", ""),
        ethernet=item.get("link_type", "ether") == "ether",
        lower=item.get("link") or "",
        token="" if token == UNSET else token,
        alias=item.get("ifalias", ""),
        group=str(item.get("group", "default")),
        multicast="MULTICAST" in item.get("flags", ()),
        index=item.get("ifindex", 0),
        isolated=bool(info.get("info_slave_data", {}).get("isolated")),
        learns=bool(info.get("info_slave_data", {}).get("learning", True)),
        data=data,
    )


def _counts(address: Mapping[str, Any]) -> bool:
    """Return whether an address is not one that the kernel gives to every link."""
    return address.get("scope") == "global" or (address.get("family") == "inet" and address.get("scope") != "host")


def _rules(item: Mapping[str, Any], version: int) -> list[Rule]:
    table = f"{item.get('priority', 0)} of IPv{version}"
    return [Rule(item[key], f"the rule {table} ({key} {item[key]})") for key in ("iif", "oif") if key in item]
