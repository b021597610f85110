# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter: what a host has of public addresses, by ip(8), nft(8), sysctl(8) and files, and the steps that change it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from ..._runner import Runner
from ..link.iproute import IpRoute
from ..link.model import Link
from ..virtual import record as networks
from ..virtual.names import bridge_link
from . import filtering, policy, record
from .announce import announce
from .entries import GATEWAY4, GATEWAY6, PROTOCOL, SHARED, Entry
from .filtering import Filter
from .needs import proxy_ndp
from .state import Facts, Route
from .steps import Announce, Forget, Remember, SetFilter, SetRoutes, SetSettings

TIMEOUT = 60.0
SYSCTL = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
ALL6 = "net/ipv6/conf/all/forwarding"
Announcer = Callable[[str, str, str, str | None], None]


@dataclass(frozen=True)
class Places:
    """Files of a host: its public addresses, its virtual networks, the lock of who changes addresses, and sysctl.d(5)."""

    record: Path = Path("/etc/edge/public_addresses.json")
    networks: Path = Path("/etc/edge/networks.json")
    lock: Path = Path("/run/edge/public_addresses.lock")
    settings: Path = Path("/etc/sysctl.d/80-edge-public-addresses.conf")
    sysctl: tuple[Path, ...] = tuple(map(Path, SYSCTL))
    sysctl_last: Path = Path("/etc/sysctl.conf")
    bridge_sysctls: Path = Path("/proc/sys/net/bridge")


@dataclass(frozen=True)
class Addresses:
    """Reads and changes the public addresses of this host."""

    runner: Runner
    places: Places = field(default_factory=Places)
    announcer: Announcer = announce

    def facts(self) -> Facts:
        """Return what the host has now."""
        known = record.read(self.places.record)
        links = IpRoute(self.runner).links()
        routes, single = self._routes()
        made, proxies = self._neighbours()
        policies = policy.assigned(self.places.sysctl, self.places.sysctl_last)
        return Facts(
            links=links,
            routes=tuple(routes),
            made=frozenset((*(one for one in single if isinstance(one, Entry)), *made, *self._gateways())),
            filter=self.filter(),
            foreign=dict((*(one for one in single if not isinstance(one, Entry)), *proxies)),
            settings=self._settings(links),
            policy={path: str(file) for path, (value, file) in policies.items() if value == "0"},
            set_by_us=policy.ours(self.places.settings),
            subnets=self._subnets(),
            record=known,
        )

    def _json(self, *argv: str, check: bool = True) -> list[dict[str, Any]]:
        done = self.runner.run(argv, check=check, timeout=TIMEOUT)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.rc == 0 else []
        return [item for item in found if item]

    def _routes(self) -> tuple[list[Route], list[Entry | tuple[str, str]]]:
        """Return the routes of the main table, and those to a single address: ours as entries, others as what they are called."""
        routes: list[Route] = []
        single: list[Entry | tuple[str, str]] = []
        for version in (4, 6):
            # Without IPv6 in the kernel there are none.
            for item in self._json("ip", "-N", "-j", f"-{version}", "route", "show", "table", "main", check=version == 4):
                ours = item.get("protocol") == PROTOCOL
                dst, dev = str(item["dst"]), str(item.get("dev", ""))
                routes.append(Route(version, dst, dev, int(item.get("metric", 0)), ours))
                if dst != "default" and ip_network(dst).num_addresses == 1:
                    address = str(ip_network(dst).network_address)
                    single.append(Entry("route", SHARED, (address, dev)) if ours else (address, f"a route over {dev or 'no link'}"))
        return routes, single

    def _neighbours(self) -> tuple[list[Entry], list[tuple[str, str]]]:
        """Return our permanent neighbours and proxies, and the proxies of others as what they are called."""
        entries: list[Entry] = []
        others: list[tuple[str, str]] = []
        for item in self._json("ip", "-N", "-j", "neigh", "show", "nud", "permanent"):
            if item.get("protocol") == PROTOCOL and "lladdr" in item:
                entries.append(Entry("neighbour", SHARED, (item["dst"], item["dev"], item["lladdr"])))
        for item in self._json("ip", "-N", "-j", "neigh", "show", "proxy"):
            if item.get("protocol") == PROTOCOL:
                entries.append(Entry("proxy", SHARED, (item["dst"], item["dev"])))
            else:
                others.append((item["dst"], f"a proxy entry on {item.get('dev', 'all links')}"))
        return entries, others

    def _gateways(self) -> Iterator[Entry]:
        # Its address alone tells that it is ours: ip(8) of Debian 12 gives addresses no protocol.
        for item in self._json("ip", "-j", "-6", "addr", "show", "to", f"{GATEWAY6}/128", check=False):
            yield Entry("gateway", SHARED, (GATEWAY6, item["ifname"]))

    def filter(self) -> Filter:
        """Return our tables; the elements of one whose rules are not ours do not count."""
        tables = [item["table"] for item in self._nft("list", "tables") if "table" in item]
        there = {f"{one['family']} {one['name']}" for one in tables} & set(filtering.TABLES)
        read = {name: filtering.read(name, self._nft("list", "table", *name.split())) for name in there}
        whole = frozenset(name for name, (good, _elements) in read.items() if good)
        return Filter(whole, frozenset(there), frozenset(one for name in whole for one in read[name][1]))

    def _nft(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.runner.run(("nft", "-j", *words), timeout=TIMEOUT).stdout)["nftables"]
        return found

    def _settings(self, links: Mapping[str, Link]) -> dict[str, str]:
        """Return forwarding and answers for others of the links that may matter."""
        names = [link.name for link in links.values() if not link.of_vm]
        paths = [ALL6, *(f"net/ipv4/conf/{name}/forwarding" for name in names), *map(proxy_ndp, names)]
        shown = self.runner.run(("sysctl", "-e", *paths), check=False, timeout=TIMEOUT).stdout
        pairs = (line.partition(" = ") for line in shown.splitlines())
        return {policy.as_path(key): value.strip() for key, _sign, value in pairs}

    def _subnets(self) -> dict[str, tuple[str, ...]]:
        found = networks.read(self.places.networks)
        return {str(raw.get("bridge") or bridge_link(name)): tuple(raw.get("subnets", ())) for name, raw in found.items()}

    def apply(self, step: object) -> None:
        """Carry out one step."""
        if isinstance(step, SetFilter):
            self.runner.run(("nft", "-f", "-"), stdin=step.text, timeout=TIMEOUT)
        elif isinstance(step, SetRoutes):
            self.runner.run(("ip", "-batch", "-"), stdin=step.batch, timeout=TIMEOUT)
        elif isinstance(step, SetSettings):
            self._set(step)
        elif isinstance(step, Forget | Remember):
            known = record.read(self.places.record)
            if isinstance(step, Remember):
                known[step.definition.address] = step.definition
            else:
                known.pop(step.address, None)
            record.write(self.places.record, known)
        elif isinstance(step, Announce):
            self.announce(step)

    def announce(self, step: Announce) -> None:
        """Tell who may know the address from another host, and the guest, where it is now."""
        links, given = IpRoute(self.runner).links(), step.definition
        uplink, bridge, tap = (links.get(name or "") for name in (step.uplink, given.bridge, given.tap))
        if uplink is not None and uplink.ethernet and uplink.up:
            self.announcer(given.address, uplink.mac, uplink.name, None)
        if bridge is not None and tap is not None and tap.up:
            # Past the bridge, which may have learned that the guest is on another host.
            self.announcer(GATEWAY6 if given.version == 6 else GATEWAY4, bridge.mac, tap.name, given.mac)

    def _set(self, step: SetSettings) -> None:
        policy.write(self.places.settings, step.on)
        words = [f"{one.words[0]}={value}" for some, value in ((step.gone, 0), (step.come, 1)) for one in sorted(some)]
        self.runner.run(("sysctl", "-q", "-w", *words), timeout=TIMEOUT)
