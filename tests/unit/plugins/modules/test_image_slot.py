# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots for sent images: each has its room beside all others before its first byte, and ends when its time is over."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._host.cli import main
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.slots import LATE
from support.local_play import local_play
from support.modules import run_module
from support.small_disk import small_disk

Capsys = pytest.CaptureFixture[str]
GIB = 2**30
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="slots belong to another user, and a small file system needs root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Have a Front-end's place for sent images on a file system of 6 GiB, of which nothing is used."""
    with small_disk(tmp_path / "disk", 6 * 1024) as made:
        (made / "edge-slots/body").mkdir(parents=True)
        yield made


def digest(host: str) -> str:
    return "sha256:" + host.encode().hex().ljust(64, "0")


def slot(capsys: Capsys, disk: Path, host: str, size: int = GIB, **options: Any) -> dict[str, Any]:
    usual = {"path": str(disk), "datastore": str(disk / "datastore"), "digest": digest(host), "owner": "nobody"}
    return run_module(capsys, "image_slot", host=host, size=size, **{**usual, **options})


def aged(disk: Path, seconds: float) -> None:
    """Let so many seconds go by for all slots."""
    for note in (disk / "edge-slots").glob("*.json"):
        found = json.loads(note.read_text())
        note.write_text(json.dumps({**found, "since": found["since"] - seconds, "until": found["until"] - seconds}))


def names(disk: Path) -> list[str]:
    return sorted(path.name.split(".")[0] for path in (disk / "edge-slots").iterdir() if path.is_dir() and path.name != "body")


def test_check_mode_foresees_that_slots_end(capsys: Capsys, disk: Path) -> None:
    for host in ("edge1", "edge2"):
        made = slot(capsys, disk, host)
        Path(made["slot"]["path"], "image").touch()
    aged(disk, 90000)
    checked = slot(capsys, disk, "edge1", check=True)
    assert names(disk) == ["edge1", "edge2"] and len(checked["actions"]) == 3
    done = slot(capsys, disk, "edge1")
    assert (done["actions"], done["slot"], done["diff"]) == (checked["actions"], checked["slot"], checked["diff"])
    assert not checked["slot"]["arrived"] and names(disk) == ["edge1"]


def test_its_whole_life(capsys: Capsys, disk: Path) -> None:
    checked = slot(capsys, disk, "edge1", check=True)
    assert checked["changed"] and names(disk) == []
    made = slot(capsys, disk, "edge1")
    assert made["actions"] == checked["actions"] and made["slot"] == checked["slot"]
    folder = Path(made["slot"]["path"])
    assert folder.owner() == "nobody" and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.name == f"edge1.{digest('edge1')[7:]}.{GIB}"
    aged(disk, 80000)
    assert not slot(capsys, disk, "edge1")["changed"], "it stays open for longer"
    aged(disk, 80000)
    (folder / "image").touch()
    assert slot(capsys, disk, "edge1")["slot"] == {"path": str(folder), "state": "open", "arrived": True}
    closed = slot(capsys, disk, "edge1", state="closed")
    assert closed["changed"] and folder.owner() == "root" and (folder / "image").exists()
    assert not slot(capsys, disk, "edge1", state="closed")["changed"]
    assert slot(capsys, disk, "edge1")["changed"] and folder.owner() == "nobody", "a run that was killed goes on"
    assert slot(capsys, disk, "edge1", state="absent", check=True)["changed"] and folder.exists()
    assert slot(capsys, disk, "edge1", state="absent")["changed"] and names(disk) == []
    assert not slot(capsys, disk, "edge1", state="absent")["changed"]
    assert slot(capsys, disk, "edge1", state="closed")["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(("options", "option"), [
    ({"host": "../edge1"}, "host"), ({"host": "edge1\n"}, "host"), ({"host": ""}, "host"), ({"digest": "sha256:../x"}, "digest"),
    ({"size": 0}, "size"), ({"size": -1}, "size"), ({"size": 10**15}, "size"), ({"valid_for": 59}, "valid_for"),
    ({"valid_for": 7 * 86400}, "valid_for"), ({"owner": "no-such-user"}, "owner"),
])  # fmt: skip
def test_what_is_no_slot_makes_nothing(capsys: Capsys, disk: Path, options: dict[str, Any], option: str) -> None:
    done = slot(capsys, disk, **{"host": "edge1", "digest": digest("a"), **options})
    assert done["error"]["code"] == "invalid_input" and done["msg"].startswith(f"{option}: ")
    assert names(disk) == []


def test_without_the_folder_it_says_what_to_set(capsys: Capsys, tmp_path: Path) -> None:
    done = slot(capsys, tmp_path, "edge1")
    assert done["error"]["code"] == "not_found" and "frontend_incoming" in done["msg"]


def test_slots_have_room_beside_each_other(capsys: Capsys, disk: Path) -> None:
    """Each image of 1 GiB needs 2 GiB, and one stays in reserve: there is room for two."""
    assert not slot(capsys, disk, "edge1")["failed"] and not slot(capsys, disk, "edge2")["failed"]
    third = slot(capsys, disk, "edge3")
    assert third["error"]["code"] == "busy" and "edge1, edge2 send" in third["msg"] and names(disk) == ["edge1", "edge2"]
    large = slot(capsys, disk, "edge4", 3 * GIB)
    assert large["error"]["code"] == "no_space" and names(disk) == ["edge1", "edge2"]
    assert not slot(capsys, disk, "edge2")["failed"], "what is open is not counted twice"
    slot(capsys, disk, "edge1", state="absent")
    aged(disk, LATE)
    assert not slot(capsys, disk, "edge3")["failed"]


def test_an_image_that_is_imported_still_has_its_room(capsys: Capsys, disk: Path) -> None:
    made = slot(capsys, disk, "edge1")
    with Path(made["slot"]["path"], "image").open("wb") as image:
        os.posix_fallocate(image.fileno(), 0, GIB)
    slot(capsys, disk, "edge1", state="closed")
    assert not slot(capsys, disk, "edge2")["failed"], "5 GiB are free: 1 for the import, 2 for the other, and the reserve"
    assert slot(capsys, disk, "edge3")["error"]["code"] == "busy"


def test_the_image_datastore_may_be_elsewhere(capsys: Capsys, disk: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "store", 2 * 1024) as store:
        assert not slot(capsys, disk, "edge1", datastore=str(store / "datastore"))["failed"]
        done = slot(capsys, disk, "edge2", datastore=str(store / "datastore"))
        assert done["error"]["code"] == "busy" and done["error"]["path"] == str(store)
        assert slot(capsys, disk, "edge2", 2 * GIB, datastore=str(store))["error"]["code"] == "no_space"


def test_a_slot_ends_when_its_time_is_over(capsys: Capsys, disk: Path) -> None:
    slot(capsys, disk, "edge1", valid_for=60)
    slot(capsys, disk, "edge2", valid_for=3600)
    aged(disk, 61)
    assert main(["slots", "--path", str(disk / "edge-slots")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["changed"] and "its time is over" in said["actions"][0] and names(disk) == ["edge2"]
    assert slot(capsys, disk, "edge3")["error"]["code"] == "busy", "nginx may have admitted a request before it ended"
    aged(disk, LATE)
    assert not slot(capsys, disk, "edge3")["failed"]


def test_opening_ends_what_is_over_and_what_has_no_time(capsys: Capsys, disk: Path) -> None:
    """A folder without a note, one whose note is torn, and one from the future, as a clock that was set back has it."""
    for host in ("edge1", "edge2", "edge3"):
        (disk / "edge-slots" / f"{host}.{digest(host)[7:]}.{GIB}").mkdir()
    (disk / "edge-slots" / f"edge2.{digest('edge2')[7:]}.{GIB}.json").write_text("{")
    later = time.time() + 1000
    note = {"state": "open", "since": later, "until": later + 1000}
    (disk / "edge-slots" / f"edge3.{digest('edge3')[7:]}.{GIB}.json").write_text(json.dumps(note))
    (disk / "edge-slots/of-others").mkdir()
    slot(capsys, disk, "edge9", 5)
    assert names(disk) == ["edge9", "of-others"]


def test_a_clock_that_is_corrected_ends_no_slot(capsys: Capsys, disk: Path) -> None:
    slot(capsys, disk, "edge1")
    aged(disk, -60)
    assert main(["slots", "--path", str(disk / "edge-slots")]) == 0
    assert names(disk) == ["edge1"] and not slot(capsys, disk, "edge1")["changed"]
    slot(capsys, disk, "edge1", state="absent")
    aged(disk, -60)
    assert not slot(capsys, disk, "edge2")["failed"]
    assert slot(capsys, disk, "edge3", 5 * GIB // 4)["error"]["code"] == "busy", "what may still arrive counts"


def test_what_still_arrives_for_a_slot_that_has_ended_counts(capsys: Capsys, disk: Path) -> None:
    slot(capsys, disk, "edge1", valid_for=60)
    slot(capsys, disk, "edge2")
    with (disk / "edge-slots/body/0000000001").open("wb") as body:
        os.posix_fallocate(body.fileno(), 0, GIB // 2)
        aged(disk, LATE + 61)
        assert main(["slots", "--path", str(disk / "edge-slots")]) == 0
        assert names(disk) == ["edge2"]
        aged(disk, LATE)
        assert slot(capsys, disk, "edge3")["error"]["code"] == "busy", "it goes on"
    aged(disk, LATE)
    assert not slot(capsys, disk, "edge3", 3 * GIB // 4)["failed"], "the file is left of a process that was killed"


def test_what_arrives_is_not_counted_twice(capsys: Capsys, disk: Path) -> None:
    slot(capsys, disk, "edge1")
    with (disk / "edge-slots/body/0000000001").open("wb") as body:
        os.posix_fallocate(body.fileno(), 0, GIB)
        assert not slot(capsys, disk, "edge2")["failed"]
        assert slot(capsys, disk, "edge3")["error"]["code"] == "busy"


ONE = """
import json, sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.modules import image_slot

class Module:
    params, check_mode = json.loads(sys.argv[1]), False

try:
    image_slot.run(Module())
except Exception as error:
    print(type(error).__name__)
"""


def test_hosts_that_ask_at_once_do_not_get_the_same_room(disk: Path) -> None:
    """Each needs 1 GiB of the 6, and a little less than 5 are free beside the reserve."""

    def asked(number: int) -> str:
        host = f"edge{number}"
        options = {"path": str(disk), "datastore": str(disk), "host": host, "digest": digest(host), "size": GIB // 2,
                   "state": "open", "valid_for": 3600, "owner": "nobody"}  # fmt: skip
        argv = [sys.executable, "-c", ONE, json.dumps(options)]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(asked, range(8)))
    assert sorted(said) == ["", "", "", "", *["Busy"] * 4] and len(names(disk)) == 4


@pytest.mark.slow  # it runs Ansible
def test_the_playbook_waits_for_room_and_then_says_who_has_it(capsys: Capsys, disk: Path, tmp_path: Path) -> None:
    slot(capsys, disk, "edge1", 2 * GIB)
    made = {"image": {"digest": digest("localhost"), "size": GIB}}
    variables = {"made": made, "frontend": "localhost", "name": "a", "version": "1", "incoming": str(disk), "retries": 1,
                 "datastore": str(disk)}  # fmt: skip
    tasks = Path(__file__).resolve().parents[4] / "playbooks/tasks/send_image.yml"
    task = {"ansible.builtin.include_tasks": str(tasks), "vars": {f"save_image_{key}": value for key, value in variables.items()}}
    done = local_play(tmp_path, {"tasks": [task]})
    assert done.returncode != 0 and "beside those that edge1 send" in done.stdout, done.stdout
    assert "RETRYING" in done.stdout
    assert names(disk) == ["edge1"]
