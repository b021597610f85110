# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that a VM's interfaces have leases of, which are known of a stopped one, too. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..model.spec import Nic

RECORD, DHCP = "record", "dhcp"
Found: TypeAlias = Mapping[str, Any]
Told: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""What DHCP services of this host answer: (bridge, MAC address) → addresses with their prefix length."""


def with_leases(found: Sequence[Found], nics: Sequence[Nic], told: Told) -> list[dict[str, Any]]:
    """Return the addresses that were ``found`` and those of leases, each with whether it is leased.

    They are in the order of the interfaces, IPv4 before IPv6, leased ones first: the cloud gave those, and all others are
    what the guest says.
    """
    place = {nic.name: number for number, nic in enumerate(nics)}
    leased: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in (entry for nic in nics for entry in _of(nic, told)):
        leased.setdefault((entry["nic"], entry["address"]), entry)
    seen = {(entry["nic"], entry["address"]) for entry in found}
    all_of_them = [{**entry, "leased": (entry["nic"], entry["address"]) in leased} for entry in found]
    all_of_them += [entry for key, entry in leased.items() if key not in seen]
    return sorted(all_of_them, key=lambda entry: (place.get(entry["nic"], len(place)), entry["family"], not entry["leased"]))


def _of(nic: Nic, told: Told) -> Iterator[dict[str, Any]]:
    """Yield the leases of an interface: those that are kept with the VM, then those that DHCP tells it."""
    for source, texts in ((RECORD, nic.addresses), (DHCP, told.get((nic.bridge or "", nic.mac), ()))):
        for text in texts:
            try:
                found = ipaddress.ip_interface(text)
            except ValueError:  # a record that was edited by hand
                continue
            yield {
                "nic": nic.name,
                "mac": nic.mac,
                "address": str(found.ip),
                "prefix": found.network.prefixlen if "/" in text else None,
                "family": f"ipv{found.version}",
                "source": source,
                "leased": True,
            }
