# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enough of a VNC client to learn whether a display takes a password. Source: RFC 6143, sections 7.1 and 7.2."""

from __future__ import annotations

import socket

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

VERSION = b"RFB 003.008\n"
NOBODY, PASSWORD = 1, 2  # whom a display asks
OK = bytes(4)


def takes(address: tuple[str, int], password: str | None) -> bool:
    """Connect and return whether the display lets a viewer in with the password, or with None one that has none."""
    with socket.create_connection(address, timeout=300) as link:
        assert _exactly(link, len(VERSION)) == VERSION
        link.sendall(VERSION)
        offered = _exactly(link, _exactly(link, 1)[0])
        kind = NOBODY if password is None else PASSWORD
        if kind not in offered:
            return False
        link.sendall(bytes([kind]))
        if password is not None:
            link.sendall(_answer(password, _exactly(link, 16)))
        return _exactly(link, 4) == OK


def _answer(password: str, challenge: bytes) -> bytes:
    """Return the challenge encrypted by DES; the key is the password with the bits of each byte the other way round."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode("ascii")[:8].ljust(8, b"\0"))
    cipher = Cipher(TripleDES(key * 3), ECB()).encryptor()  # three times one key is DES
    return cipher.update(challenge) + cipher.finalize()


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        assert part, "the display closed the connection"
        data += part
    return data
