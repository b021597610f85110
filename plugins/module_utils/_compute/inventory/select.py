# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which domains of many hypervisors are hosts of an inventory, and under which names. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..host.addresses import main_address
from ..host.leases import RECORD
from .read import Hypervisor

UNNAMEABLE = re.compile(r"[^\w.-]+")
RESERVED = frozenset({"all", "ungrouped", "localhost", "127.0.0.1"})
RANK = ("running", "paused", "saved", "stopped")
Domain = Mapping[str, Any]


def once(found: Iterable[Hypervisor]) -> tuple[list[Hypervisor], list[str]]:
    """Return each hypervisor once, by the URI that was given first, and warnings; the others would double its VMs."""
    first: dict[Any, Hypervisor] = {}
    kept, warnings = [], []
    for one in found:
        same = first.setdefault(one.identity, one) if one.identity and one.domains else one
        if same is one:
            kept.append(one)
        else:
            warnings.append(f"uris: {one.uri} is the same hypervisor as {same.uri}; its VMs are taken from there.")
    return kept, warnings


def choose(domains: Iterable[Domain]) -> tuple[list[Domain], list[str]]:
    """Return one domain for each UUID, the most alive one, in the order given, and warnings.

    A VM that was moved is defined on two hypervisors for a while; one that runs on two has lost its fencing, and gets a warning.
    """
    by_uuid: dict[str, list[Domain]] = {}
    for domain in domains:
        by_uuid.setdefault(domain["uuid"], []).append(domain)
    warnings = []
    for uuid, found in by_uuid.items():
        places = [domain["hypervisor"] for domain in found if domain["state"] == "running"]
        if len(places) > 1:
            warning = f"Domain {found[0]['name']} ({uuid}) runs on {' and '.join(places)} at the same time; {places[0]} is taken."
            warnings.append(warning)
    return [min(found, key=lambda domain: _rank(domain["state"])) for found in by_uuid.values()], warnings


def _rank(state: str) -> int:
    return RANK.index(state) if state in RANK else len(RANK)


def name_hosts(domains: Sequence[Domain], by: str, taken: Collection[str] = frozenset()) -> tuple[dict[str, Domain], list[str]]:
    """Return name → domain, and warnings; ``by`` is name or uuid, ``taken`` are names of groups and hypervisors.

    Different VMs of the same name are all called NAME.HYPERVISOR, so that none of them is taken for another. So is a VM whose name
    is taken or is of Ansible's own. What no host pattern could name has underscores instead. The last resort is NAME.UUID.
    """
    level = [0] * len(domains)
    while True:
        names = [_name(domain, by, step) for domain, step in zip(domains, level, strict=True)]
        count: dict[str | None, int] = {}
        for name in names:
            count[name] = count.get(name, 0) + 1
        wrong = [place for place, name in enumerate(names) if name and (count[name] > 1 or name in taken or name in RESERVED)]
        if not wrong:
            break
        for place in wrong:
            level[place] += 1
    named = {name: domain for name, domain in zip(names, domains, strict=True) if name}
    return named, list(_warnings(domains, names, by))


def _name(domain: Domain, by: str, level: int) -> str | None:
    """Return a VM's name, the more unlike all others the higher the level; None where no more is known of it."""
    tails = ("", f".{domain['hypervisor']}", f".{domain['uuid']}")
    if level >= len(tails):
        return None
    name = UNNAMEABLE.sub("_", f"{domain[by]}{tails[level]}")
    return name if name[0].isalnum() or name[0] == "_" else f"_{name}"


def _warnings(domains: Sequence[Domain], names: Sequence[str | None], by: str) -> Iterator[str]:
    """Yield a warning for each name of several VMs, and for each VM alone that has another name or none."""
    same: dict[str, list[int]] = {}
    for place, domain in enumerate(domains):
        same.setdefault(domain[by], []).append(place)
    for wanted, places in sorted(same.items()):
        if len(places) > 1 and all(names[place] == _name(domains[place], by, 1) for place in places):
            yield f"Several VMs are called {wanted}; each is in the inventory as {wanted}.HYPERVISOR."
            continue
        for place in places:
            name, where = names[place], domains[place]["hypervisor"]
            if name is None:
                yield f"The VM {wanted!r} of {where} is not in the inventory: each name that it could have is taken."
            elif name != wanted:
                yield f"The VM {wanted!r} of {where} is in the inventory as {name}: {_reason(wanted, len(places))}."


def _reason(wanted: str, times: int) -> str:
    if times > 1:
        return "several VMs have its name"
    if UNNAMEABLE.search(wanted) or not (wanted[0].isalnum() or wanted[0] == "_"):
        return "no host pattern could name it"
    return "its name is that of a group, of a hypervisor, of another VM or of Ansible's own"


def variables(domain: Domain, prefix: str, by: str) -> dict[str, Any]:
    """Return the variables of a host: every key of the domain with the prefix, and where to reach it.

    ``by`` is lease: of each interface the leased address comes first; or seen: those that nothing but the record
    of the VM knows come last.
    """
    found = {f"{prefix}{key}": value for key, value in domain.items()}
    seen = [entry for entry in domain["addresses"] if entry["source"] != RECORD] if by == "seen" else []
    where = main_address(seen) or domain["address"]
    return {**found, "ansible_host": where} if where else found
