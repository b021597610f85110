# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases as data, and the steps from the present ones to those that are asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .definition import DefinedSubnet
from .intervals import Address


@dataclass(frozen=True)
class Holder:
    """A NIC of a VM in a network, which a lease is for."""

    network: str
    vm: str
    nic: str

    def __str__(self) -> str:
        return f"VM {self.vm}, NIC {self.nic}, in the network {self.network}"


@dataclass(frozen=True)
class LeasedAddress:
    """An address of a lease; a static one was asked for, another comes from a range."""

    address: Address
    static: bool
    prefix_length: int | None = None
    subnet: str | None = None
    gateway: str | None = None

    def view(self) -> dict[str, Any]:
        """Return it as a module shows it."""
        return {
            "address": str(self.address),
            "cidr": f"{self.address}/{self.prefix_length}",
            "prefix_length": self.prefix_length,
            "subnet": self.subnet,
            "gateway": self.gateway,
            "static": self.static,
        }


def leased_in(subnet: DefinedSubnet | None, address: Address, *, static: bool) -> LeasedAddress:
    """Return an address with what its subnet says of it."""
    if subnet is None:
        return LeasedAddress(address, static)
    gateway = str(subnet.gateway) if subnet.gateway else None
    return LeasedAddress(address, static, subnet.subnet.prefixlen, str(subnet.subnet), gateway)


@dataclass(frozen=True)
class Lease:
    """What a NIC has: a MAC address, and an address of each family at most."""

    holder: Holder
    mac: str
    addresses: tuple[LeasedAddress, ...] = ()

    def of(self, version: int) -> LeasedAddress | None:
        """Return the address of a family."""
        return next((one for one in self.addresses if one.address.version == version), None)

    def view(self) -> dict[str, Any]:
        """Return it as a module shows it."""
        four, six = self.of(4), self.of(6)
        return {
            "state": "present",
            "network": self.holder.network,
            "vm": self.holder.vm,
            "nic": self.holder.nic,
            "mac": self.mac,
            "ipv4": str(four.address) if four else None,
            "ipv6": str(six.address) if six else None,
            "addresses": [one.view() for one in self.addresses],
            "dhcp_host": self._dhcp_host(),
        }

    def _dhcp_host(self) -> dict[str, Any] | None:
        """Return it as one of the hosts of virtual_network_dhcp, None without an address to give."""
        addresses = [str(one.address) for one in self.addresses]
        return {"name": self.holder.vm, "mac": self.mac, "addresses": addresses} if addresses else None


Leases = Mapping[Holder, Lease]


def view(leases: Leases) -> dict[str, Any]:
    """Return leases as a diff shows them."""
    return {"leases": [leases[holder].view() for holder in sorted(leases, key=lambda one: (one.network, one.vm, one.nic))]}


def only(leases: Leases) -> dict[str, Any]:
    """Return the one lease that there may be as a module shows it."""
    return next((lease.view() for lease in leases.values()), {"state": "absent"})


@dataclass(frozen=True)
class SetMac:
    """Give a NIC its MAC address, with a lease if it has none."""

    holder: Holder
    mac: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Give the MAC address {self.mac} to {self.holder}"

    def predict(self, leases: Leases) -> Leases:
        """See Step."""
        found = leases.get(self.holder) or Lease(self.holder, self.mac)
        return {**leases, self.holder: replace(found, mac=self.mac)}


@dataclass(frozen=True)
class Take:
    """Lease an address to a NIC."""

    holder: Holder
    taken: LeasedAddress

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Lease {self.taken.address} to {self.holder}{', as a static address' if self.taken.static else ''}"

    def predict(self, leases: Leases) -> Leases:
        """See Step."""
        found = leases[self.holder]
        others = [one for one in found.addresses if one.address.version != self.taken.address.version]
        ordered = sorted([*others, self.taken], key=lambda one: one.address.version)
        return {**leases, self.holder: replace(found, addresses=tuple(ordered))}


@dataclass(frozen=True)
class Release:
    """Take an address from a NIC; for ``cool_down`` seconds only the same NIC may have it again."""

    holder: Holder
    address: Address
    cool_down: int

    @property
    def sentence(self) -> str:
        """See Step."""
        after = f"; others may have it after {self.cool_down} s" if self.cool_down else ""
        return f"Release {self.address} of {self.holder}{after}"

    def predict(self, leases: Leases) -> Leases:
        """See Step."""
        found = leases[self.holder]
        left = tuple(one for one in found.addresses if one.address != self.address)
        return {**leases, self.holder: replace(found, addresses=left)}


@dataclass(frozen=True)
class End:
    """End a lease, whose addresses are released."""

    holder: Holder

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"End the lease of {self.holder}"

    def predict(self, leases: Leases) -> Leases:
        """See Step."""
        return {holder: lease for holder, lease in leases.items() if holder != self.holder}


LeaseStep = SetMac | Take | Release | End
