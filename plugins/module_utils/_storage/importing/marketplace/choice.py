# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing among appliances: by name, system, architecture and version, and the newest of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ...._errors import InvalidInput, NotFound
from ...._shown import few, nearest
from ...._template.model import ServiceTemplate
from ... import names
from .appliance import Appliance, Skipped, arch_of

NEWEST = "newest"
PACKED = ("xz", "zst", "gz", "bz2")


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
    """Return what matches, ordered; with the version ``newest`` only the highest one of each name and architecture.

    Of the formats that have this version the best is taken: qcow2, then ``.img``; of others, one of each.
    """
    found = sorted((one for one in appliances if query.matches(one)), key=order)
    if query.version != NEWEST:
        return found
    newest = {(one.name, one.arch): one for one in found}
    listed: list[Appliance] = []
    for last in newest.values():
        best = _best([one for one in found if (one.name, one.arch, one.version) == (last.name, last.arch, last.version)])
        listed += {_format(one): one for one in best}.values()
    return listed


def choose(
    appliances: Iterable[Appliance],
    query: Query,
    where: str,
    skipped: Iterable[Skipped] = (),
    image_format: str | None = None,
) -> Appliance:
    """Return the newest version of the only appliance that matches, in the best format, or in ``image_format`` if that is given.

    Raise NotFound, with the reasons of entries of ``skipped`` that may be meant, or InvalidInput if several appliances match.
    """
    everything, skipped = list(appliances), list(skipped)
    _refuse_doubtful_id(query, where, skipped)
    version = None if query.version == NEWEST else query.version
    found = [one for one in select(everything, replace(query, version=version)) if one.files]
    if not found:
        _refuse_services(everything, query)
        raise _not_found(everything, query, where, skipped)
    kinds = {(one.name, one.arch) for one in found}
    if len(kinds) > 1:
        several = ", ".join(f"{name} ({arch or 'any arch'})" for name, arch in sorted(kinds)[:20])
        raise InvalidInput(
            f"appliance: several appliances of the marketplace {where} fit {query}: {several}; give one name and its arch.",
            option="appliance",
        )
    newest = [one for one in found if one.version == found[-1].version]
    best = _best(_in_format(newest, image_format, where) if image_format else newest)
    if len({(_format(one), one.files[0].proof or one.id) for one in best}) > 1:
        several = ", ".join(f"{one.id} ({_format(one) or 'of unknown format'})" for one in best[:20])
        raise InvalidInput(
            f"appliance: the marketplace {where} has {newest[0].name} {newest[0].version} several times: {several}; give the id of "
            "one.",
            option="appliance",
        )
    return best[0]


def older_and_better(appliances: Iterable[Appliance], query: Query, taken: Appliance) -> list[str]:
    """Return a sentence if what is taken is neither a qcow2 nor an ``.img``, and another version that fits the query is."""
    others = [one for one in select(appliances, replace(query, version=None)) if one.files and _rank(one)[0] < _rank(taken)[0]]
    if not others or query.id is not None:
        return []
    return [
        f"{taken.id} of the marketplace is taken, a {_format(taken)}: {taken.name} {taken.version} is there in no better format, "
        f"{others[-1].version} is ({others[-1].id})."
    ]


def _best(candidates: Sequence[Appliance]) -> list[Appliance]:
    """Return those in the best format, each format packed in the best way: there is more than one if none is known to be better."""
    rank = min(_rank(one)[0] for one in candidates)
    alike = [one for one in candidates if _rank(one)[0] == rank]
    packing = {_format(one): min(_rank(other)[1] for other in alike if _format(other) == _format(one)) for one in alike}
    return [one for one in alike if _rank(one)[1] == packing[_format(one)]]


def _format(one: Appliance) -> str | None:
    return one.files[0].format if one.files else None


def _rank(one: Appliance) -> tuple[int, int]:
    """Return how good the format and the packing of an appliance are, 0 for the best; ``.img`` is a qcow2 by convention."""
    if not one.files:
        return (3, 0)
    ending = one.files[0].url.lower().rpartition(".")[2]
    packing = PACKED.index(ending) + 1 if ending in PACKED else 0
    return ({"qcow2": 0, None: 1}.get(one.files[0].format, 2), packing)


def _in_format(candidates: Sequence[Appliance], image_format: str, where: str) -> list[Appliance]:
    found = [one for one in candidates if _format(one) == image_format] or [one for one in candidates if _format(one) is None]
    if not found:
        has = ", ".join(f"{one.id} ({_format(one)})" for one in candidates[:20])
        raise InvalidInput(f"format: {image_format} is asked for; the marketplace {where} has {has}.", option="format")
    return found


def meant(skipped: Iterable[Skipped], query: Query) -> list[Skipped]:
    """Return the entries that could not be used and that a query may mean: by their id, or by the words of their name."""
    words = [word for word in re.split(r"[^\w.]+", (query.name or "").lower()) if word]
    found = []
    for one in skipped:
        by_id = query.id is not None and query.id in (one.id, one.entry)
        by_name = query.id is None and words and all(word in one.entry.lower() for word in words)
        found += [one] if by_id or by_name else []
    return found


def why(skipped: Iterable[Skipped], *queries: Query) -> str:
    """Return, for the end of an error, why the first entry that one of the queries may mean cannot be used."""
    skipped = list(skipped)
    unusable = [one for query in queries for one in meant(skipped, query)]
    return f" An entry that may be meant cannot be used. {unusable[0].entry}: {unusable[0].reason}" if unusable else ""


def _refuse_doubtful_id(query: Query, where: str, skipped: Sequence[Skipped]) -> None:
    """Raise NotFound if the id is that of an entry that cannot be used, although another entry may have it too."""
    unusable = [one for one in meant(skipped, query) if query.id is not None and not one.archive]
    if unusable:
        raise NotFound(
            f"appliance: the entry with the {query} of the marketplace {where} cannot be used. {unusable[0].entry}: "
            f"{unusable[0].reason}",
            option="appliance",
            catalogue=where,
            skipped=[one.view() for one in unusable[:20]],
        )


def _not_found(everything: Sequence[Appliance], query: Query, where: str, skipped: list[Skipped]) -> NotFound:
    unusable = meant(skipped, query)
    details = {"option": "appliance", "catalogue": where, "skipped": [one.view() for one in unusable[:20]]}
    if unusable:
        reasons = " ".join(f"{one.entry}: {one.reason}" for one in unusable[:3])
        return NotFound(f"appliance: the marketplace {where} has {query} only in entries that cannot be used. {reasons}", **details)
    bare = [one for one in everything if query.matches(one)]
    if bare:
        return NotFound(f"appliance: {bare[-1].name} of the marketplace {where} is a {bare[-1].kind} without disks.", **details)
    known = nearest((query.name or query.id or "").strip("*"), (one.name for one in everything))
    has = f"it has {few(known)}" if known else "it has none at all"
    lost = f" {len(skipped)} of its entries cannot be used, such as {skipped[0].entry}: {skipped[0].reason}" if skipped else ""
    return NotFound(f"appliance: the marketplace {where} has no appliance with disks for {query}; {has}.{lost}", **details)


def _refuse_services(appliances: Iterable[Appliance], query: Query) -> None:
    """Raise InvalidInput where a service is meant, which has no disks of its own."""
    for one in select(appliances, query):
        if isinstance(one.template, ServiceTemplate):
            roles = ", ".join(
                f"{role.name} ({role.appliance.name if role.appliance else 'unknown'})" for role in one.template.roles
            )
            raise InvalidInput(f"appliance: {one.name} is a service with the roles {roles}; name one as role.", option="appliance")
