# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module recovery_point_info, and the verbs of edge-host for what it shows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill import notes as drill
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.progress import Progress
from ansible_collections.edge.cloud.plugins.module_utils._host.cli import main
from support.modules import run_module
from support.recovery import UUID, Machine, Replica, require_same

Capsys = pytest.CaptureFixture[str]
OTHER = "7fa459ea-ee8a-4ca4-894e-db77e160355e"

POINTS = 2


@pytest.fixture
def config(replica: Replica, tmp_path: Path) -> Path:
    path = tmp_path / "cluster.json"
    recovery = {"root": str(replica.depot.root), "keep": 2, "quota_bytes": "1GiB"}
    images = {"root": str(replica.machine.images.root)}
    path.write_text(json.dumps({"name": "site1", "host": "edge1", "images": images, "recovery": recovery}))
    return path


def run(capsys: Capsys, config: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    code = main(["--config", str(config), "point", *argv])
    return code, json.loads(capsys.readouterr().out)


def test_nothing_yet(capsys: Capsys, tmp_path: Path) -> None:
    assert run_module(capsys, "recovery_point_info", root=str(tmp_path / "none"))["vms"] == []
    found = run_module(capsys, "recovery_point_info", root=str(tmp_path / "none"), vm="web")
    assert found["msg"].startswith(f"vm: there is no recovery point of 'web' in {tmp_path / 'none'}; there are none of any VM. ")


def test_what_is_shown(capsys: Capsys, replica: Replica, config: Path) -> None:
    replica.depot.document(UUID, "0.7").write_bytes(b"{")
    (replica.depot.folder(UUID) / "0.1.pin").touch()
    newest = replica.depot.find(UUID)
    replica.depot.path_of(UUID, newest.disks[0].chain[1].digest).unlink()
    found = run_module(capsys, "recovery_point_info", root=str(replica.depot.root), vm="web")
    (vm,) = found["vms"]
    assert (vm["uuid"], vm["name"], vm["bytes"]) == (UUID, "web", found["bytes"])
    assert vm["unreadable"][0]["file"] == "0.7.json"
    first, second = vm["generations"]
    assert (first["generation"], first["whole"], first["pinned"]) == ("0.1", True, True)
    assert (second["whole"], second["quiesced"], second["final"], second["instant"]) == (False, True, False, newest.instant)
    disk = {"target": "vda", "image": newest.disks[0].image, "virtual_size": 4 * 2**20, "deltas": 2}
    assert (second["disks"], second["bytes"]) == ([disk], sum(file.size for file in newest.needs))
    code, listed = run(capsys, config, "list", "--vm", UUID)
    assert (code, listed) == (0, {"vms": found["vms"], "bytes": found["bytes"]})


def test_how_far_the_points_of_a_hypervisor_s_vms_are(capsys: Capsys, tmp_path: Path) -> None:
    now = time.time()
    late = Progress("db", OTHER, now - 1000, 300, "0.1", now - 900, (("0.1", now - 900),), error="no space", failures=1, tried=now)
    for one in (late, Progress("web", UUID, now, 300)):
        notes.write(tmp_path / "status", one)
    drill.write(tmp_path / "drills", drill.DrillNote("db", OTHER, now, "0.1", 3.25, good=now, good_generation="0.1"))
    folders = {"root": str(tmp_path / "points"), "notes_dir": str(tmp_path)}
    found = run_module(capsys, "recovery_point_info", **folders)
    assert (found["vms"], [one["vm"] for one in found["protection"] if one["breach"]]) == ([], ["db"])
    (db,) = run_module(capsys, "recovery_point_info", vm="db", **folders)["protection"]
    assert (db["uuid"], db["newest"], db["held"], db["error"]) == (OTHER, "0.1", ["0.1"], "no space")
    assert (db["drill"]["well"], db["drill"]["seconds"], db["drill"]["last_well_generation"]) == (True, 3.2, "0.1")
    (web,) = run_module(capsys, "recovery_point_info", vm=UUID, **folders)["protection"]
    assert (web["vm"], web["newest"], web["held_at"], web["breach"], web["drill"]) == ("web", None, None, False, None)
    assert "there is no recovery point of 'mail'" in run_module(capsys, "recovery_point_info", vm="mail", **folders)["msg"]


def test_a_name_of_two_vms(capsys: Capsys, replica: Replica, tmp_path: Path) -> None:
    other = Machine(tmp_path / "other", uuid=OTHER)
    Replica(other, replica.depot.root).intake.take(other.point())
    found = run_module(capsys, "recovery_point_info", root=str(replica.depot.root), vm="web")
    assert (found["error"]["code"], found["error"]["found"]) == ("conflict", [UUID, OTHER])
    assert len(run_module(capsys, "recovery_point_info", root=str(replica.depot.root))["vms"]) == 2


def test_take_and_tidy(capsys: Capsys, replica: Replica, config: Path) -> None:
    machine = replica.machine.copied(config.parent / "machine")
    code, found = run(capsys, config, "take", "--folder", str(machine.point()))
    assert (code, found["changed"], found["vm"], found["generation"]) == (0, True, UUID, "0.3")
    assert found["missing_images"] == []
    code, found = run(capsys, config, "tidy")
    assert (code, found["dropped"], found["doubts"]) == (0, [f"{UUID} 0.1"], [])
    assert run(capsys, config, "take")[1]["msg"] == "folder: it is missing; give --folder."


def test_verify(capsys: Capsys, replica: Replica, config: Path) -> None:
    assert run(capsys, config, "verify") == (0, {"verified": {UUID: ["0.1", "0.2"]}})
    path = replica.depot.path_of(UUID, replica.depot.find(UUID).disks[0].chain[1].digest)
    path.write_bytes(bytes(path.stat().st_size))
    code, found = run(capsys, config, "verify", "--vm", "web")
    assert (code, found["error"]["code"], list(found["error"]["vms"][UUID]["damaged"])) == (1, "corrupt", ["0.2"])
    assert run(capsys, config, "verify", "--vm", "web", "--generation", "0.1")[0] == 0


def test_restore(capsys: Capsys, replica: Replica, config: Path, tmp_path: Path) -> None:
    path = tmp_path / "web.qcow2"
    code, found = run(capsys, config, "restore", "--vm", "web", "--generation", "0.1", "--path", str(path), "--whole")
    assert (code, found["generation"], found["disk"], found["path"]) == (0, "0.1", "vda", str(path))
    require_same(path, replica.machine.contents["0.1"])
    code, found = run(capsys, config, "restore", "--vm", "web", "--path", str(path))
    assert (code, found["error"]["code"]) == (1, "conflict")
    code, found = run(capsys, config, "restore", "--vm", "web", "--path", f"{path}.2", "--no-copy")
    assert (code, found["generation"], found["blockdev"]["file"]["filename"]) == (0, "0.2", f"{path}.2")
    require_same(f"json:{json.dumps(found['blockdev'])}", replica.machine.contents["0.2"])


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        ([], "arguments are required: WHAT"),
        (["dance"], "invalid choice: 'dance'"),
        (["restore", "--vm", "web"], "path: it is missing"),
        (["restore", "--vm", "web", "--path", "x"], "path: 'x' is not an absolute path"),
        (["restore", "--path", "/x"], "vm: it is missing"),
        (["restore", "--vm", "web", "--path", "/x", "--generation", "newest"], "generation: 'newest' is not a generation"),
        (["restore", "--vm", "web", "--path", "/x", "--generation", "0.9"], "it has 0.1, 0.2"),
        (["restore", "--vm", "web", "--path", "/x", "--disk", "vdb"], "has no disk vdb; it has vda"),
        (["verify", "--vm", "db"], "there is no recovery point of 'db'"),
    ],
)
def test_wrong_words(capsys: Capsys, config: Path, argv: list[str], answer: str) -> None:
    code, shown = run(capsys, config, *argv)
    assert code == 1
    assert answer in shown["msg"]
