# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of ICMP: packets of chosen sizes that nothing on the way may cut in pieces, to many hosts at once.

A packet goes out as those of a VXLAN link do: from its address and by its underlay. What the kernel has learned of a path is not
asked, since no router may say "too big" there, and what was learned may be old.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ..._errors import Refused
from .search import Search

WAVE = 0.5  # seconds for an answer before the next packets; one that takes longer counts, too
AT_ONCE = 1024  # packets that are read before others have their turn
HEADER = struct.Struct("!BBHHH")
# Numbers of linux/in.h, linux/in6.h and linux/icmp.h that Python has no names for.
MTU_DISCOVER, PROBE, DONTFRAG6, UNICAST_IF = {4: 10, 6: 23}, 3, 62, {4: 50, 6: 76}
SOL_RAW, FILTER = 255, 1


@dataclass(frozen=True)
class Target:
    """Whom to send to, and up to how many bytes of an IP packet."""

    link: str
    index: int
    source: str
    member: str
    needed: int


@dataclass(frozen=True)
class Outcome:
    """The largest IP packet that was answered, the smallest that was not, and the last error of the kernel; 0: no answer at all."""

    passed: int
    lost: int
    error: str = ""


def probe(targets: Sequence[Target], seconds: float) -> list[Outcome]:
    """Return what each path carries, there and back; after ``seconds`` as far as it is known then."""
    end = time.monotonic() + seconds
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        echoes = [stack.enter_context(_Echo(target)) for target in targets]
        for echo in echoes:
            selector.register(echo.socket, selectors.EVENT_READ, echo)
        while (left := [echo for echo in echoes if not echo.search.done]) and (now := time.monotonic()) < end:
            for echo in left:
                for size in echo.search.wave():
                    echo.send(size)
            _listen(selector, left, min(end, now + WAVE))
    return [Outcome(echo.search.passed, echo.search.lost, echo.error) for echo in echoes]


def _listen(selector: selectors.BaseSelector, echoes: Sequence[_Echo], until: float) -> None:
    """Take in answers until all came or the time is over; what is there already is always read first."""
    while True:
        left = until - time.monotonic()
        for key, _events in selector.select(max(0.0, left)):
            key.data.receive()
        if left <= 0 or not any(echo.search.waiting() for echo in echoes):
            return


class _Echo:
    """The packets to one host."""

    def __init__(self, target: Target) -> None:
        self.target, self.search, self.error = target, Search(target.needed), ""
        self._version = 6 if ":" in target.member else 4
        self._asks, self._answers, self._head = (8, 0, 20) if self._version == 4 else (128, 129, 40)
        self._identity = struct.unpack("!H", os.urandom(2))[0]
        # What is random cannot be made smaller on the way.
        self._fill = os.urandom(max(0, target.needed - self._head - HEADER.size))
        self._connected = False

    def __enter__(self) -> _Echo:
        family, protocol = (socket.AF_INET, socket.IPPROTO_ICMP) if self._version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        try:
            self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        except PermissionError:
            raise Refused("Only root may probe a path (CAP_NET_RAW); run this as root.") from None
        self.socket.setblocking(False)
        level = socket.IPPROTO_IP if self._version == 4 else socket.IPPROTO_IPV6
        self.socket.setsockopt(level, MTU_DISCOVER[self._version], PROBE)
        self.socket.setsockopt(level, UNICAST_IF[self._version], struct.pack("!I", self.target.index))
        if self._version == 4:
            self.socket.setsockopt(SOL_RAW, FILTER, struct.pack("=I", ~(1 << self._answers) & 0xFFFFFFFF))
        else:
            self.socket.setsockopt(level, DONTFRAG6, 1)
            blocked = (
                ~(1 << (self._answers % 32)) & 0xFFFFFFFF if word == self._answers // 32 else 0xFFFFFFFF for word in range(8)
            )
            self.socket.setsockopt(protocol, FILTER, struct.pack("=8I", *blocked))
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()

    def send(self, size: int) -> None:
        """Send a packet of ``size`` bytes, IP header and all; what hinders it may be over at the next try."""
        try:
            if not self._connected:
                self.socket.bind(self._address(self.target.source))
                self.socket.connect(self._address(self.target.member))
                self._connected = True
            self.socket.send(self._packet(size))
        except OSError as error:
            self._note(error)

    def receive(self) -> None:
        """Take in the answers that came."""
        for _number in range(AT_ONCE):
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:  # what a router or the other host said of an earlier packet
                self._note(error)
                continue
            self._take(data[(data[0] & 15) * 4 :] if self._version == 4 else data)

    def _take(self, data: bytes) -> None:
        if len(data) < HEADER.size:
            return
        kind, _code, _checksum, identity, size = HEADER.unpack_from(data)
        if (kind, identity) == (self._answers, self._identity) and data[HEADER.size :] == self._body(size):
            self.search.answered(size)

    def _packet(self, size: int) -> bytes:
        body, checksum = self._body(size), 0
        if self._version == 4:  # of IPv6 the kernel makes it
            checksum = _checksum(HEADER.pack(self._asks, 0, 0, self._identity, size) + body)
        return HEADER.pack(self._asks, 0, checksum, self._identity, size) + body

    def _body(self, size: int) -> bytes:
        return self._fill[: max(0, size - self._head - HEADER.size)]

    def _address(self, text: str) -> tuple[str, int] | tuple[str, int, int, int]:
        if self._version == 4:
            return text, 0
        return text, 0, 0, self.target.index if text.startswith("fe80:") else 0

    def _note(self, error: OSError) -> None:
        self.error = error.strerror or str(error)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data.ljust((len(data) + 1) // 2 * 2, b"\0"))
    found = sum(words)
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return ~found & 0xFFFF
