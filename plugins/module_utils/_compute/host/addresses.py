# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a running domain: by the guest agent, by DHCP leases, by the host's ARP table; in this order of trust."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from ..._libvirt import libvirt
from ..model.spec import Nic
from ..model.state import VmState
from .agent import limited_agent

FAMILIES = {0: "ipv4", 1: "ipv6"}


def _sources() -> tuple[tuple[str, int], ...]:
    return (
        ("agent", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT),
        ("lease", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE),
        ("arp", libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP),
    )


def read_addresses(domain: Any, nics: Sequence[Nic]) -> list[dict[str, Any]]:
    """Return every address once, with the NIC that has it and the source that knows it; empty where no source does."""
    return merge([(name, _ask(domain, number)) for name, number in _sources()], nics)


def first_addresses(domain: Any, nics: Sequence[Nic]) -> list[dict[str, Any]]:
    """Return the addresses of the most trusted source that knows one by which the guest is reached; for many guests, remotely."""
    for name, number in _sources():
        found = merge([(name, _ask(domain, number))], nics)
        if main_address(found):
            return found
    return []


def _ask(domain: Any, source: int) -> Mapping[str, Any]:
    """Return libvirt's answer; a source that does not answer (no agent or a silent one, no lease server) knows nothing."""
    by_agent = source == libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    with limited_agent(domain) if by_agent else nullcontext():
        try:
            found: Mapping[str, Any] = domain.interfaceAddresses(source, 0) or {}
        except libvirt.libvirtError:
            return {}
    return found


def merge(answers: Sequence[tuple[str, Mapping[str, Any]]], nics: Sequence[Nic]) -> list[dict[str, Any]]:
    """Return the addresses of NICs that are the domain's (by MAC), those of the first source first."""
    names = {nic.mac: nic.name for nic in nics}
    found: dict[str, dict[str, Any]] = {}
    for source, interfaces in answers:
        for interface in interfaces.values():
            mac = (interface.get("hwaddr") or "").lower()
            for address in interface.get("addrs") or ():
                if mac in names and _is_of_guest(address["addr"]):
                    entry = {
                        "nic": names[mac],
                        "mac": mac,
                        "address": address["addr"],
                        "prefix": address["prefix"] or None,
                        "family": FAMILIES.get(address["type"], "unknown"),
                        "source": source,
                    }
                    found.setdefault(address["addr"], entry)
    return sorted(found.values(), key=lambda entry: (entry["nic"], entry["family"], entry["address"]))


def _is_of_guest(text: str) -> bool:
    """Return whether a text is an address by which a guest can be reached; its agent can send any text, also after a ``%``."""
    try:
        return not ipaddress.ip_address(text).is_loopback and "%" not in text
    except ValueError:
        return False


def main_address(addresses: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the address to reach the guest by: the first that is not link-local, IPv4 before IPv6."""
    usable = [entry for entry in addresses if not ipaddress.ip_address(entry["address"]).is_link_local]
    return next((entry["address"] for entry in usable), None)


def addresses_of(domain: Any | None, state: VmState) -> dict[str, Any]:
    """Return the addresses of a running VM and the one to reach it by; ``domain`` None is one that went away."""
    running = domain is not None and state.run == "running" and state.live is not None
    found = read_addresses(domain, state.live_nics) if running else []
    return {"addresses": found, "address": main_address(found)}
