# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the name of a network alone, so that it is the same on all hosts and at every run. Pure."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv6Address

from ..._taps import short
from ..link.model import DHCP_MARK

PREFIX = "evd-"
SPACE = "edge-dhcp-"
INNER = "eth0"  # the service's end of the pair, in its name space
LONGEST = 11  # characters after the prefix: Linux takes 15


def link_of(network: str) -> str:
    """Return the name of the bridge port of a network's service."""
    return PREFIX + short(_text("link", network), LONGEST)


def space_of(network: str) -> str:
    """Return the name of the service's network name space."""
    return SPACE + network


def unit_of(network: str) -> str:
    """Return the name of the service's unit."""
    return f"edge-dhcp@{network}.service"


def mark(network: str) -> str:
    """Return the alias that marks the bridge port as ours; a link without it is never changed."""
    return DHCP_MARK + network


def service_mac(network: str) -> str:
    """Return the MAC address of the service: locally administered, unicast, equal on all hosts."""
    return _mac(0x0A, _hash("mac", network))


def port_mac(network: str) -> str:
    """Return the MAC address of the bridge port; no bridge takes it for its own, since the lowest of its ports' wins."""
    return _mac(0xFE, _hash("port", network))


def server_id(network: str) -> str:
    """Return the identifier (DUID) of the DHCPv6 server as dnsmasq takes it; a client renews only with the server of its lease."""
    return "32473," + ":".join(
        f"{byte:02x}" for byte in _hash("duid", network)[:12]
    )  # the enterprise of RFC 5612, which belongs to no company


def link_local(network: str) -> str:
    """Return the link-local address of the service, which follows from its MAC address (RFC 4291)."""
    octets = bytes.fromhex(service_mac(network).replace(":", ""))
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]))


def _mac(first: int, octets: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in (first, *octets[:5]))


def _hash(purpose: str, network: str) -> bytes:
    return sha256(_text(purpose, network).encode()).digest()


def _text(purpose: str, network: str) -> str:
    return f"edge.cloud dhcp {purpose} {network}"
