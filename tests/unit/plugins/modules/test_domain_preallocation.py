# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new disk with ``preallocation`` has all its space when it appears, or does not appear."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.images import MIB
from support.modules import run_module

SIZE = 40 * MIB


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(*disks: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"uri": "test:///default", "name": "web", "state": "stopped", "disks": list(disks), **options}
        return run_module(capsys, "domain", check=check, **asked)

    return run_domain


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def virtual_size(path: Path) -> int:
    shown = subprocess.run(["qemu-img", "info", "--output=json", "-f", "qcow2", path], check=True, capture_output=True, text=True)
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=True)
    return int(json.loads(shown.stdout)["virtual-size"])


@pytest.mark.parametrize("way", ["falloc", "full"])
def test_a_disk_has_its_space_and_is_never_made_again(way: str, run: Any, folders: Folders, driver: Any) -> None:
    disk = {"name": "data", "size": "40MiB", "preallocation": way}
    path = Path(folders.vm("web"), "data.qcow2")
    planned = run(disk, check=True)
    assert not path.exists()
    made = run(disk)
    assert made["actions"] == planned["actions"]
    assert made["actions"][0] == f"Create {path} (40MiB) as an empty disk, preallocated by {way}"
    assert made["diff"] == planned["diff"]
    assert virtual_size(path) == SIZE
    assert taken(path) >= SIZE
    shown = ET.fromstring(driver.lookupByName("web").XMLDesc(0)).find("devices/disk/driver")
    assert shown is not None and shown.get("discard") == "ignore"

    before = path.read_bytes()
    for again in (disk, {**disk, "preallocation": "off"}, {"name": "data", "size": "40MiB"}, {"name": "data"}):
        assert run(again)["changed"] is False
    assert run({**disk, "size": "50MiB"})["actions"] == [f"Grow {path} to 50MiB", "Redefine domain web"]
    run(state="absent")
    assert run({**disk, "size": "50MiB"})["actions"] == ["Define domain web"]
    assert path.read_bytes()[2**16 : 2**17] == before[2**16 : 2**17]


def test_what_is_said_of_discard_is_believed(run: Any, driver: Any) -> None:
    run({"name": "a", "size": "1MiB", "preallocation": "falloc", "discard": "unmap"}, {"name": "b", "size": "1MiB"},
        {"name": "c", "size": "1MiB", "preallocation": "off"})  # fmt: skip
    drivers = ET.fromstring(driver.lookupByName("web").XMLDesc(0)).iterfind("devices/disk/driver")
    assert [one.get("discard") for one in drivers] == ["unmap"] * 3


@pytest.mark.parametrize("check", [True, False])
def test_disks_that_fit_only_alone_are_refused_before_anything_is_made(check: bool, run: Any, folders: Folders) -> None:
    each = max(_files.free_bytes(Path(folders.vms)) - _files.RESERVE, 0) * 2 // 3 // MIB
    failed = run(*({"name": name, "size": f"{each}MiB", "preallocation": "falloc"} for name in "ab"), check=check)
    assert failed["error"]["code"] == "no_space"
    home = folders.vm("web")
    assert failed["msg"].startswith(f"Preallocation for {home}/a.qcow2, {home}/b.qcow2 needs {2 * each * MIB} bytes")
    assert list(Path(folders.vms).iterdir()) == []
