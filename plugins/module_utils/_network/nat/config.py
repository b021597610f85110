# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a NAT network as data, and the checks of what a user gives for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..._errors import InvalidInput
from ..link.addressing import host_name, ipv4_in, mac_address

Range = tuple[str, str]


@dataclass(frozen=True, order=True)
class Lease:
    """A fixed address of one VM: by MAC address for DHCP, by name for DNS.

    One that another program made can lack MAC address or name (empty), and its name need not be a DNS name.
    """

    address: str
    mac: str
    name: str
    dns: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """What DHCP knows of it."""
        return self.address, self.mac, self.name


@dataclass(frozen=True)
class Config:
    """One configuration of a network, the persistent or the live one."""

    bridge: str
    subnet: str
    address: str
    dhcp_range: Range | None = None
    domain: str | None = None
    mtu: int | None = None
    hosts: tuple[Lease, ...] = ()
    other_ranges: tuple[Range, ...] = ()


def checked_span(span: Range, subnet: IPv4Network, others: tuple[Range, ...]) -> Range:
    """Return a DHCP range in ``subnet`` beside ``others``, or raise InvalidInput."""
    start, end = ipv4_in(span[0], subnet, "dhcp_range.start"), ipv4_in(span[1], subnet, "dhcp_range.end")
    if start > end:
        raise InvalidInput(f"dhcp_range: the end {end} is lower than the start {start}.", option="dhcp_range")
    for first, last in others:
        if start <= IPv4Address(last) and IPv4Address(first) <= end:
            raise InvalidInput(
                f"dhcp_range: {start} to {end} overlaps another range of the network, {first} to {last}, which stays as it is;"
                " choose one beside it, or remove that one (virsh net-update).",
                option="dhcp_range",
            )
    return str(start), str(end)


def kept_hosts(hosts: tuple[Lease, ...], subnet: IPv4Network) -> tuple[Lease, ...]:
    """Return the hosts of a network that gets another subnet, unchanged, if all have an address there."""
    for number, host in enumerate(hosts):
        if host.address:
            ipv4_in(host.address, subnet, f"hosts[{number}].address")
    return hosts


def checked_hosts(hosts: tuple[Lease, ...], subnet: IPv4Network) -> tuple[Lease, ...]:
    """Return the canonical form of the hosts that a user gave, sorted by address, or raise InvalidInput."""
    found = [
        Lease(
            str(ipv4_in(host.address, subnet, f"hosts[{number}].address")),
            mac_address(host.mac, f"hosts[{number}].mac"),
            host_name(host.name, f"hosts[{number}].name"),
        )
        for number, host in enumerate(hosts)
    ]
    for key in ("address", "mac", "name"):
        values = [getattr(host, key) for host in found]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise InvalidInput(f"hosts: the {key} {', '.join(twice)} is given more than once.", option="hosts")
    return tuple(sorted(found, key=lambda host: IPv4Address(host.address)))
