# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image server's configuration in the real nginx: who reads, who writes requests, and that no session outlives a revocation."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from support.role_server import Server, role_server

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
DIGEST = "a" * 64
LONG = "edge3." + "x" * 70  # a common name has 64 characters


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    names = ["edge1", "edge2", LONG[:64], "edge9", "edge1.evil", "edge"]
    for name in ("images", "wanted/asked", "wanted/body", "wanted/state"):
        (folder / name).mkdir(parents=True)
    (folder / f"images/{DIGEST}.qcow2").write_bytes(b"image")
    rights = {"readers": ["edge1", "edge2", LONG], "requesters": ["edge1"]}
    with role_server(folder, names, wanted=folder / "wanted", connections=4, **rights) as found:
        yield found


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
