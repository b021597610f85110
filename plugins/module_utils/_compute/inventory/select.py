# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which domains of many hypervisors are hosts of an inventory, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RANK = ("running", "paused", "saved", "stopped")
Domain = Mapping[str, Any]


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


def name_hosts(domains: Sequence[Domain], by: str) -> tuple[dict[str, Domain], list[str]]:
    """Return name → domain, and warnings; ``by`` is name or uuid.

    Different VMs of the same name are all called NAME.HYPERVISOR, so that none of them is taken for another.
    """
    if by == "uuid":
        return {domain["uuid"]: domain for domain in domains}, []
    count: dict[str, int] = {}
    for domain in domains:
        count[domain["name"]] = count.get(domain["name"], 0) + 1
    named = {
        domain["name"] if count[domain["name"]] == 1 else f"{domain['name']}.{domain['hypervisor']}": domain for domain in domains
    }
    twice = sorted(name for name, times in count.items() if times > 1)
    return named, [f"Several VMs are called {name}; each is in the inventory as {name}.HYPERVISOR." for name in twice]


def variables(domain: Domain, prefix: str) -> dict[str, Any]:
    """Return the variables of a host: every key of the domain with the prefix, and where to reach it."""
    found = {f"{prefix}{key}": value for key, value in domain.items()}
    return {**found, "ansible_host": domain["address"]} if domain["address"] else found
