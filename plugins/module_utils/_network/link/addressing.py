# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses of networks: checked once at the edge, in one canonical form, and compared for overlap. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_interface, ip_network
from itertools import islice

from ..._errors import Conflict, InvalidInput

LINK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
MULTICAST = 0b01  # bit of the first octet of a MAC address
LETTERS = 100  # of a user's value that a message repeats
WIDEST = {4: 8, 6: 16}
MTU_MIN, MTU_MAX = 68, 65535


def link_name(name: str, option: str = "name") -> str:
    """Return the name of a network interface that Linux accepts (1 to 15 letters, digits, ``_``, ``.``, ``-``)."""
    if not LINK_NAME.fullmatch(name) or name in ("all", "default", "lo"):
        raise InvalidInput(
            f"{option}: {name!r} cannot name a bridge or port; use 1 to 15 letters, digits, '_', '.' or '-',"
            " beginning with a letter or digit, and not 'all', 'default' or 'lo'.",
            option=option,
        )
    return name


def network_name(name: str, option: str = "name") -> str:
    """Return the name of a network, of libvirt or a virtual one, that is also safe as a file name."""
    if not NETWORK_NAME.fullmatch(name):
        raise InvalidInput(
            f"{option}: {name[:LETTERS]!r} cannot name a network; use 1 to 50 letters, digits, '_', '.' or '-', the first a letter"
            " or digit.",
            option=option,
        )
    return name


def mac_address(mac: str, option: str = "mac") -> str:
    """Return a unicast MAC address in lower case with colons."""
    found = mac.strip().lower().replace("-", ":")
    if not MAC.fullmatch(found) or int(found[:2], 16) & MULTICAST or found == "00:00:00:00:00:00":
        raise InvalidInput(
            f'{option}: {mac[:LETTERS]!r} is not a unicast MAC address; write it in quotes, as "52:54:00:12:34:56".',
            option=option,
        )
    return found


def mtu_bytes(mtu: int) -> int:
    """Return an MTU that a bridge can have (68 to 65535 bytes)."""
    if not MTU_MIN <= mtu <= MTU_MAX:
        raise InvalidInput(f"mtu: {mtu} is out of range; a bridge takes {MTU_MIN} to {MTU_MAX} bytes.", option="mtu")
    return mtu


def interface_address(text: str, option: str = "addresses") -> str:
    """Return an address with its prefix length, such as ``192.0.2.1/24`` or ``2001:db8::1/64``, in canonical form."""
    if "/" not in text:
        raise InvalidInput(f"{option}: {text!r} has no prefix length; write it as 192.0.2.1/24 or 2001:db8::1/64.", option=option)
    try:
        found = ip_interface(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{option}: {text!r} is not an address ({error}); write it as 192.0.2.1/24 or 2001:db8::1/64.", option=option
        ) from None
    if found.ip.is_multicast or found.ip.is_loopback or found.ip.is_unspecified:
        raise InvalidInput(f"{option}: {text!r} is multicast, loopback or unspecified; a bridge cannot have it.", option=option)
    if found.version == 4 and found.network.prefixlen < 31 and found.ip in (found.network[0], found.network[-1]):
        raise InvalidInput(f"{option}: {text!r} is the first or last of its subnet, which no host can have.", option=option)
    return found.with_prefixlen


def ipv4_subnet(text: str) -> IPv4Network:
    """Return the subnet of a NAT network: IPv4, /8 to /30, no host bits set, not multicast or loopback."""
    try:
        found = ip_network(text.strip())
    except ValueError as error:
        raise InvalidInput(f"subnet: {text!r} is not a subnet ({error}); write it as 192.0.2.0/24.", option="subnet") from None
    if not isinstance(found, IPv4Network) or not 8 <= found.prefixlen <= 30:
        raise InvalidInput(f"subnet: {text} must be IPv4 with a prefix length of 8 to 30.", option="subnet")
    if found.is_multicast or found.is_loopback or found.is_link_local:
        raise InvalidInput(f"subnet: {text} is a multicast, loopback or link-local range; choose a private one.", option="subnet")
    return found


def subnet_of(text: str, option: str) -> IPv4Network | IPv6Network:
    """Return a subnet of VMs: with prefix length, no host bits set, of addresses that VMs can have."""
    text = text.strip()
    says = f"{option}: {text[:LETTERS]!r}"
    example = "write it as 192.0.2.0/24 or 2001:db8:1::/64."
    if not re.fullmatch(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", text):
        raise InvalidInput(f"{says} is not a subnet with a prefix length; {example}", option=option)
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(f"{says} is not a subnet; {example}", option=option) from None
    if ip_address(text.split("/")[0]) != found.network_address:
        raise InvalidInput(f"{says} is an address in the subnet {found}; give the subnet.", option=option)
    widest = WIDEST[found.version]
    if found.prefixlen < widest:
        raise InvalidInput(f"{says} is wider than any network; use a prefix length of {widest} or more.", option=option)
    mapped = found.version == 6 and found.network_address.ipv4_mapped is not None
    if mapped or found.is_multicast or found.is_loopback or found.is_link_local or found.network_address.is_unspecified:
        raise InvalidInput(
            f"{says} is a multicast, loopback, link-local, mapped or unspecified range, which no network of VMs can have.",
            option=option,
        )
    return found


def ipv4_in(text: str, subnet: IPv4Network, option: str) -> IPv4Address:
    """Return an address that a VM can have in ``subnet``: not the network, broadcast or host's own address."""
    try:
        found = IPv4Address(text.strip())
    except ValueError as error:
        raise InvalidInput(f"{option}: {text!r} is not an IPv4 address ({error}).", option=option) from None
    taken = (subnet.network_address, subnet.network_address + 1, subnet.broadcast_address)
    if found not in subnet or found in taken:
        raise InvalidInput(
            f"{option}: a VM cannot have the address {found} in {subnet}; use {taken[1] + 1} to {taken[2] - 1}.", option=option
        )
    return found


def host_name(name: str, option: str) -> str:
    """Return one DNS label in lower case."""
    if not HOST_NAME.fullmatch(name.lower()):
        raise InvalidInput(f"{option}: {name!r} is not a host name; use 1 to 63 letters, digits or '-' within.", option=option)
    return name.lower()


def domain_name(name: str) -> str:
    """Return a DNS domain in lower case."""
    labels = name.lower().rstrip(".").split(".")
    if len(name) > 253 or not all(HOST_NAME.fullmatch(label) for label in labels):
        raise InvalidInput(f"domain: {name!r} is not a DNS domain; write it as vms.example.", option="domain")
    return ".".join(labels)


def default_dhcp_range(subnet: IPv4Network) -> tuple[str, str]:
    """Return first and last address for DHCP: all except the host's own and the first tenth, which is kept for static ones."""
    usable = subnet.num_addresses - 2
    first = subnet.network_address + 1 + max(1, usable // 10)
    return str(first), str(subnet.broadcast_address - 1)


@dataclass(frozen=True)
class Taken:
    """A range of addresses that is in use on the host already, and what uses it; ``way`` is a route's table and next hop."""

    network: IPv4Network | IPv6Network
    by: str
    way: tuple[str, ...] = ()


NARROWEST_DEFAULT = 7  # no network has fewer than 8 bits: such a route leads to a part of the whole Internet
POOLS = tuple(map(IPv4Network, ("10.77.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def without_defaults(taken: Collection[Taken]) -> list[Taken]:
    """Return ``taken`` without default routes, also those that are split as VPNs do: 0.0.0.0/1 and 128.0.0.0/1, four /2, and so on.

    A part is a route wider than any network, or one of several with the same next hop that make up the whole address space. A
    route inside of a part is a network of its own and stays.
    """
    found = [item for item in taken if item.network.version == 4 and item.network.prefixlen > NARROWEST_DEFAULT]
    every = [item for item in taken if item.network.version == 4 and item.way]
    parts = {item for way in {item.way for item in every} for item in _parts([item for item in every if item.way == way])}
    return [item for item in found if item not in parts]


def _parts(routes: list[Taken]) -> list[Taken]:
    """Return those of ``routes`` that no other holds, if they make up the whole address space."""
    nets = [item.network for item in routes if isinstance(item.network, IPv4Network)]
    if [str(network) for network in collapse_addresses(nets)] != ["0.0.0.0/0"]:
        return []
    return [item for item in routes if not any(item.network != other and item.network.subnet_of(other) for other in nets)]  # type: ignore[arg-type]


def free_subnet(prefix: int, taken: Iterable[Taken]) -> IPv4Network | None:
    """Return a private subnet with this prefix length that overlaps nothing in ``taken``, or None."""
    used = [item.network for item in taken if isinstance(item.network, IPv4Network)]
    for pool in POOLS:
        if prefix < pool.prefixlen or any(pool.subnet_of(network) for network in used):
            continue
        for candidate in islice(pool.subnets(new_prefix=prefix), 4096):
            if not any(candidate.overlaps(network) for network in used):
                return candidate
    return None


def refuse_overlap(subnet: IPv4Network, taken: Iterable[Taken]) -> None:
    """Raise Conflict that names everything that overlaps ``subnet`` and a subnet that is free; default routes do not count."""
    networks = without_defaults(list(taken))
    found = [item for item in networks if subnet.overlaps(item.network)]
    if not found:
        return
    what = "; ".join(sorted({f"{item.network} ({item.by})" for item in found}))
    free = free_subnet(subnet.prefixlen, networks)
    advice = f"Choose another subnet, for example {free}." if free else "No private range of that size is free: choose a smaller."
    raise Conflict(
        f"subnet: {subnet} overlaps what the host uses already: {what}. {advice}",
        option="subnet",
        subnet=str(subnet),
        overlaps=sorted({str(item.network) for item in found}),
    )
