# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on a stopped VM of libvirt's own test driver, with real qemu-img: what is in the files is what counts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.modules import run_module

URI = "test:///default"


@pytest.fixture
def home(folders: Folders, driver: Any, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a stopped VM ``web`` with the disks root and data."""
    disks = [{"name": "root", "size": "1MiB"}, {"name": "data", "size": "1MiB"}]
    assert run_module(capsys, "domain", uri=URI, name="web", state="stopped", memory="64MiB", disks=disks)["changed"]
    return Path(folders.vm("web"))


@pytest.fixture
def snapshot(capsys: pytest.CaptureFixture[str], home: Path) -> Any:
    def run(snapshot: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"name": "web", "snapshot": snapshot, **options}
        return run_module(capsys, "domain_snapshot", check=check, uri=URI, **asked)

    return run


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str], home: Path) -> Any:
    return lambda: run_module(capsys, "domain_snapshot_info", uri=URI, name="web")


def io(path: str, command: str) -> str:
    done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, path], check=True, capture_output=True, text=True)
    return done.stdout


def write(info: Any, pattern: int) -> None:
    for disk in info()["disks"]:
        io(disk["active"], f"write -P {pattern} 0 64k")


def has(info: Any, pattern: int) -> bool:
    answers = [io(disk["active"], f"read -P {pattern} 0 64k") for disk in info()["disks"]]
    return not any("verification failed" in one for one in answers)


def names(home: Path) -> set[str]:
    return {path.name for path in home.iterdir() if path.suffix == ".qcow2"}


def test_missing_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing required arguments: name, snapshot" in run_module(capsys, "domain_snapshot")["msg"]
    assert "missing required arguments: name" in run_module(capsys, "domain_snapshot_info")["msg"]


def test_a_disk_on_the_network_is_named_and_left_out_by_an_explicit_word(
    snapshot: Any, info: Any, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    ceph = {"name": "ceph", "source": {"protocol": "rbd", "name": "vms/web", "hosts": ["[2001:db8::7]:6789"]}}
    disks = [{"name": "root"}, {"name": "data"}, ceph]
    asked = {"uri": URI, "name": "web", "state": "stopped", "disks": disks}
    assert run_module(capsys, "domain", **asked)["changed"]
    assert run_module(capsys, "domain", **asked)["changed"] is False
    refused = snapshot("a")
    assert refused["error"]["code"] == "refused" and refused["msg"].startswith("without_disks: "), refused
    assert refused["error"]["disks"] == ["ceph"]
    assert names(home) == {"root.qcow2", "data.qcow2"}
    write(info, 1)
    assert snapshot("a", without_disks=["ceph"])["changed"]
    assert names(home) == {"root.qcow2", "data.qcow2", "root.a.qcow2", "data.a.qcow2"}
    assert snapshot("a", without_disks=["ceph"])["changed"] is False
    write(info, 2)
    assert snapshot("a", state="reverted")["changed"] and has(info, 1)
    assert snapshot("a", state="absent")["changed"]


def test_life_of_a_snapshot(snapshot: Any, info: Any, home: Path) -> None:
    write(info, 1)
    planned = snapshot("a", check=True)
    assert planned["changed"] and names(home) == {"root.qcow2", "data.qcow2"}
    assert not (home / "snapshots.json").exists()
    taken = snapshot("a", description="first")
    assert (taken["actions"], taken["diff"]) == (planned["actions"], taken["diff"])
    assert snapshot("a")["changed"] is False
    assert names(home) == {"root.qcow2", "data.qcow2", "root.a.qcow2", "data.a.qcow2"}

    write(info, 2)
    assert snapshot("a", state="reverted", check=True)["changed"] and has(info, 2)
    assert snapshot("a", state="reverted")["changed"] and has(info, 1)
    assert snapshot("a", state="reverted")["changed"] is False
    found = info()
    assert [(one["name"], one["description"], one["state"]) for one in found["snapshots"]] == [("a", "first", "stopped")]
    assert found["current"] == "a" and len(found["orphans"]) == 1 and found["interrupted"] is None

    write(info, 3)
    assert snapshot("a", state="absent")["changed"]
    assert has(info, 3) and names(home) == {"root.qcow2", "data.qcow2"}
    assert snapshot("a", state="absent")["changed"] is False


def test_the_middle_of_a_chain_goes_and_the_others_stay(snapshot: Any, info: Any, home: Path) -> None:
    for pattern, name in enumerate("abc", start=1):
        write(info, pattern)
        snapshot(name)
    write(info, 4)
    snapshot("b", state="absent")
    assert has(info, 4)
    snapshot("c", state="reverted", discard=True)
    assert has(info, 3)
    snapshot("a", state="reverted")
    assert has(info, 1)
    assert snapshot("b", state="reverted")["error"]["code"] == "not_found"
    for name in "ac":
        snapshot(name, state="absent")
    assert has(info, 1) and names(home) == {"root.qcow2", "data.qcow2"}


def test_a_grown_disk_keeps_its_size(snapshot: Any, info: Any, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot("a")
    disks = [{"name": "root", "size": "2MiB"}, {"name": "data"}]
    grown = run_module(capsys, "domain", uri=URI, name="web", state="stopped", disks=disks)
    assert grown["actions"][0] == f"Grow {home}/root.a.qcow2 to 2MiB"
    snapshot("a", state="absent")
    assert info()["disks"][0]["chain"][0]["size"] == 2 * 2**20
    assert run_module(capsys, "domain", uri=URI, name="web", state="stopped", disks=disks)["changed"] is False


def test_a_failed_step_is_undone_at_once(snapshot: Any, info: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(info, 1)
    with monkeypatch.context() as patch:
        patch.setattr(libvirt.virConnect, "defineXML", lambda *_any: (_any for _any in ()).throw(libvirt.libvirtError("no")))
        failed = snapshot("a")
    assert failed["error"]["failed_action"].startswith("Redefine domain web")
    assert names(home) == {"root.qcow2", "data.qcow2"} and has(info, 1)
    assert info()["interrupted"] is None
    assert snapshot("a")["changed"]


def test_everything_goes_with_the_domain(snapshot: Any, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot("a")
    snapshot("b")
    run_module(capsys, "domain", uri=URI, name="web", state="absent", delete_disks=True)
    assert not home.exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"snapshot": "../a"}, "invalid_input", "snapshot: '../a' is not valid"),
        ({"snapshot": "arriving"}, "invalid_input", "snapshot: 'arriving' is not valid"),
        ({"snapshot": "a", "name": "none"}, "not_found", "name: this host has no domain none"),
        ({"snapshot": "a", "name": "test"}, "conflict", "name: domain test exists on this host and was not made by edge.cloud"),
        ({"snapshot": "a", "memory": True}, "invalid_input", "memory: domain web does not run"),
        ({"snapshot": "a", "memory": True, "quiesce": "required"}, "invalid_input", "quiesce: a snapshot with memory"),
        ({"snapshot": "a", "state": "reverted"}, "not_found", "snapshot: domain web has no snapshot a (there: none)"),
    ],
)
def test_bad_input_is_found_before_any_change(snapshot: Any, home: Path, options: dict[str, Any], code: str, says: str) -> None:
    failed = snapshot(**options)
    assert (failed["error"]["code"], failed["msg"][: len(says)]) == (code, says)
    assert not (home / "snapshots.json").exists()


def test_one_change_at_a_time_and_a_damaged_ledger_stops_all(snapshot: Any, home: Path) -> None:
    with vm_lock(str(home.parent.parent / "locks/domain-web"), "web", 0):
        assert snapshot("a")["error"]["code"] == "busy"
    for text, code in (({"version": 99}, "unsupported"), ({"version": 1}, "corrupt")):
        (home / "snapshots.json").write_text(json.dumps(text))
        assert snapshot("a")["error"]["code"] == code
    assert names(home) == {"root.qcow2", "data.qcow2"}
