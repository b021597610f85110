# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A piece of slow line as a program: passes frames between two interfaces, late and with some lost, the same both ways.

Runs by itself: relay.py LINK LINK SECONDS SHARE. Frames keep their offload notes (segmentation, checksums), so a host needs
no change and a large send passes as one frame. It ends when one of the interfaces goes away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import socket
import sys
import time
from collections import deque

SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
BUFFER = 32 << 20
"""Bytes that the kernel may hold for us, of what arrives while we are not scheduled and of what waits in the queue after us.

More than that queue has room for, so that it decides what is lost, and counts it.
"""

FRAME = 10 + 18 + (1 << 16)
HELD = 64 << 20
"""Bytes held back in one direction; more are lost, as on a line whose queue is full."""

AT_ONCE = 256
"""Frames taken from one side before the other has its turn."""


class Direction:
    """Frames on their way from one interface to the other."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float, loss: float) -> None:
        self.source = source
        self._target = target
        self._delay = delay
        self._loss = loss
        self._held: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def take(self) -> None:
        """Take the frames that have arrived, lose some, and note when the others are due."""
        for _any in range(AT_ONCE):
            try:
                frame = self.source.recv(FRAME)
            except BlockingIOError:
                return
            if self._bytes + len(frame) <= HELD and random.random() >= self._loss:
                self._held.append((time.monotonic() + self._delay, frame))
                self._bytes += len(frame)

    def give(self) -> None:
        """Send the frames that are due; what the queue after us does not want is lost."""
        now = time.monotonic()
        while self._held and self._held[0][0] <= now:
            _any, frame = self._held.popleft()
            self._bytes -= len(frame)
            try:
                self._target.send(frame)
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN, errno.EMSGSIZE, errno.EINVAL):
                    raise

    def due(self) -> float | None:
        """Return when the next frame is due, None if none is held."""
        return self._held[0][0] if self._held else None


def _open(link: str) -> socket.socket:
    """Return a socket for all frames that arrive on a link, each with its offload notes before it."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    for buffer in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
        packets.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)
    packets.setblocking(False)
    packets.bind((link, ETH_P_ALL))
    return packets


def relay(first: str, second: str, delay: float, loss: float) -> None:
    """Pass frames on until an interface goes away (OSError)."""
    one, two = _open(first), _open(second)
    ways = (Direction(one, two, delay, loss), Direction(two, one, delay, loss))
    print("relaying", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        due = [moment for way in ways if (moment := way.due()) is not None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _any, _any = select.select([one, two], [], [], timeout)
        for way in ways:
            if way.source in ready:
                way.take()
            way.give()


def main() -> int:
    """Relay until the line is taken away."""
    first, second, delay, loss = sys.argv[1:]
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    try:
        relay(first, second, float(delay), float(loss))
    except OSError as error:
        print(f"relay {first} {second}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
