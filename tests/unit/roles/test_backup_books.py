# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks backup and restore, run by the real ansible-playbook with the real restic on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.processes import TREE
from support.recovery import Replica, require_same

BACKUP = {"backup_repository": "/srv", "backup_password": "c4n4ry", "backup_databases": [], "backup_root": "/no/such/points"}
RESTORE = {"restore_repository": "/srv", "restore_password": "x"}
HOSTS = "[replica]\nlocalhost\n[frontend]\nlocalhost\n"


LOST = HOSTS.replace("localhost", "lost ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1\nlocalhost", 1)


def playbook(folder: Path, name: str, variables: dict[str, Any], hosts: str = HOSTS) -> subprocess.CompletedProcess[str]:
    (folder / "hosts.ini").write_text(hosts)
    argv = [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts.ini", "-c", "local"]
    return subprocess.run(
        [*argv, "-vv", "-e", json.dumps(variables), TREE / f"playbooks/{name}.yml"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"), "ANSIBLE_HOME": str(folder / "home"),
             "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "RESTIC_CACHE_DIR": str(folder / "cache")},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow  # it runs Ansible several times; the tests of the module have the same
def test_back_up_and_restore(tmp_path: Path) -> None:
    replica = Replica.with_points(tmp_path / "site", 2)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/cluster").write_text("settings")
    common = {"host_images_root": str(replica.machine.images.root)}
    asked = {
        "backup_repository": str(tmp_path / "repository"),
        "backup_password": "c4n4ry",
        "backup_init": "true",
        "backup_root": str(replica.depot.root),
        "backup_paths": [str(tmp_path / "etc")],
        "backup_databases": [],
        "backup_retention": {"daily": "7"},
        **common,
    }
    made = playbook(tmp_path, "backup", asked)
    assert made.returncode == 0, made.stdout + made.stderr
    back = {"restore_repository": asked["backup_repository"], "restore_password": "c4n4ry", "restore_host": "localhost", **common}
    disks = {**back, "restore_vm": "web", "restore_form": "disks", "restore_path": str(tmp_path / "web")}
    done = playbook(tmp_path, "restore", disks)
    assert done.returncode == 0, done.stdout + done.stderr
    require_same(tmp_path / "web/vda.qcow2", replica.machine.contents["0.2"])
    as_backed_up = {"backup_password" if key == "restore_password" else key: value for key, value in back.items()}
    files = playbook(tmp_path, "restore", {**as_backed_up, "restore_name": "frontend", "restore_path": str(tmp_path / "files")})
    assert files.returncode == 0, files.stdout + files.stderr
    assert (tmp_path / "files" / str(tmp_path / "etc/cluster").lstrip("/")).read_text() == "settings"


def test_a_front_end_that_is_no_replica(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    asked = {
        "backup_repository": str(tmp_path / "repository"),
        "backup_password": "c4n4ry",
        "backup_init": "true",
        "backup_root": str(tmp_path / "points"),
        "backup_paths": [str(tmp_path / "etc")],
        "backup_databases": [],
    }
    done = playbook(tmp_path, "backup", asked, "[replica]\nkeeper\n[frontend]\nfront\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=1 " in next(line for line in done.stdout.splitlines() if line.startswith("front ")), done.stdout


def test_a_lost_replica_and_a_vm_without_its_image_cost_only_themselves(tmp_path: Path) -> None:
    replica = Replica.with_points(tmp_path / "site", 1)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/cluster").write_text("settings")
    asked = {
        "backup_repository": str(tmp_path / "repository"),
        "backup_password": "c4n4ry",
        "backup_init": "true",
        "backup_root": str(replica.depot.root),
        "backup_paths": [str(tmp_path / "etc")],
        "backup_databases": [],
        "backup_vms": ["web", "wbe"],
        "host_images_root": str(tmp_path / "no-images"),
    }
    done = playbook(tmp_path, "backup", asked, LOST)
    assert done.returncode != 0
    assert "unreachable=1" in done.stdout
    assert "which disks of web stand on" in done.stdout
    assert "backup_vms: no replica that answered has a recovery point of wbe." in done.stdout
    environment = {**os.environ, "RESTIC_PASSWORD": "c4n4ry", "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    argv = ["restic", "-r", asked["backup_repository"], "snapshots", "--json"]
    found = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert [one["paths"] for one in json.loads(found.stdout)] == [asked["backup_paths"]], done.stdout


@pytest.mark.parametrize(
    ("name", "variables", "answer"),
    [
        ("backup", {"backup_password": "x"}, "backup_repository: give the repository"),
        ("backup", {"backup_repository": "/srv"}, "backup_password: give either"),
        ("backup", {**BACKUP, "backup_paths": ["/no/such/file"]}, "paths[0]: /no/such/file does not exist"),
        ("restore", {**RESTORE, "restore_vm": "web"}, "restore_host: not set"),
        ("restore", {**RESTORE, "restore_host": "localhost"}, "restore_vm: give either"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, variables: dict[str, Any], answer: str) -> None:
    done = playbook(tmp_path, name, variables)
    assert done.returncode != 0
    assert answer in done.stdout
