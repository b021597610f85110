# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enough of a SPICE client to learn whether a display takes a password. Source: the SPICE protocol, "Channel link"."""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAGIC = b"REDQ"
HEADER = struct.Struct("<4sIII")  # magic, version, bytes that follow
LINK = struct.Struct("<IBBIIII")  # no session yet, the main channel, one word of common capabilities, which follows
AUTH_SELECTION, AUTH_SPICE = 1 << 0, 1 << 1
MAIN, PUBLIC_KEY, SPICE_TICKET = 1, 162, 1


def takes(address: tuple[str, int], name: str, authority: Path, password: str) -> bool:
    """Connect over TLS, verify the host ``name``, and return whether the display takes the password."""
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection(address, timeout=300) as plain, context.wrap_socket(plain, server_hostname=name) as link:
        message = LINK.pack(0, MAIN, 0, 1, 0, LINK.size - 4, AUTH_SELECTION | AUTH_SPICE)
        link.sendall(HEADER.pack(MAGIC, 2, 2, len(message)) + message)
        magic, _major, _minor, size = HEADER.unpack(_exactly(link, HEADER.size))
        reply = _exactly(link, size)
        assert magic == MAGIC and struct.unpack("<I", reply[:4]) == (0,), reply[:4]
        key = load_der_public_key(reply[4 : 4 + PUBLIC_KEY])
        assert isinstance(key, RSAPublicKey)
        ticket = key.encrypt(password.encode() + b"\0", OAEP(MGF1(SHA1()), SHA1(), None))
        link.sendall(struct.pack("<I", SPICE_TICKET) + ticket)
        return struct.unpack("<I", _exactly(link, 4)) == (0,)


def _exactly(link: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        assert part, "the display closed the connection"
        data += part
    return data
