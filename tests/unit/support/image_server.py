# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of images for tests: the real nginx with client certificates, and one that has faults on purpose."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jinja2
from support.certificates import Authority, Pair
from support.processes import TREE
from support.waiting import LIMIT

DICE = random.SystemRandom()  # runs side by side must not draw the same ports
CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key};
    ssl_client_certificate {ca}; ssl_verify_client {clients};
    root {root};
    {more}
  }}
}}
"""


def role_configuration(name: str = "nginx.conf.j2", /, **variables: Any) -> str:
    """Return what the role image_server makes of its template of nginx's configuration."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["regex_replace"] = lambda value, pattern, new: re.sub(pattern, new, value)
    template = environment.from_string((TREE / "roles/image_server/templates" / name).read_text())
    usual = {"image_server_listen": "127.0.0.1", "image_server_incoming": "", "image_server_senders": [], "image_server_leases": ""}
    return template.render(ansible_managed="a test", **{**usual, **variables})


def free_port() -> int:
    """Return a port that nobody listens on, from below those that the kernel gives to outgoing connections.

    One of those could be taken between this look and the server's bind, and who connects to it could meet itself.
    """
    below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = DICE.randrange(10240, below)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Served:
    """A running nginx: its URL and what it logged."""

    url: str
    access_log: Path
    pid: int = 0

    def kill(self) -> None:
        """End the master and its workers at once."""
        os.killpg(self.pid, signal.SIGKILL)

    def requests(self) -> list[str]:
        return self.access_log.read_text().splitlines()

    def sent(self) -> int:
        """Return the bytes of all bodies; nginx notes a request at its end."""
        return sum(int(line.split('"')[2].split()[1]) for line in self.requests())


@contextmanager
def nginx(
    folder: Path,
    root: Path,
    authority: Authority,
    pair: Pair,
    *,
    host: str = "127.0.0.1",
    clients: str = "on",
    rate: str = "",
    more: str = "",
) -> Iterator[Served]:
    """Serve ``root`` over TLS until the end of the block: to clients of the authority, or with ``clients`` off to anybody.

    ``rate`` bounds a connection (1m: MiB/s); ``more`` are directives of the server.
    """
    folder.mkdir()
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    tls = {"cert": pair.cert, "key": pair.key, "ca": authority.ca_file, "clients": clients}
    limit = f"limit_rate {rate};" if rate else ""
    text = CONFIGURATION.format(folder=folder, port=port, root=root, user=user, more=limit + more, **tls)
    (folder / "nginx.conf").write_text(text)
    argv = ["/usr/sbin/nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            _wait_for(port, process)
            yield Served(f"https://{host}:{port}/", folder / "access.log", process.pid)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nginx did not begin to listen")


@dataclass
class Faults:
    """What goes wrong: cut the connection after so many body bytes, flip the byte at an offset of the image, wait at an offset.

    With ``cut_list`` it is cut in the middle of the list of pieces.
    """

    cut_after: int | None = None
    cuts: int = 1
    cut_list: bool = False
    flip_at: int | None = None
    stop_at: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    served: int = 0
    ranges: list[str] = field(default_factory=list)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.directory, self.path.lstrip("/").partition("?")[0])
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = self.headers.get("Range")
        start, end = 0, len(data)
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            start, end = int(first), int(last) + 1 if last else len(data)
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if path.suffix != ".pieces":
                self.server.faults.ranges.append(wanted)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if path.suffix == ".pieces" and self.server.faults.cut_list:
            end = (start + end) // 2
            self.close_connection = True
        self._body(data, start, end, path.suffix in (".json", ".pieces"))

    def _body(self, data: bytes, start: int, end: int, plain: bool) -> None:
        faults: Faults = self.server.faults
        sent = 0
        for at in range(start, end, 65536):
            block = bytearray(data[at : min(at + 65536, end)])
            if not plain:
                if faults.flip_at is not None and at <= faults.flip_at < at + len(block):
                    block[faults.flip_at - at] ^= 1
                if faults.cut_after is not None and sent >= faults.cut_after and faults.cuts:
                    faults.cuts -= 1
                    self.connection.close()
                    raise ConnectionAbortedError
                if faults.stop_at is not None and at + len(block) > faults.stop_at:
                    faults.reached.set()
                    faults.go_on.wait(LIMIT)
            self.wfile.write(block)
            sent += len(block)
            faults.served += 0 if plain else len(block)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    faults: Faults

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def faulty(root: Path, faults: Faults, pair: Pair | None = None) -> Iterator[str]:
    """Serve ``root`` with faults, over TLS with ``pair`` or plainly, and yield the URL."""

    def handler(*args: Any) -> _Handler:
        return _Handler(*args, directory=str(root))

    server = _Quiet(("127.0.0.1", 0), handler)
    server.faults = faults
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if pair else 'http'}://127.0.0.1:{server.server_port}/"
    finally:
        faults.go_on.set()
        server.shutdown()
        server.server_close()
