# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image server's configuration in the real nginx: who reads, who writes requests, and that no session outlives a revocation."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from support.certificates import Authority, Pair
from support.image_server import free_port, role_configuration
from support.waiting import until

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
DIGEST = "a" * 64
LONG = "edge3." + "x" * 70  # a common name has 64 characters


@dataclass
class Server:
    port: int
    authority: Authority
    pairs: dict[str, Pair]

    def context(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.check_hostname = False
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # a session is known when the handshake ends
        context.load_cert_chain(self.pairs[name].cert, self.pairs[name].key)
        return context

    def ask(self, name: str, method: str, path: str, body: bytes | None = None) -> int:
        connection = HTTPSConnection("127.0.0.1", self.port, context=self.context(name), timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        connection.close()
        return answer.status


def rendered(folder: Path, port: int) -> str:
    text = role_configuration(
        image_server_port=port, image_server_pki_dir=folder / "pki", image_server_root=folder / "images",
        image_server_wanted=folder / "wanted", image_server_connections=4,
        image_server_readers=["edge1", "edge2", LONG], image_server_requesters=["edge1"],
    )  # fmt: skip
    return text.replace("user www-data;", "user root;\ndaemon off;\n" + f"pid {folder}/nginx.pid;")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    authority = Authority(folder / "pki")
    names = ["edge1", "edge2", LONG[:64], "edge9", "edge1.evil", "edge"]
    pairs = {name: authority.issue(name) for name in names}
    host = authority.issue("127.0.0.1")
    shutil.copy(host.cert, folder / "pki/host.crt")
    shutil.copy(host.key, folder / "pki/host.key")
    (folder / "pki/crl.pem").write_text(authority.revocations())
    for name in ("images", "wanted/asked", "wanted/body", "wanted/state"):
        (folder / name).mkdir(parents=True)
    (folder / f"images/{DIGEST}.qcow2").write_bytes(b"image")
    (folder / "nginx.conf").write_text(rendered(folder, port))
    with subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]) as process:
        found = Server(port, authority, pairs)
        until(lambda: process.poll() is not None or answers(found))
        yield found
        process.terminate()


def answers(server: Server) -> bool:
    try:
        return server.ask("edge1", "GET", "/") == 404
    except OSError:
        return False


@pytest.mark.parametrize(("name", "status"), [
    ("edge1", 200), ("edge2", 200), (LONG[:64], 200), ("edge9", 403), ("edge1.evil", 403), ("edge", 403),
])  # fmt: skip
def test_only_readers_read(server: Server, name: str, status: int) -> None:
    assert server.ask(name, "GET", f"/{DIGEST}.qcow2") == status
    assert server.ask(name, "GET", "/index.json") == (404 if status == 200 else 403)


def test_only_requesters_write_requests_and_small_ones(server: Server) -> None:
    assert server.ask("edge2", "PUT", f"/wanted/{DIGEST}", b"x") == 403
    assert server.ask("edge2", "GET", f"/wanted/{DIGEST}.json") == 403
    assert server.ask("edge1", "PUT", f"/wanted/{DIGEST}", b"x") == 201
    assert server.ask("edge1", "PUT", f"/wanted/{DIGEST}", b"x" * 2000) == 413
    assert server.ask("edge1", "GET", f"/wanted/{DIGEST}.json") == 404


def test_no_session_is_resumed(server: Server) -> None:
    context = server.context("edge1")
    first = HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
    first.request("GET", f"/{DIGEST}.qcow2")
    first.getresponse().read()
    session = first.sock.session  # type: ignore[attr-defined]
    with socket.create_connection(("127.0.0.1", server.port)) as plain, context.wrap_socket(plain, session=session) as again:
        assert not again.session_reused
