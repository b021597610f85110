# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a network as a host has it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .names import link_of, service_mac
from .places import DEFINITION

Files = tuple[tuple[str, str], ...]


def as_files(found: Mapping[str, str]) -> Files:
    """Return files, by name, as a state holds them."""
    return tuple(sorted(found.items()))


@dataclass(frozen=True)
class Port:
    """The service's port of a bridge. ``ours``: it has our mark; ``paired``: its other end is in the service's name space.

    ``known``: the bridge has the service's MAC address there, so that no other port can take it.
    """

    ours: bool
    paired: bool
    bridge: str | None = None
    mtu: int = 0
    up: bool = False
    known: bool = False


@dataclass(frozen=True)
class Space:
    """The service's name space and its end of the pair; ``closed``: it neither forwards nor believes router advertisements."""

    closed: bool = False
    linked: bool = False
    mac: str = ""
    mtu: int = 0
    up: bool = False
    addresses: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Filter:
    """Our table of nftables, which all networks share; ``version`` is that of its rules."""

    version: str = ""
    links: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()
    routed: frozenset[str] = frozenset()

    def covers(self, network: str, routed: bool) -> bool:
        """Return whether the table holds what a network needs, besides its rules."""
        link = link_of(network)
        return link in self.links and service_mac(network) in self.macs and (link in self.routed) == routed

    def knows(self, network: str) -> bool:
        """Return whether the table holds anything of a network."""
        link = link_of(network)
        return link in self.links or link in self.routed or service_mac(network) in self.macs


@dataclass(frozen=True)
class State:
    """All of one network's service; ``broken``: a name space of its name is there and cannot be entered.

    ``loaded`` are the files that the running service has read.
    """

    name: str
    files: Files = ()
    port: Port | None = None
    space: Space | None = None
    broken: bool = False
    filter: Filter = field(default_factory=Filter)
    running: bool = False
    loaded: Files = ()

    @property
    def read(self) -> Files:
        """The files that the service reads."""
        return tuple(item for item in self.files if item[0] != DEFINITION)

    @property
    def absent(self) -> bool:
        """True if nothing of ours is there."""
        theirs = self.port is not None and not self.port.ours and not self.port.paired
        return not (
            self.files or (self.port and not theirs) or self.space or self.broken or self.running or self.filter.knows(self.name)
        )

    def view(self) -> dict[str, Any]:
        """Return the service as JSON."""
        if self.absent:
            return {"state": "absent"}
        port, space = self.port or Port(False, False), self.space or Space()
        return {
            "state": "present",
            **_definition(self.files),
            "name": self.name,
            "link": link_of(self.name),
            "mac": service_mac(self.name),
            "attached_to": port.bridge if port.up and port.known else None,
            "link_mtu": port.mtu,
            "addresses": sorted(space.addresses),
            "separate": space.closed,
            "filtered": bool(self.filter.version) and self.filter.knows(self.name),
            "running": self.running,
            "current": self.running and bool(self.files) and self.loaded == self.read,
        }


def _definition(files: Files) -> dict[str, Any]:
    try:
        found = json.loads(dict(files).get(DEFINITION, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
