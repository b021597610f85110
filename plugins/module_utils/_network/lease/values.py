# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of addresses as users write them: checked once at the edge, in one canonical form. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from ..._errors import InvalidInput
from ..link.addressing import LETTERS, MULTICAST
from .intervals import Address, Interval, Subnet, unusable

VM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
NIC_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
MAC_PREFIX = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){0,2}")
LOCAL = 0b10  # bit of the first octet of a MAC address
FAMILY = {4: "IPv4", 6: "IPv6"}
EXAMPLE = {4: "192.0.2.10", 6: "2001:db8::10"}
COOL_DOWN_MAX = 366 * 86400


def bad(option: str, says: str, value: object = None) -> InvalidInput:
    """Return the error about an option's value; ``says`` goes on from the value."""
    shown = "" if value is None else f"{str(value)[:LETTERS]!r} "
    return InvalidInput(f"{option}: {shown}{says}", option=option)


def named(name: str, rule: re.Pattern[str], option: str, length: int) -> str:
    """Return a name that keeps to its rule."""
    if not rule.fullmatch(name):
        letters = "small letters, digits or '-'" if rule is NIC_NAME else "letters, digits, '_', '.' or '-'"
        raise bad(option, f"is not such a name; use 1 to {length} {letters}, the first a letter or digit.", name)
    return name


def vm_name(name: str, option: str) -> str:
    """Return the name of a VM, by the rule of the module domain."""
    return named(name, VM_NAME, option, 63)


def nic_name(name: str, option: str) -> str:
    """Return the name of a NIC, by the rule of the module domain."""
    return named(name, NIC_NAME, option, 20)


def address_of(text: str, option: str, version: int | None = None) -> Address:
    """Return an address that a VM may have as far as its kind goes, of IP ``version`` if that is given."""
    example = EXAMPLE[version or 4]
    if "/" in text:
        raise bad(option, f"has a prefix length; write the address alone, such as {example}.", text)
    try:
        found = ip_address(text.strip())
    except ValueError:
        raise bad(option, f"is not an address; write it as {example}.", text) from None
    if getattr(found, "scope_id", None):
        raise bad(option, "names an interface after '%'; write the address alone.", text)
    if version and found.version != version:
        raise bad(option, f"is an {FAMILY[found.version]} address, and this is for {FAMILY[version]}.", text)
    if found.is_multicast or found.is_loopback or found.is_unspecified or found.is_link_local:
        raise bad(option, "is a multicast, loopback, link-local or unspecified address, which no VM can lease.", text)
    return found


def mac_prefix(prefix: str, option: str) -> str:
    """Return the first one to three octets of unicast, locally administered MAC addresses."""
    found = prefix.strip().lower().replace("-", ":")
    if not MAC_PREFIX.fullmatch(found):
        raise bad(option, 'does not begin a MAC address; write one to three octets in quotes, such as "52:54".', prefix)
    if int(found[:2], 16) & (MULTICAST | LOCAL) != LOCAL:
        raise bad(
            option,
            "is not of locally administered unicast addresses; use one whose second digit is 2, 6, a or e, such as 52:54.",
            prefix,
        )
    return found


def macs_of(prefix: str, vm: str, nic: str) -> Iterator[str]:
    """Yield MAC addresses for a NIC, always the same in the same order; the first with 52:54 is the one of the module domain."""
    have = [int(octet, 16) for octet in prefix.split(":")]
    for attempt in range(64):
        text = f"{vm}/{nic}" + (f"/{attempt}" if attempt else "")
        digest = hashlib.sha256(text.encode()).digest()
        yield ":".join(f"{octet:02x}" for octet in (*have, *digest[: 6 - len(have)]))


@dataclass(frozen=True)
class Span:
    """Addresses of one family from the first to the last."""

    first: Address
    last: Address

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.first.version

    @property
    def interval(self) -> Interval:
        """The same as numbers."""
        return int(self.first), int(self.last)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, type(self.first)) and int(self.first) <= int(address) <= int(self.last)

    def overlaps(self, other: Span) -> bool:
        """Tell whether an address is in both."""
        return self.version == other.version and int(self.first) <= int(other.last) and int(other.first) <= int(self.last)

    def view(self) -> dict[str, str]:
        """Return it as a module shows it."""
        return {"start": str(self.first), "end": str(self.last)}


def span_of(start: str, end: str | None, option: str) -> Span:
    """Return the addresses from ``start`` to ``end``; without an end it is the one address."""
    first = span_end(start, f"{option}.start")
    last = first if end is None else span_end(end, f"{option}.end")
    if first.version != last.version or int(first) > int(last):
        raise bad(
            option, f"it leads from {first} to {last}; the end must be an address of the same family, not lower than the start."
        )
    return Span(first, last)


def span_end(text: str, option: str) -> Address:
    """Return the first or last address of a range, which may be one that no host can have."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        raise bad(option, "is not an address; write it as 192.0.2.10 or 2001:db8::10.", text) from None
    if getattr(found, "scope_id", None):
        raise bad(option, "names an interface after '%'; write the address alone.", text)
    return found


def span_of_subnet(subnet: Subnet) -> Span:
    """Return all addresses of a subnet."""
    return Span(subnet.network_address, subnet.broadcast_address)


def first_usable(subnet: Subnet) -> Address | None:
    """Return the first address that a host can have, None in a subnet of a single address."""
    if subnet.num_addresses == 1:
        return None
    first = subnet.network_address
    return first + 1 if first in unusable(subnet) else first
