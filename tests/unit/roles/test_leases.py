# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to export recovery points in the real nginx: who writes them, under which name, and who reads what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.records import LeaseFolder
from support.role_server import Server, role_server

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
LEASE = "0123456789abcdef" * 2
LONG = "edge3.x" + "-" * 70  # a common name has 64 characters
KEEP, END = (f"/leases/{LEASE}/{UUID}/0.41/{word}" for word in ("keep", "end"))
STATE = f"/leases/{LEASE}.json"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for name in ("asked", "body", "state"):
        (tmp_path / "leases" / name).mkdir(parents=True)
    names = ["hyper1", "replica1", LONG[:64], "front", "hyper1.evil"]
    rights = {"readers": names, "requesters": names, "point_readers": ["hyper1", "replica1", LONG]}
    with role_server(tmp_path, names, wanted="", leases=tmp_path / "leases", connections=4, **rights) as found:
        yield found


def test_who_may_read_points_asks_under_its_own_name(server: Server) -> None:
    folder = LeaseFolder(server.folder / "leases")
    for name in ("hyper1", "replica1", LONG[:64]):
        assert server.ask(name, "PUT", KEEP, b"{}") == 201 and server.ask(name, "PUT", KEEP, b"{}") == 204
    assert server.ask("hyper1", "PUT", END, b"{}") == 201
    asked = [(one.lease.host, one.lease.lease, *one.lease.point, one.end) for one in folder.requests()]
    found = [(name, LEASE, UUID, "0.41", False) for name in ("hyper1", "replica1", LONG[:64])]
    assert sorted(asked) == sorted([*found, ("hyper1", LEASE, UUID, "0.41", True)])


@pytest.mark.parametrize("name", ["front", "hyper1.evil"])
def test_others_ask_nothing_and_see_nothing(server: Server, name: str) -> None:
    (server.folder / f"leases/state/{name}.{LEASE}.json").write_text("{}")
    assert server.ask(name, "PUT", KEEP, b"{}") == 403 and server.ask(name, "GET", STATE) == 403
    assert not list((server.folder / "leases/asked").iterdir())


def test_a_host_sees_what_became_of_its_own_requests(server: Server) -> None:
    assert server.ask("hyper1", "GET", STATE) == 404
    (server.folder / f"leases/state/hyper1.{LEASE}.json").write_text("{}")
    assert (server.ask("hyper1", "GET", STATE), server.ask("replica1", "GET", STATE)) == (200, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/leases/", "/leases/x.json", f"{KEEP}%0a", f"/leases/{LEASE}/{UUID}/0.41/drop", f"/leases/{LEASE}/{UUID}/0/keep",
        f"/leases/{LEASE}/..%2f..%2f{UUID}/0.41/keep", f"/leases/{LEASE[1:]}/{UUID}/0.41/keep",
        f"/leases/../state/hyper1.{LEASE}.json",
    ],
)  # fmt: skip
def test_nothing_else_is_written_or_read(server: Server, path: str) -> None:
    assert server.ask("hyper1", "PUT", path, b"{}") in (400, 404, 405)
    assert server.ask("hyper1", "GET", path) in (400, 404)
    assert not list((server.folder / "leases/asked").iterdir())


def test_only_small_requests_and_only_those(server: Server) -> None:
    assert server.ask("hyper1", "PUT", KEEP, b"x" * 2000) == 413
    assert server.ask("hyper1", "DELETE", KEEP) == 403 and server.ask("hyper1", "GET", KEEP) == 403
    assert server.ask("hyper1", "PUT", STATE, b"{}") == 403
