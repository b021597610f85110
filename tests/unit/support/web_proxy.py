# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP proxy on loopback: CONNECT and absolute URLs, and what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxied:
    """The proxy's port, the first lines and credentials that it saw."""

    port: int
    asked: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


@contextmanager
def proxy() -> Iterator[Proxied]:
    """Run the proxy until the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = Proxied(listener.getsockname()[1])
    threading.Thread(target=_accept, args=(listener, seen), daemon=True).start()
    try:
        yield seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, seen: Proxied) -> None:
    while True:
        try:
            client, _address = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, seen), daemon=True).start()


def _serve(client: socket.socket, seen: Proxied) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(4096)
        if not more:
            return
        head += more
    first, *lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
    seen.asked.append(first)
    seen.credentials += [line for line in lines if line.lower().startswith("proxy-authorization")]
    method, target, _version = first.split()
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    server = socket.create_connection((parts.hostname, parts.port))
    if method == "CONNECT":
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        server.sendall(head.replace(target.encode(), parts.path.encode(), 1))
    threading.Thread(target=_copy, args=(client, server), daemon=True).start()
    _copy(server, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
