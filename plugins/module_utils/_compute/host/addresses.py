# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a running domain: by the guest agent, by DHCP leases, by the host's ARP table; in this order of trust."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from ..._libvirt import error_name, libvirt
from ..model.spec import Nic
from ..model.state import VmState
from .agent import AGENT_SECONDS, limited_agent
from .leases import Told, with_leases

FAMILIES = {0: "ipv4", 1: "ipv6"}
SILENT = ("VIR_ERR_AGENT_UNRESPONSIVE", "VIR_ERR_OPERATION_TIMEOUT")


def _sources() -> tuple[tuple[str, int], ...]:
    return (
        ("agent", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT),
        ("lease", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE),
        ("arp", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP),
    )


def read_addresses(domain: Any, nics: Sequence[Nic]) -> list[dict[str, Any]]:
    """Return every address once, with the NIC that has it and the source that knows it; empty where no source does."""
    return merge([(name, _ask(domain, number)) for name, number in _sources()], nics)


@dataclass(frozen=True)
class Answer:
    """The addresses of a guest, and whether its agent is there and did not answer in time."""

    addresses: list[dict[str, Any]]
    silent: bool = False


def first_addresses(domain: Any, nics: Sequence[Nic], seconds: int = AGENT_SECONDS) -> Answer:
    """Return the addresses of the most trusted source that knows one by which the guest is reached; for many guests, remotely.

    The agent has so many seconds to answer.
    """
    silent = False
    for name, number in _sources():
        try:
            found = merge([(name, _asked(domain, number, seconds))], nics)
        except libvirt.libvirtError as error:
            silent |= error_name(error) in SILENT
            continue
        if main_address(found):
            return Answer(found, silent)
    return Answer([], silent)


def _ask(domain: Any, source: int) -> Mapping[str, Any]:
    """Return libvirt's answer; a source that does not answer (no agent or a silent one, no lease server) knows nothing."""
    try:
        return _asked(domain, source, AGENT_SECONDS)
    except libvirt.libvirtError:
        return {}


def _asked(domain: Any, source: int, seconds: int) -> Mapping[str, Any]:
    by_agent = source == libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    with limited_agent(domain, seconds) if by_agent else nullcontext():
        found: Mapping[str, Any] = domain.interfaceAddresses(source, 0) or {}
    return found


def merge(answers: Sequence[tuple[str, Mapping[str, Any]]], nics: Sequence[Nic]) -> list[dict[str, Any]]:
    """Return the addresses of NICs that are the domain's (by MAC), those of the first source first.

    They are in the order of the domain's NICs, IPv4 before IPv6, and then as the guest has them: the primary address of a NIC
    comes before those that were added to it, and before those of interfaces on top of it, such as VLANs, which have its MAC.
    """
    order = {nic.mac: place for place, nic in enumerate(nics)}
    found: dict[str, tuple[tuple[object, ...], dict[str, Any]]] = {}
    for source, interfaces in answers:
        for name, interface in interfaces.items():
            mac = (interface.get("hwaddr") or "").lower()
            for address in interface.get("addrs") or ():
                if mac in order and _is_of_guest(address["addr"]):
                    entry = _entry(nics[order[mac]], mac, address, source)
                    rank = (order[mac], entry["family"], "." in name, _is_added(address), len(found))
                    found.setdefault(address["addr"], (rank, entry))
    return [entry for _rank, entry in sorted(found.values(), key=lambda pair: pair[0])]


def _is_added(address: Mapping[str, Any]) -> bool:
    """Return whether an address is of the kind that programs add to an interface that has one: single, without its network."""
    return bool(address["prefix"] == (32 if address["type"] == 0 else 128))


def _entry(nic: Nic, mac: str, address: Mapping[str, Any], source: str) -> dict[str, Any]:
    return {
        "nic": nic.name,
        "mac": mac,
        "address": address["addr"],
        "prefix": address["prefix"] or None,
        "family": FAMILIES.get(address["type"], "unknown"),
        "source": source,
    }


def _is_of_guest(text: str) -> bool:
    """Return whether a text is an address by which a guest can be reached; its agent can send any text, also after a ``%``."""
    try:
        return not ipaddress.ip_address(text).is_loopback and "%" not in text
    except ValueError:
        return False


def main_address(addresses: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the address to reach the guest by: the first that is not link-local, IPv4 of any NIC before IPv6."""
    usable = [entry["address"] for entry in addresses if _reaches(entry["address"])]
    return min(usable, key=lambda address: ipaddress.ip_address(address).version, default=None)


def _reaches(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return not (found.is_link_local or found.is_unspecified or found.is_multicast)


def addresses_of(domain: Any | None, state: VmState, told: Told) -> dict[str, Any]:
    """Return the addresses of a VM, and the one to reach it by; ``told`` is what DHCP services of this host answer.

    Those that a running guest has are looked for, unless ``domain`` is None: it went away.
    """
    running = domain is not None and state.run == "running" and state.live is not None
    seen = read_addresses(domain, state.live_nics) if running else []
    found = with_leases(seen, state.live_nics or state.nics, told)
    return {"addresses": found, "address": main_address(found)}
