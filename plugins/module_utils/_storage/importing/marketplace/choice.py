# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing among appliances: by name, system, architecture and version, and the newest of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...._errors import InvalidInput, NotFound
from ... import names
from .appliance import Appliance, arch_of

NEWEST = "newest"


@dataclass(frozen=True)
class Query:
    """A query; None matches anything. Name and system are patterns (``debian*``) without regard to case."""

    name: str | None = None
    os: str | None = None
    arch: str | None = None
    version: str | None = None
    id: str | None = None

    def matches(self, one: Appliance) -> bool:
        """Return whether an appliance fits; which version is the newest does not matter here."""
        return (
            _fits(self.name, one.name)
            and _fits(self.os, one.os)
            and (self.arch is None or arch_of(self.arch) == one.arch)
            and self.version in (None, NEWEST, one.version)
            and self.id in (None, one.id)
        )

    def __str__(self) -> str:
        words = {"id": self.id, "name": self.name, "version": self.version, "os": self.os, "arch": self.arch}
        return ", ".join(f"{key} {value!r}" for key, value in words.items() if value is not None) or "anything"


def _fits(pattern: str | None, value: str) -> bool:
    return pattern is None or fnmatchcase(value.lower(), pattern.lower())


def order(one: Appliance) -> tuple[object, ...]:
    """Return a sort key: name, architecture, then version from the lowest (12.9 < 12.10)."""
    return (one.name, one.arch, names.version_key(one.version), one.id, repr(one))


def select(appliances: Iterable[Appliance], query: Query) -> list[Appliance]:
    """Return what matches, ordered; with the version ``newest`` only the highest one of each name and architecture."""
    found = sorted((one for one in appliances if query.matches(one)), key=order)
    if query.version != NEWEST:
        return found
    return list({(one.name, one.arch): one for one in found}.values())


def choose(appliances: Iterable[Appliance], query: Query, where: str) -> Appliance:
    """Return the newest version of the only appliance that matches; raise NotFound, or InvalidInput if several appliances match."""
    everything = list(appliances)
    found = [one for one in select(everything, query) if one.files]
    if not found:
        like = sorted({one.name for one in everything})
        raise NotFound(
            f"appliance: the marketplace {where} has no appliance with disks for {query}; of {len(like)} names it has "
            f"{', '.join(like[:20])}.",
            option="appliance",
            catalogue=where,
        )
    kinds = {(one.name, one.arch) for one in found}
    if len(kinds) > 1:
        several = ", ".join(f"{name} ({arch or 'any arch'})" for name, arch in sorted(kinds)[:20])
        raise InvalidInput(
            f"appliance: several appliances of the marketplace {where} fit {query}: {several}; give one name and its arch.",
            option="appliance",
        )
    return found[-1]
