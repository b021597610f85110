# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module datastore_image, with real images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.hand_check import digest_of
from support.image_server import Faults, faulty
from support.images import qcow2, qemu_img, raw
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


def run(capsys: Capsys, folder: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    (folder / "vms").mkdir(exist_ok=True)
    fixed = {"name": "debian", "version": "1", "root": str(folder / "store"), "disk_directories": [str(folder / "vms")]}
    return run_module(capsys, "datastore_image", check=check, **{**fixed, **options})


def test_missing_arguments(capsys: Capsys) -> None:
    assert "missing required arguments: name, version" in run_module(capsys, "datastore_image")["msg"]


def test_from_nothing_to_an_image_and_back(capsys: Capsys, tmp_path: Path) -> None:
    source = qcow2(tmp_path / "a.qcow2", 2)
    checked = run(capsys, tmp_path, check=True, source=str(source), os="debian 13")
    assert checked["changed"]
    assert checked["image"]["digest"] is None
    assert not (tmp_path / "store").exists()

    made = run(capsys, tmp_path, source=str(source), os="debian 13")
    digest = digest_of(source)
    assert (made["actions"], made["diff"]) == (checked["actions"], checked["diff"])
    assert made["image"]["digest"] == digest
    assert "created" not in made["diff"]["after"]
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert [(entry["name"], entry["version"], entry["digest"]) for entry in index["images"]] == [("debian", "1", digest)]

    again = run(capsys, tmp_path, source=str(source), os="debian 13")
    assert (again["changed"], again["image"]) == (False, made["image"])

    described = run(capsys, tmp_path, arch="x86_64", min_disk="4G")
    assert described["diff"] == {"before": {"arch": "", "min_disk": 0}, "after": {"arch": "x86_64", "min_disk": 4 * 1024**3}}
    assert not run(capsys, tmp_path, arch="x86_64")["changed"]

    assert run(capsys, tmp_path, check=True, state="absent")["changed"]
    assert run(capsys, tmp_path, state="absent")["diff"]["before"]["digest"] == digest
    assert not run(capsys, tmp_path, state="absent")["changed"]
    assert json.loads((tmp_path / "store" / "index.json").read_text()) == {"images": [], "schema": 1}


def test_a_name_and_version_keep_their_bytes(capsys: Capsys, tmp_path: Path) -> None:
    source = qcow2(tmp_path / "a.qcow2", 1)
    first = run(capsys, tmp_path, source=str(source))["image"]
    qcow2(source, 1, seed=2)
    for check in (True, False):
        assert run(capsys, tmp_path, check=check, source=str(source))["error"]["code"] == "conflict"
    second = run(capsys, tmp_path, source=str(source), version="2")["image"]
    assert first["digest"] != second["digest"]
    listed = run_module(capsys, "datastore_image_info", root=str(tmp_path / "store"), name="debian", verify=True)
    assert [(one["version"], one["damaged_pieces"]) for one in listed["images"]] == [("1", []), ("2", [])]


def test_a_lost_catalogue_is_written_again(capsys: Capsys, tmp_path: Path) -> None:
    run(capsys, tmp_path, source=str(qcow2(tmp_path / "a.qcow2", 1)))
    (tmp_path / "store" / "index.json").unlink()
    assert run(capsys, tmp_path)["actions"] == ["Write the catalogue."]
    assert not run(capsys, tmp_path)["changed"]


def test_an_image_below_a_disk_stays(capsys: Capsys, tmp_path: Path) -> None:
    image = run(capsys, tmp_path, source=str(qcow2(tmp_path / "a.qcow2", 1)))["image"]
    qemu_img("create", "-f", "qcow2", "-b", image["path"], "-F", "qcow2", tmp_path / "vms" / "d")
    for check in (True, False):
        assert run(capsys, tmp_path, check=check, state="absent")["error"]["used_by"] == [str(tmp_path / "vms" / "d")]
    assert Path(image["path"]).exists()


def test_a_url_needs_a_checksum_and_is_fetched_once(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    data = raw(tmp_path / "web" / "a.raw", 1).read_bytes()
    checksum = "sha512:" + hashlib.sha512(data).hexdigest()
    faults = Faults()
    with faulty(tmp_path / "web", faults) as url:
        assert run(capsys, tmp_path, source=url + "a.raw")["error"]["code"] == "refused"
        assert run(capsys, tmp_path, source=url + "a.raw", checksum="md5:" + "0" * 32)["error"]["code"] == "invalid_input"
        assert run(capsys, tmp_path, source=url + "none", checksum=checksum)["error"]["code"] == "not_found"
        made = run(capsys, tmp_path, source=url + "a.raw", checksum=checksum)
        assert made["image"]["source_digest"] == checksum
        assert not run(capsys, tmp_path, source=url + "a.raw", checksum=checksum)["changed"]
        other = run(capsys, tmp_path, source=url + "a.raw", checksum="sha512:" + "0" * 128)
        assert other["error"]["code"] == "conflict"
    assert faults.served == len(data)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "invalid_input"), ({"source": "/nowhere/x"}, "not_found"), ({"source": "relative"}, "invalid_input"),
        ({"source": "/dev/null"}, "invalid_input"), ({"source": "/nowhere/x", "name": "../x"}, "invalid_input"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("check", [True, False])
def test_bad_input(capsys: Capsys, tmp_path: Path, options: dict[str, Any], code: str, check: bool) -> None:
    assert run(capsys, tmp_path, check=check, **options)["error"]["code"] == code


def test_a_pin_is_set_and_ended_by_its_own_option_only(capsys: Capsys, tmp_path: Path) -> None:
    source = str(qcow2(tmp_path / "a.qcow2", 1))
    checked = run(capsys, tmp_path, check=True, source=source, pinned=True)
    made = run(capsys, tmp_path, source=source, pinned=True)
    assert (made["actions"], made["image"]["pinned"]) == (checked["actions"], True)
    for options in ({}, {"os": "debian 13"}, {"source": source}):
        assert run(capsys, tmp_path, **options)["image"]["pinned"] is True
    assert run(capsys, tmp_path, pinned=False)["diff"] == {"before": {"pinned": True}, "after": {"pinned": False}}
    assert not run(capsys, tmp_path)["changed"]
