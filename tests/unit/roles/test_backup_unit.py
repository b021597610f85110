# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit of the timer for backups lets a run reach, as real Ansible writes it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.edge.cloud.plugins.module_utils._host import backup
from support.local_play import local_play, printed
from support.processes import TREE

ROLE = TREE / "roles/backup"
TASKS: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
KNOWN = [yaml.safe_load((ROLE / name / "main.yml").read_text()) for name in ("defaults", "vars")]
DEFAULTS = KNOWN[0] | KNOWN[1]
READS = """
import sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.source import FileSource
print(FileSource("files", (), (Path(sys.argv[1]),), Path(sys.argv[2]))._copied(0, Path(sys.argv[1]), Path(sys.argv[2], "copies")))
"""


def unit(folder: Path, **variables: Any) -> dict[str, list[str]]:
    """Return the settings of the unit, each with its words."""
    template = ROLE / "templates/edge-backup.service.j2"
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


def proposed(folder: Path, **variables: Any) -> dict[str, Any]:
    """Return what the role asks about before it writes anything."""
    (task,) = (one for one in TASKS if "backup" in one.get("ansible.builtin.command", {}).get("argv", []))
    before = [one for one in TASKS[: TASKS.index(task)] if "edge.cloud.host_files" in one]
    assert before == [] and task["throttle"] == 1 and task["no_log"]
    stdin = task["ansible.builtin.command"]["stdin"]
    done = local_play(folder, {"vars": {**DEFAULTS, **variables}, "tasks": [{"ansible.builtin.debug": {"msg": ["begin", stdin]}}]})
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(printed(done))["localhost"][1]
    answer: dict[str, Any] = found if isinstance(found, dict) else json.loads(found)
    return answer


def test_a_wrong_password_or_number_is_known_before_the_host_has_it(tmp_path: Path) -> None:
    known = {
        "backup_repository": str(tmp_path / "repository"),
        "backup_password": "c4n4ry\n",
        "backup_password_file": str(tmp_path / "password"),
        "backup_environment": {"RESTIC_CACHE_DIR": str(tmp_path / "cache")},
        "backup_init": "true",
        "backup_retention": {"daily": "7"},
    }
    asked = proposed(tmp_path, **known)
    assert asked["settings"]["retention"] == {"daily": 7}
    assert backup.check(None, asked)["changed"]
    (tmp_path / "password").write_text("c4n4ry\n")
    assert not backup.check(None, {**asked, "password": ""})["changed"], "the file of the host has the same password"
    with pytest.raises(Refused, match=r"^password: it does not open the repository"):
        backup.check(None, {**asked, "password": "canary"})
    for number in (None, "twelve", "12x"):
        asked = proposed(tmp_path, **{**known, "backup_retention": {"daily": 7, "monthly": number}})
        with pytest.raises(InvalidInput, match=r"^backup: retention: monthly: 'not a number' is not an integer"):
            backup.check(None, asked)


@pytest.mark.parametrize("wrong", [{"monthly": "12x"}, {"monthly": "twelve"}, {"dayly": 7}])
def test_retention_has_numbers_of_known_kinds(tmp_path: Path, wrong: dict[str, Any]) -> None:
    specification = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    task = {"ansible.builtin.validate_argument_spec": {"argument_spec": specification}}
    for retention, code in (({"last": 2, "daily": "7"}, 0), (wrong, 2)):
        done = local_play(tmp_path, {"vars": {"backup_retention": retention}, "tasks": [task]})
        assert done.returncode == code, done.stdout + done.stderr
    assert next(iter(wrong)) in done.stdout


def test_no_folder_is_an_empty_one_and_a_mount_at_boot_is_there(tmp_path: Path) -> None:
    found = unit(tmp_path, backup_paths=["/var/tmp/data"])
    assert "PrivateTmp" not in found and found["ProtectHome"] == ["read-only"]
    assert f"TMPDIR=/var/cache/{found['CacheDirectory'][0]}" in found["Environment"]
    assert "remote-fs.target" in found["After"]


def test_without_its_settings_it_fails_instead_of_being_left_out(tmp_path: Path) -> None:
    assert not [key for key in unit(tmp_path) if key.startswith("Condition")]


def test_a_run_that_hangs_ends(tmp_path: Path) -> None:
    assert unit(tmp_path, backup_longest_hours="36")["TimeoutStartSec"] == ["36h"]
    assert unit(tmp_path)["TimeoutStartSec"] == ["24h"]


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
