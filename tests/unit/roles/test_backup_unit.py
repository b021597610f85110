# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit of the timer for backups lets a run reach, as real Ansible writes it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play, printed
from support.processes import TREE

DEFAULTS = yaml.safe_load((TREE / "roles/backup/defaults/main.yml").read_text())
READS = """
import sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.source import FileSource
print(FileSource("files", (), (Path(sys.argv[1]),), Path(sys.argv[2]))._copied(0, Path(sys.argv[1]), Path(sys.argv[2], "copies")))
"""


def unit(folder: Path, **variables: Any) -> dict[str, list[str]]:
    """Return the settings of the unit, each with its words."""
    template = TREE / "roles/backup/templates/edge-backup.service.j2"
    known = {**DEFAULTS, "backup_repository": "/srv/backup", "ansible_managed": "managed", **variables}
    task = {"ansible.builtin.debug": {"msg": f"{{{{ [lookup('ansible.builtin.template', '{template}')] }}}}"}}
    done = local_play(folder, {"vars": known, "tasks": [task]})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(printed(done))["localhost"][0].splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
    return {
        key: [word for name, _equals, value in pairs if name == key for word in value.split()] for key, _equals, _value in pairs
    }


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The database of leases as it is while no playbook runs: in WAL mode, and SQLite has removed what was beside it."""
    path = tmp_path / "edge/addresses.sqlite3"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE leases (address)")
    connection.execute("INSERT INTO leases VALUES ('192.0.2.7')")
    connection.commit()
    connection.close()
    assert [one.name for one in path.parent.iterdir()] == ["addresses.sqlite3"]
    return path


def read_only_but(folder: Path, writable: list[str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command for which a folder is read-only but for some below, as ProtectSystem=strict and ReadWritePaths make it."""
    below = [one for one in writable if one.startswith(f"{folder}/") and Path(one).exists()]
    mounts = [f"mount --bind {one} {one}" for one in [str(folder), *below]] + [f"mount -o remount,bind,ro {folder}"]
    script = " && ".join([mounts[0], mounts[-1], *mounts[1:-1], *(f"mount -o remount,bind,rw {one}" for one in below), 'exec "$@"'])
    spaces = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    environment = {**os.environ, "PYTHONPATH": str(TREE / "collections")}
    return subprocess.run([*spaces, "sh", "-c", script, "sh", *argv], env=environment, capture_output=True, text=True, check=False)


def test_no_folder_is_an_empty_one_and_a_mount_at_boot_is_there(tmp_path: Path) -> None:
    found = unit(tmp_path, backup_paths=["/var/tmp/data"])
    assert "PrivateTmp" not in found and found["ProtectHome"] == ["read-only"]
    assert f"TMPDIR=/var/cache/{found['CacheDirectory'][0]}" in found["Environment"]
    assert "remote-fs.target" in found["After"]


def test_a_database_in_wal_mode_can_be_read_though_the_system_is_read_only(tmp_path: Path, database: Path) -> None:
    if read_only_but(tmp_path, [], "true").returncode != 0:
        pytest.skip("no mounts can be made here")
    (work := tmp_path / "backup").mkdir()
    found = unit(tmp_path, backup_databases=[str(database)])
    assert found["ProtectSystem"] == ["strict"]
    writable = [one.removeprefix("-") for one in found["ReadWritePaths"]]
    reads = [sys.executable, "-c", READS, str(database), str(work)]
    without = read_only_but(tmp_path, [str(work)], *reads)
    assert "unable to open database file" in without.stderr, "else this proves nothing"
    done = read_only_but(tmp_path, [str(work), *writable], *reads)
    assert done.returncode == 0, done.stderr
    copy = sqlite3.connect(done.stdout.strip())
    assert copy.execute("SELECT address FROM leases").fetchall() == [("192.0.2.7",)]
    copy.close()
