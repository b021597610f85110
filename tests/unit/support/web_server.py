# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server for tests that answers each path as a function says, and notes what it was asked with which headers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.certificates import Pair


@dataclass(frozen=True)
class Answer:
    """What is sent; header values go out as the bytes that they are in Latin-1."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Web:
    """A running server: its URL without a slash at the end, and the path and headers of each request."""

    url: str
    asked: list[tuple[str, Message]] = field(default_factory=list)

    def sent(self, header: str) -> list[str | None]:
        """Return the values of a header in each request."""
        return [headers[header] for _path, headers in self.asked]


@contextmanager
def web(answer: Callable[[str, Message], Answer], pair: Pair | None = None, host: str = "127.0.0.1") -> Iterator[Web]:
    """Answer each GET by ``answer``, over TLS with ``pair`` or plainly, under the name ``host`` of this machine."""
    here = Web("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            here.asked.append((self.path, self.headers))
            found = answer(self.path, self.headers)
            self.send_response(found.status)
            for name, value in {"Content-Length": str(len(found.body)), **found.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    here.url = f"{'https' if pair else 'http'}://{host}:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
