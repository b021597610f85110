# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point export`` and ``serve``: what is refused, when the server is restarted, and what is shown."""

from __future__ import annotations

import filecmp
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Busy,
    EdgeError,
    InvalidInput,
    NotFound,
    TimedOut,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._generation import export_name
from ansible_collections.edge.cloud.plugins.module_utils._host import point_export
from ansible_collections.edge.cloud.plugins.module_utils._host.point_export import exported, serve
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.records import GRANTED, REFUSED, Lease, LeaseFolder
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Exports, Listening, server
from support.certificates import Authority
from support.image_server import free_port
from support.images import QEMU
from support.points_nbd import PointsNbd
from support.recovery import UUID, Replica

RESTART = ["systemctl", "restart", "--", "edge-points-nbd.service"]
SERVE = {"listen": "*", "port": "10810", "certificates": "/none", "readers": "/none"}
POINTS = 2


class Scripted:
    """Takes the restart of the unit, and asks the real ss who is connected."""

    def __init__(self) -> None:
        self.restarts = 0

    def run(self, argv: Any, **_options: Any) -> Completed:
        if argv[0] == "ss":
            return SubprocessRunner().run(argv)
        assert argv == RESTART
        self.restarts += 1
        return Completed(0, "", "")


@pytest.fixture
def exports(prepared: Replica, tmp_path: Path) -> Exports:
    replica = prepared.copied(tmp_path / "recovery")
    return Exports(replica.depot, QEMU, replica.machine.images)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    path = tmp_path / "edge-points-nbd.service"
    path.touch()
    return path


def test_the_newest_is_exported_until_that_is_ended(exports: Exports, unit: Path) -> None:
    runner = Scripted()
    disks = [{"target": "vda", "name": export_name(UUID, "0.2", "vda"), "size": exports.depot.find(UUID).disks[0].virtual_size}]
    for changed in (True, False):
        found = exported(exports, {"vm": "web"}, runner, unit)
        assert (found["changed"], found["vm"], found["generation"], found["disks"]) == (changed, UUID, "0.2", disks)
    assert [one["generation"] for one in exported(exports, {}, runner, unit)["exports"]] == ["0.2"]
    for changed in (True, False):
        found = exported(exports, {"vm": UUID, "generation": "0.2", "end": True}, runner, unit)
        assert found == {"changed": changed, "vm": UUID, "generation": "0.2"}
    assert exported(exports, {}, runner, unit) == {"changed": False, "exports": []}
    assert runner.restarts == 4


END = {"vm": "web", "generation": "0.2", "end": True}


def test_an_export_of_which_a_host_has_a_lease_is_not_ended_unless_that_is_forced(
    exports: Exports, unit: Path, tmp_path: Path
) -> None:
    runner, folder = Scripted(), LeaseFolder(tmp_path / "leases")
    exported(exports, {"vm": "web"}, runner, unit)
    folder.prepare()
    folder.write(Lease("hyper1", "1" * 32, UUID, "0.1", GRANTED))
    folder.write(Lease("hyper2", "2" * 32, UUID, "0.2", REFUSED))
    folder.write(mine := Lease("hyper3", "3" * 32, UUID, "0.2", GRANTED))
    with pytest.raises(
        Busy, match=rf"^end: a VM .* on 0\.2 of the VM web: the host hyper3 has a lease of it \({'3' * 32}\)\. .*--force"
    ):
        exported(exports, END, runner, unit, folder.folder)
    assert [one.name for one in exports.generations()] == ["0.2"] and runner.restarts == 1
    assert exported(exports, {**END, "force": True}, runner, unit, folder.folder)["changed"]
    assert not exported(exports, END, runner, unit, folder.folder)["changed"], "what is not exported needs no force"
    exported(exports, {"vm": "web"}, runner, unit)
    folder.forget(mine)
    assert exported(exports, END, runner, unit, folder.folder)["changed"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_export_is_not_ended_while_a_client_is_connected(exports: Exports, unit: Path, tmp_path: Path, address: str) -> None:
    runner, leases = Scripted(), tmp_path / "none"
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as listening:
        port = listening.getsockname()[1]
        exported(exports, {"vm": "web"}, runner, unit)
        exports.begin(UUID, "0.1")
        unit.write_text(f"ExecStart=/usr/sbin/edge-host point serve --listen={address} --port={port} \\\n")
        with socket.create_connection((address, port)), listening.accept()[0]:
            words = rf"{address} is connected to the server of exports\. It also gives 0\.1 of web, and which .* is not known"
            with pytest.raises(Busy, match=words):
                exported(exports, END, runner, unit, leases)
            assert exports.depot.is_exported(UUID, "0.2")
            assert exported(exports, {**END, "force": True}, runner, unit, leases)["changed"]
        exports.begin(UUID, "0.2")
        assert exported(exports, END, runner, unit, leases)["changed"], "a connection that has ended holds nothing"


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"generation": "0.1"}, InvalidInput, "^generation: it needs vm"),
        ({"end": True}, InvalidInput, "^end: it needs vm"),
        ({"force": True}, InvalidInput, "^force: it needs vm"),
        ({"vm": "web", "end": True}, InvalidInput, "^generation: it is missing"),
        ({"vm": "web", "generation": "1"}, InvalidInput, "^generation: '1' is not a generation"),
        ({"vm": "web", "generation": "0.9"}, NotFound, "^generation: "),
        ({"vm": "db"}, NotFound, "^vm: there is no recovery point of 'db'"),
    ],
)
def test_what_is_refused(exports: Exports, unit: Path, options: dict[str, Any], kind: type[EdgeError], words: str) -> None:
    runner = Scripted()
    with pytest.raises(kind, match=words):
        exported(exports, options, runner, unit)
    assert not list(exports.generations()) and runner.restarts == 0


def test_without_the_server_nothing_is_exported(exports: Exports, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"^vm: edge-points-nbd\.service is not on this host.*replica_points_nbd"):
        exported(exports, {"vm": "web"}, Scripted(), tmp_path / "edge-points-nbd.service")
    assert not list(exports.generations())


@pytest.mark.parametrize("option", SERVE)
def test_the_server_needs_all_that_its_unit_says(option: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{option}: it is missing"):
        serve(Cluster("site", "h1", ()), {key: value for key, value in SERVE.items() if key != option})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_wrong_port(port: str) -> None:
    with pytest.raises(InvalidInput, match=r"^port: "):
        serve(Cluster("site", "h1", ()), {**SERVE, "port": port})


def test_what_is_exported_can_be_read_when_that_has_ended(
    exports: Exports, prepared: Replica, authority: Authority, tmp_path: Path, unit: Path
) -> None:
    """As a playbook does whose next task lets a VM start over it: systemctl does not wait for the server."""
    (folder := tmp_path / "nbd").mkdir()
    found = PointsNbd(folder, authority, free_port())
    unit.write_text(f"ExecStart=/usr/sbin/edge-host point serve --listen=127.0.0.1 --port={found.port} \\\n")
    pki, started = found.pki("127.0.0.1", "server"), list[subprocess.Popen[bytes]]()

    class Starts(Scripted):
        def run(self, argv: Any, **options: Any) -> Completed:
            listening = Listening("127.0.0.1", found.port, pki, ("hyper1",))
            started.append(subprocess.Popen(server(exports.nodes()[0], listening), cwd=folder))
            return super().run(argv, **options)

    try:
        exported(exports, {"vm": "web"}, Starts(), unit)
        done = found.read("hyper1", export_name(UUID, "0.2", "vda"), raw := tmp_path / "raw")
        assert done.returncode == 0, done.stderr
        assert filecmp.cmp(raw, prepared.machine.contents["0.2"], shallow=False)
    finally:
        for process in started:
            process.terminate()
            process.wait()


def test_a_server_that_does_not_start_is_named(exports: Exports, unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_export, "SECONDS", 0.5)
    unit.write_text(f"ExecStart=/usr/sbin/edge-host point serve --listen=* --port={free_port()} \\\n")
    with pytest.raises(TimedOut, match=r"edge-points-nbd.service .* journalctl -u edge-points-nbd.service"):
        exported(exports, {"vm": "web"}, Scripted(), unit)
    assert exported(exports, {"vm": "web", "generation": "0.2", "end": True}, Scripted(), unit)["changed"], "nothing is to listen"
