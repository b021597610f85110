# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's side of DHCP, router discovery and DNS, run as a program in the guest's name space: words in, JSON out.

It needs no address and no other program, and says every answer that came, so that a test sees one that must not be there.
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import sys
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

LINK = "eth0"
COOKIE = b"\x63\x82\x53\x63"
AGAIN, LIMIT = 1.0, 120.0  # seconds: of one try, and of what never comes


def own_mac() -> bytes:
    return hex_mac(Path(f"/sys/class/net/{LINK}/address").read_text().strip())


def hex_mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def message(xid: bytes, mac: bytes, options: list[tuple[int, bytes]], ciaddr: str = "0.0.0.0", flags: int = 0x8000) -> bytes:
    head = struct.pack("!BBBB4sHH4s12x", 1, 1, 6, 0, xid, 0, flags, IPv4Address(ciaddr).packed)
    body = b"".join(struct.pack("!BB", code, len(value)) + value for code, value in options)
    return head + mac + bytes(10 + 192) + COOKIE + body + b"\xff"


def parsed(data: bytes) -> dict[str, Any]:
    options: dict[int, bytes] = {}
    rest = data[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = options.get(rest[0], b"") + rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return {"xid": data[4:8], "address": str(IPv4Address(data[16:20])), "options": options}


def shown(found: dict[str, Any]) -> dict[str, Any]:
    known = {6: "dns", 3: "router", 54: "server", 26: "mtu", 15: "domain", 51: "lease", 53: "type", 121: "routes"}
    result: dict[str, Any] = {"address": found["address"]}
    for code, value in found["options"].items():
        name = known.get(code)
        if name in ("dns", "router"):
            result[name] = [str(IPv4Address(value[at : at + 4])) for at in range(0, len(value), 4)]
        elif name == "server":
            result[name] = str(IPv4Address(value))
        elif name == "domain":
            result[name] = value.decode()
        elif name == "routes":
            result[name] = value.hex()
        elif name:
            result[name] = int.from_bytes(value, "big")
    return result


def udp_frame(data: bytes, mac: bytes) -> bytes:
    udp = struct.pack("!HHHH", 68, 67, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


class Wire:
    """A raw socket, which also hears what is sent to an address that the guest does not have yet."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self.socket.bind((LINK, 0))
        self.answers: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        self.socket.send(udp_frame(data, own_mac()))

    def hear(self, xid: bytes, seconds: float) -> dict[str, Any] | None:
        """Note every answer of a DHCP server, until one to ``xid`` has come."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, origin = self.socket.recvfrom(4096)
            except TimeoutError:
                break
            if origin[2] == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != 17:
                continue
            udp = frame[14 + (frame[14] & 15) * 4 :]
            if struct.unpack("!HH", udp[:4]) != (67, 68):
                continue
            found = {**parsed(udp[8:]), "from": frame[6:12].hex(":")}
            self.answers.append(found)
            if found["xid"] == xid:
                return found
        return None

    def ask(self, mac: bytes, options: list[tuple[int, bytes]], first: bytes = b"") -> dict[str, Any]:
        """Ask until there is an answer; ``first`` is sent before each time."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            xid = secrets.token_bytes(4)
            if first:
                self.send(first)
            self.send(message(xid, mac, options))
            if found := self.hear(xid, AGAIN):
                return found
        raise SystemExit("no DHCP server answers")


WANTED = (55, bytes([1, 3, 6, 12, 15, 26, 51, 54, 121]))


def acquire(mac: str = "") -> dict[str, Any]:
    """Get a lease by DISCOVER and REQUEST."""
    wire, own = Wire(), hex_mac(mac) if mac else own_mac()
    offer = wire.ask(own, [(53, b"\x01"), WANTED])
    chosen = [(50, IPv4Address(offer["address"]).packed), (54, offer["options"][54])]
    ack = wire.ask(own, [(53, b"\x03"), *chosen, WANTED])
    return {**shown(ack), "from": ack["from"], "answers": len({(one["from"], one["xid"]) for one in wire.answers})}


def unheard(unknown: str, known: str, wanted: str) -> dict[str, Any]:
    """Send DISCOVER and REQUEST of an unknown MAC address, then DISCOVER of a known one; say whom the server answered."""
    wire = Wire()
    strange = message(b"none", hex_mac(unknown), [(53, b"\x01"), WANTED])
    reboot = message(b"none", hex_mac(unknown), [(53, b"\x03"), (50, IPv4Address(wanted).packed), WANTED])
    wire.send(reboot)
    wire.ask(hex_mac(known), [(53, b"\x01"), WANTED], first=strange)
    return {"unknown": sum(one["xid"] == b"none" for one in wire.answers), "known": len(wire.answers)}


def renew(address: str, server: str) -> dict[str, Any]:
    """Renew a lease by unicast to the server that gave it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((address, 68))
        own.settimeout(AGAIN)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            xid = secrets.token_bytes(4)
            own.sendto(message(xid, own_mac(), [(53, b"\x03"), WANTED], ciaddr=address, flags=0), (server, 67))
            try:
                found = parsed(own.recv(4096))
            except TimeoutError:
                continue
            if found["xid"] == xid:
                return shown(found)
    raise SystemExit("no answer to the renewal")


def advertised() -> dict[str, Any]:
    """Ask for a router advertisement and show it."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as own:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        own.settimeout(AGAIN)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                own.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0, 0, socket.if_nametoindex(LINK)))
                while True:
                    data, origin = own.recvfrom(2048)
                    if data[0] == 134:
                        return {**_advertisement(data), "from": origin[0].split("%")[0]}
            except TimeoutError:
                continue
            except OSError:  # the kernel still looks whether the link-local address is free
                time.sleep(0.1)
    raise SystemExit("no router advertisement")


def _advertisement(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"managed": bool(data[5] & 0x80), "lifetime": int.from_bytes(data[6:8], "big"), "prefixes": []}
    rest = data[16:]
    while rest:
        kind, size = rest[0], rest[1] * 8
        if kind == 5:
            found["mtu"] = int.from_bytes(rest[4:8], "big")
        if kind == 3:
            prefix = f"{IPv6Address(rest[16:32])}/{rest[2]}"
            found["prefixes"].append({"prefix": prefix, "on_link": bool(rest[3] & 0x80), "autonomous": bool(rest[3] & 0x40)})
        rest = rest[size:]
    return found


def _option6(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def _options6(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        code, size = struct.unpack("!HH", data[:4])
        found[code], data = data[4 : 4 + size], data[4 + size :]
    return found


def ask6(kind: int, server: bytes = b"", address: str = "", limit: float = LIMIT) -> dict[int, bytes]:
    """Send a message of DHCPv6 until there is an answer, and return its options."""
    leased = _option6(5, IPv6Address(address).packed + bytes(8)) if address else b""
    client = _option6(1, b"\x00\x03\x00\x01" + own_mac())
    body = client + (_option6(2, server) if server else b"") + _option6(8, b"\x00\x00") + _option6(6, b"\x00\x17\x00\x18")
    body += _option6(3, b"\x00\x00\x00\x01" + bytes(8) + leased)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(("::", 546))
        own.settimeout(AGAIN)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            xid = secrets.token_bytes(3)
            try:
                own.sendto(bytes([kind]) + xid + body, ("ff02::1:2", 547, 0, socket.if_nametoindex(LINK)))
                data = own.recv(4096)
            except TimeoutError:
                continue
            except OSError:  # as in advertised()
                time.sleep(0.1)
                continue
            if data[1:4] == xid:
                return _options6(data[4:])
    if limit == LIMIT:
        raise SystemExit("no DHCPv6 server answers")
    return {}


def _leased6(options: dict[int, bytes]) -> dict[str, Any]:
    inside = _options6(options[3][12:]) if 3 in options else {}
    address = str(IPv6Address(inside[5][:16])) if 5 in inside else None
    status = int.from_bytes(inside[13][:2], "big") if 13 in inside else 0
    dns = [str(IPv6Address(options[23][at : at + 16])) for at in range(0, len(options.get(23, b"")), 16)]
    return {"address": address, "status": status, "dns": dns, "server": options[2].hex()}


def acquire6() -> dict[str, Any]:
    """Get a lease of DHCPv6 by Solicit and Request."""
    offered = ask6(1)
    address = _leased6(offered)["address"]
    return _leased6(ask6(3, offered[2], address or "")) if address else _leased6(offered)


def renew6(server: str, address: str) -> dict[str, Any]:
    """Renew a lease of DHCPv6 with the server that gave it, by Request where it knows of none (RFC 8415, 18.2.10.1)."""
    found = _leased6(ask6(5, bytes.fromhex(server), address))
    return found if found["address"] else _leased6(ask6(3, bytes.fromhex(server), address))


def solicited() -> dict[str, Any]:
    """Ask for a lease of DHCPv6 for some seconds, and say whether anything came."""
    return {"answered": bool(ask6(1, limit=3 * AGAIN))}


def reached(server: str) -> dict[str, Any]:
    """Ask a DNS server for some seconds, and say whether anything came."""
    return {"answered": query(server, "web.net.example", limit=2 * AGAIN)["code"] is not None}


def query(server: str, name: str, kind: str = "A", limit: float = LIMIT) -> dict[str, Any]:
    """Ask a DNS server."""
    number = {"A": 1, "AAAA": 28, "PTR": 12}[kind]
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.rstrip(".").split(".")) + b"\0"
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as own:
        own.settimeout(AGAIN)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            xid = secrets.token_bytes(2)
            asked = xid + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", number, 1)
            try:
                own.sendto(asked, (server, 53))
                data = own.recv(4096)
            except OSError:  # also where no neighbour has the address
                continue
            if data[:2] == xid:
                return {"code": data[3] & 15, "answers": _records(data, 12 + len(labels) + 4)}
    if limit == LIMIT:
        raise SystemExit("no DNS server answers")
    return {"code": None, "answers": []}


def _records(data: bytes, at: int) -> list[str]:
    found = []
    for _number in range(int.from_bytes(data[6:8], "big")):
        at += 2 if data[at] & 0xC0 else len(_name(data, at)) + 2
        kind, _class, _ttl, size = struct.unpack("!HHIH", data[at : at + 10])
        value = data[at + 10 : at + 10 + size]
        found.append(_name(data, at + 10) if kind == 12 else str(ip_address(value)))
        at += 10 + size
    return found


def _name(data: bytes, at: int) -> str:
    labels = []
    while data[at]:
        if data[at] & 0xC0:
            at = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
            continue
        labels.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels)


ACTIONS = {
    "acquire": acquire,
    "unheard": unheard,
    "renew": renew,
    "advertised": advertised,
    "acquire6": acquire6,
    "renew6": renew6,
    "solicited": solicited,
    "reached": reached,
    "query": query,
}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](*sys.argv[2:])))
