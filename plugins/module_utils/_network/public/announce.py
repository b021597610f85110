# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of packet sockets: tell neighbours at once which machine has an address (RFC 5227 and RFC 4861, 7.2.6)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

ROUNDS, PAUSE = 3, 0.1  # a frame may be lost
BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = IPv6Address("ff02::1")
ALL_NODES_MAC = "33:33:00:00:00:01"
ARP, IPV6 = 0x0806, 0x86DD
REQUEST, REPLY = 1, 2
ADVERTISEMENT, ICMPV6, OVERRIDE, ROUTER, TARGET_LINK = 136, 58, 0x20000000, 0x80000000, 2


def announce(address: str, mac: str, link: str, to: str | None = None) -> None:
    """Send that ``address`` is at ``mac`` on a link, to all neighbours or to the MAC address ``to`` only."""
    sent = frames(address, mac, to)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as opened:
        opened.bind((link, 0))
        for number in range(ROUNDS):
            if number:
                time.sleep(PAUSE)
            for frame in sent:
                opened.send(frame)


def frames(address: str, mac: str, to: str | None = None) -> Sequence[bytes]:
    """Return the frames: gratuitous ARP as request and as reply, since some take only one of them, or a neighbour advertisement."""
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return [_arp(found, mac, to or BROADCAST, operation) for operation in (REQUEST, REPLY)]
    return [_advertisement(found, mac, to)]


def _arp(address: IPv4Address, mac: str, to: str, operation: int) -> bytes:
    target = bytes(6) if operation == REQUEST else _octets(to)
    packet = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + _octets(mac) + address.packed + target + address.packed
    return _ethernet(to, mac, ARP) + packet


def _advertisement(address: IPv6Address, mac: str, to: str | None) -> bytes:
    flags = OVERRIDE | (ROUTER if address.is_link_local else 0)  # of ours, only gateways have such an address
    message = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, flags) + address.packed + bytes((TARGET_LINK, 1)) + _octets(mac)
    ends = address.packed + ALL_NODES.packed
    summed = ends + struct.pack("!II", len(message), ICMPV6) + message
    message = message[:2] + struct.pack("!H", _checksum(summed)) + message[4:]
    return _ethernet(to or ALL_NODES_MAC, mac, IPV6) + struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255) + ends + message


def _ethernet(to: str, mac: str, kind: int) -> bytes:
    return _octets(to) + _octets(mac) + struct.pack("!H", kind)


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
