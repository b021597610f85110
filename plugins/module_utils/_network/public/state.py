# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of public addresses, as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..link.model import Link
from .definition import Definition
from .entries import Entry
from .filtering import Filter

Record = Mapping[str, Definition]


@dataclass(frozen=True)
class Route:
    """A route of the main table; ``dst`` is "default" or a prefix, ``dev`` empty if it has several links or none."""

    version: int
    dst: str
    dev: str
    metric: int = 0
    ours: bool = False


@dataclass(frozen=True)
class Facts:
    """A host at one moment. ``made`` are our entries that ip(8) shows, ``filter`` has those of nftables.

    ``foreign`` are routes and proxies of others for single addresses, as what they are called. ``settings`` are values of sysctls,
    by path; ``policy`` has the files that switch one off, by path; ``set_by_us`` are those that we switched on. ``subnets`` are
    those of the virtual network of a bridge.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    made: frozenset[Entry] = frozenset()
    filter: Filter = field(default_factory=Filter)
    foreign: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, str] = field(default_factory=dict)
    set_by_us: frozenset[str] = frozenset()
    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    record: Record = field(default_factory=dict)

    @property
    def entries(self) -> frozenset[Entry]:
        """All of ours that is there."""
        on = (Entry("setting", "", (path,)) for path in self.set_by_us if self.settings.get(path) == "1")
        return self.made | self.filter.elements | frozenset(on)


@dataclass(frozen=True)
class State:
    """One public address on a host: what is recorded, the keys of all entries that are there, and of those that it needs."""

    address: str
    definition: Definition | None
    uplink: str | None
    there: frozenset[Any]
    needs: frozenset[Any]

    def view(self) -> dict[str, Any]:
        """Return it as JSON."""
        if self.definition is None:
            return {"address": self.address, "state": "absent"}
        in_effect = bool(self.needs) and self.needs <= self.there
        empty = {"private_address": None, "vm": None}
        return {**empty, **self.definition.as_json(), "state": "present", "uplink": self.uplink, "in_effect": in_effect}
