# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of recovery points in the real nginx: who reads what, that nothing else is served, and that its user needs no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from support.certificates import Authority
from support.points_server import points_server
from support.role_server import Server

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
HEX = "a" * 64
MADE = ["/outgoing/", f"/outgoing/{UUID}/", f"/outgoing/{UUID}/0.1/generation.json", f"/outgoing/{UUID}/0.1/{HEX}"]
KEPT = [f"/points/{UUID}/", f"/points/{UUID}/0.1.json", f"/points/{UUID}/files/{HEX}"]
NEVER = [
    "/", "/outgoing", "/points/", f"/outgoing/{UUID}", f"/outgoing/{UUID}/.0.2.work/generation.json",
    f"/outgoing/{UUID}/journal.json",
    f"/outgoing/{UUID}/0.1/", f"/outgoing/{UUID}/0.1/secret", f"/points/{UUID}/files/", f"/points/{UUID}/0.1.pin",
    "/points/partial/",
    f"/points/partial/{UUID}.lock", f"/outgoing/{UUID}/0.1/{HEX}%0a", f"/points/{UUID}/0.1.json%0a",
    f"/outgoing/{UUID}/../../secret",
    f"/points/{UUID}/%2e%2e/secret", f"/points/{UUID}/files/..%2f..%2fsecret",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    recovery = folder / "recovery"
    for path in (f"outgoing/{UUID}/0.1", f"outgoing/{UUID}/.0.2.work", f"points/{UUID}/files", "points/partial"):
        (recovery / path).mkdir(parents=True)
    files = [f"outgoing/{UUID}/0.1/{HEX}", f"outgoing/{UUID}/0.1/generation.json", f"outgoing/{UUID}/0.1/secret",
             f"outgoing/{UUID}/.0.2.work/generation.json", f"outgoing/{UUID}/journal.json", f"points/{UUID}/0.1.json",
             f"points/{UUID}/0.1.pin", f"points/{UUID}/files/{HEX}", f"points/partial/{UUID}.lock", "secret"]  # fmt: skip
    for name in files:
        (recovery / name).write_bytes(b"0123456789")
        (recovery / name).chmod(0o600)
    for path in (f"points/{UUID}/files", f"points/{UUID}", "points/partial", "points"):
        (recovery / path).chmod(0o700)
    for path in ("outgoing", f"outgoing/{UUID}", f"outgoing/{UUID}/0.1"):
        (recovery / path).chmod(0o711)
    names = ["replica1", "hyper1", "front", "other", "replica1.evil"]
    with points_server(folder, authority, names, ["replica1"], ["replica1", "hyper1"]) as found:
        yield found


@pytest.mark.parametrize(("name", "made", "kept"), [
    ("replica1", 200, 200), ("hyper1", 403, 200), ("front", 403, 403), ("other", 403, 403), ("replica1.evil", 403, 403),
])  # fmt: skip
def test_who_reads_what(server: Server, name: str, made: int, kept: int) -> None:
    assert [server.ask(name, "GET", path) for path in MADE] == [made] * len(MADE)
    assert [server.ask(name, "GET", path) for path in KEPT] == [kept] * len(KEPT)


@pytest.mark.parametrize("path", NEVER)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    assert server.ask("replica1", "GET", path) in (400, 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "MKCOL"])
def test_nothing_is_written(server: Server, method: str) -> None:
    for path in (*MADE, *KEPT):
        assert server.ask("replica1", method, path, b"x") in (403, 405)


def test_lists_leave_out_what_is_not_finished_and_files_come_in_parts(server: Server) -> None:
    def get(path: str, **headers: str) -> bytes:
        connection: HTTPSConnection = server.connection("replica1")
        connection.request("GET", path, headers=headers)
        data = connection.getresponse().read()
        connection.close()
        return data

    assert [entry["name"] for entry in json.loads(get("/outgoing/"))] == [UUID]
    listed = {entry["name"]: entry["type"] for entry in json.loads(get(f"/outgoing/{UUID}/"))}
    assert listed == {"0.1": "directory", "journal.json": "file"}
    assert get(f"/outgoing/{UUID}/0.1/{HEX}", Range="bytes=4-7") == b"4567"
