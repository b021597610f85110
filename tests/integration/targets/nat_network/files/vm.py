# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM's network card does: ask DHCP for an address with the MAC of LINK, or ask DNS for a name.

Usage: vm.py lease LINK | vm.py resolve SERVER NAME. Prints the address, or "none".
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

COOKIE = b"\x63\x82\x53\x63"


def message(kind: int, mac: bytes, *options: bytes) -> bytes:
    head = struct.pack("!BBBBIHH16s16s192s", 1, 1, 6, 0, 0x5ED6E, 0, 0x8000, b"", mac, b"")
    return head + COOKIE + bytes([53, 1, kind]) + b"".join(options) + b"\xff"


def options_of(answer: bytes) -> dict[int, bytes]:
    found, at = {}, 240
    while answer[at] != 255:
        length = answer[at + 1]
        found[answer[at]] = answer[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def ask(wire: socket.socket, request: bytes, *kinds: int) -> bytes:
    """Return the first answer of one of these kinds; ask again every second, as any DHCP client does."""
    for _try in range(300):
        wire.sendto(request, ("255.255.255.255", 67))
        try:
            while options_of(answer := wire.recv(2048))[53][0] not in kinds:
                pass
        except TimeoutError:
            continue
        return answer
    raise SystemExit("no DHCP server answers")


def lease(link: str) -> str:
    mac = bytes.fromhex(Path("/sys/class/net", link, "address").read_text().strip().replace(":", ""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        wire.bind(("", 68))
        wire.settimeout(1)
        offer = ask(wire, message(1, mac), 2)
        wanted, server = offer[16:20], options_of(offer)[54]
        answer = ask(wire, message(3, mac, b"\x32\x04" + wanted, b"\x36\x04" + server), 5, 6)
    return socket.inet_ntoa(answer[16:20]) if options_of(answer)[53] == b"\x05" else "none"


def resolve(server: str, name: str) -> str:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(300)
        wire.sendto(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01", (server, 53))
        answer = wire.recv(2048)
    return socket.inet_ntoa(answer[-4:]) if struct.unpack("!H", answer[6:8])[0] else "none"


if __name__ == "__main__":
    print({"lease": lease, "resolve": resolve}[sys.argv[1]](*sys.argv[2:]))
