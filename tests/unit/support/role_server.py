# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real nginx with the configuration that the role image_server makes, and clients with certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from support.certificates import Authority, Pair
from support.image_server import free_port, role_configuration
from support.waiting import until


@dataclass
class Server:
    """The server, and the certificates of those that ask it, by their names."""

    folder: Path
    port: int
    authority: Authority
    pairs: dict[str, Pair]

    def context(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.check_hostname = False
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # a session is known when the handshake ends
        context.load_cert_chain(self.pairs[name].cert, self.pairs[name].key)
        return context

    def connection(self, name: str) -> HTTPSConnection:
        return HTTPSConnection("127.0.0.1", self.port, context=self.context(name), timeout=60)

    def ask(self, name: str, method: str, path: str, body: Any = None, **headers: str) -> int:
        connection = self.connection(name)
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        connection.close()
        return answer.status

    def answers(self) -> bool:
        try:
            return self.ask(next(iter(self.pairs)), "GET", "/") == 404
        except OSError:
            return False


@contextmanager
def role_server(folder: Path, names: Sequence[str], user: str = "root", **variables: Any) -> Iterator[Server]:
    """Run nginx in ``folder`` until the end of the block, with a certificate for each name and the variables of the role."""
    authority, port = Authority(folder / "pki"), free_port()
    pairs = {name: authority.issue(name) for name in names}
    host = authority.issue("127.0.0.1")
    shutil.copy(host.cert, folder / "pki/host.crt")
    shutil.copy(host.key, folder / "pki/host.key")
    (folder / "pki/crl.pem").write_text(authority.revocations())
    (folder / "images").mkdir(exist_ok=True)
    own = {"port": port, "pki_dir": folder / "pki", "root": folder / "images"}
    text = role_configuration(**{f"image_server_{key}": value for key, value in {**own, **variables}.items()})
    text = text.replace("user www-data;", f"user {user};\ndaemon off;\n" + f"pid {folder}/nginx.pid;")
    (folder / "nginx.conf").write_text(text)
    with subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]) as process:
        found = Server(folder, port, authority, pairs)
        try:
            until(lambda: process.poll() is not None or found.answers())
            yield found
        finally:
            process.terminate()
