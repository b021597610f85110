# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real QEMUs that start on a VM's disk at the worst moment, and VMs that are saved: nothing that a guest wrote is lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.writer import DiskWriter
from support import qemu
from support.modules import run_module

URI = "test:///default"


@pytest.fixture
def home(tmp_path: Path, folders: Folders, driver: Any, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a stopped VM ``web`` whose disk is an overlay over an image that no store knows."""
    options = {"state": "stopped", "memory": "64MiB", "disks": [{"name": "data", "size": "1MiB"}]}
    assert run_module(capsys, "domain", uri=URI, name="web", **options)["changed"]
    base, found = tmp_path / "base.qcow2", Path(folders.vm("web"))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1M"], check=True)
    over = ["-F", "qcow2", "-b", str(base), str(found / "data.qcow2")]
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", *over], check=True)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], home: Path) -> Callable[..., dict[str, Any]]:
    return lambda module, **options: run_module(
        capsys, module, uri=URI, **({} if module == "domains" else {"name": "web"}), **options
    )


def backing(path: Path) -> str | None:
    argv = ["qemu-img", "info", "-U", "--output=json", str(path)]
    found: str | None = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout).get("backing-filename")
    return found


def at(monkeypatch: pytest.MonkeyPatch, place: str, before: Callable[[], object]) -> None:
    """Do something just before a change of DiskWriter; ``Path.rename`` is the one that ends a flatten."""
    owner, name = (Path, "rename") if place == "rename" else (DiskWriter, place)
    original = getattr(owner, name)

    def late(*arguments: Any, **named: Any) -> Any:
        if place != "rename" or str(arguments[0]).endswith(".flat"):
            before()
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, late)


@pytest.mark.parametrize("moment", ["convert", "rename"])
def test_no_guest_starts_on_a_disk_that_is_being_flattened(
    run: Any, home: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What it wrote would go to a file without a name."""
    printed: list[str] = []
    at(monkeypatch, moment, lambda: printed.append(qemu.refused(qemu.start(home / "data.qcow2"))))
    assert run("domain_disk", disk="data", state="flattened", depth="all")["changed"]
    assert len(printed) == 1 and "Failed to get" in printed[0]
    assert backing(home / "data.qcow2") is None and qemu.refused(qemu.start(home / "data.qcow2")) == ""


def test_a_guest_that_started_since_the_look_keeps_its_disk(run: Any, home: Path) -> None:
    disk = home / "data.qcow2"
    number = disk.stat().st_ino
    with qemu.running(disk):
        failed = run("domain_disk", disk="data", state="flattened", depth="all")
    assert failed["error"]["code"] == "busy" and "domain web" in failed["msg"]
    assert disk.stat().st_ino == number and backing(disk)


def test_no_guest_starts_on_an_overlay_that_is_being_committed(run: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would write to the overlay after its data was copied, and be defined without it."""
    assert run("domain_snapshot", snapshot="a")["changed"]
    printed: list[str] = []
    at(monkeypatch, "commit", lambda: printed.append(qemu.refused(qemu.start(home / "data.a.qcow2"))))
    commit = DiskWriter.commit

    def late(*arguments: Any) -> None:
        """Do so again at the last moment: the data is copied, and the definition still names the overlay."""
        commit(*arguments)
        printed.append(qemu.refused(qemu.start(home / "data.a.qcow2")))

    monkeypatch.setattr(DiskWriter, "commit", late)
    done = run("domain_snapshot", snapshot="a", state="absent")
    assert done["changed"], done
    assert len(printed) == 2 and all("Failed to get" in one for one in printed), printed


def test_the_files_of_a_guest_that_runs_are_not_deleted(run: Any, home: Path, driver: Any) -> None:
    """It started since the look: its domain stays defined too."""
    with qemu.running(home / "data.qcow2"):
        failed = run("domain", state="absent", delete_disks=True)
        assert failed["error"]["code"] == "busy" and "domain web" in failed["msg"]
    assert (home / "data.qcow2").exists() and driver.lookupByName("web")
    assert run("domain", state="absent", delete_disks=True)["changed"] and not home.exists()


def test_an_overlay_that_any_qemu_has_open_stays(run: Any, home: Path) -> None:
    for name in ("a", "b"):
        assert run("domain_snapshot", snapshot=name)["changed"]
    with qemu.running(home / "data.b.qcow2"):
        assert run("domain_snapshot", snapshot="a", state="absent")["error"]["code"] == "busy"
        assert {"data.a.qcow2", "data.b.qcow2"} <= {path.name for path in home.iterdir()}
    done = run("domain_snapshot", snapshot="a", state="absent")
    assert done["changed"], done


@pytest.fixture
def saved(run: Any, home: Path, driver: Any) -> Any:
    """Have ``web`` saved, with a snapshot from before."""
    assert run("domain_snapshot", snapshot="old")["changed"]
    found = driver.lookupByName("web")
    found.create()
    found.managedSave(0)
    assert found.hasManagedSaveImage() and not found.isActive()
    return found


def test_a_saved_domain_keeps_its_disks_as_its_memory_knows_them(run: Any, home: Path, saved: Any) -> None:
    before = {path: path.read_bytes() for path in home.iterdir()}
    definition = saved.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for check in (True, False):
        for module, options in (
            ("domain_snapshot", {"snapshot": "new"}),
            ("domain_snapshot", {"snapshot": "new", "memory": True}),
            ("domain_snapshot", {"snapshot": "old", "state": "absent"}),
            ("domain_snapshot", {"snapshot": "old", "state": "reverted", "allow_restart": True}),
            ("domain_disk", {"disk": "data", "state": "flattened"}),
            ("domain_disk", {"disk": "data", "state": "flattened", "depth": "all"}),
            ("domain", {"state": "saved", "disks": [{"name": "data", "size": "2MiB"}]}),
            ("domain", {"state": "saved", "cloud_init": {"hostname": "web"}}),
            ("domain", {"state": "absent"}),
        ):
            refused = run(module, check=check, **options)
            assert refused["failed"] and refused["error"]["code"] == "refused" and "saved" in refused["msg"], (module, options)
    assert {path: path.read_bytes() for path in home.iterdir()} == before
    assert saved.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == definition and saved.hasManagedSaveImage()


def test_what_a_saved_domain_has_already_is_no_change(run: Any, saved: Any) -> None:
    assert run("domain_snapshot", snapshot="old")["changed"] is False
    assert run("domain_snapshot", snapshot="never", state="absent")["changed"] is False
    assert run("domain", state="saved")["changed"] is False


@pytest.mark.parametrize("word", ["force_stop", "delete_disks"])
def test_a_saved_memory_is_given_up_by_a_word(run: Any, home: Path, saved: Any, driver: Any, word: str) -> None:
    done = run("domain", state="absent", **{word: True})
    assert "Undefine domain web and give up its saved memory" in done["actions"]
    assert not [one for one in driver.listAllDomains() if one.name() == "web"]
    assert (home / "data.qcow2").exists() == (word == "force_stop")


def test_a_domain_that_was_saved_since_the_look_is_seen(run: Any, home: Path, driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = driver.lookupByName("web")
    at(monkeypatch, "create_overlay_on", lambda: (found.create(), found.managedSave(0)))
    failed = run("domain_snapshot", snapshot="late")
    assert failed["error"]["code"] == "busy" and "saved" in failed["msg"]
    assert "data.late.qcow2" not in found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


def test_unlisted_domains_that_are_saved_stay(run: Any, saved: Any, home: Path, driver: Any) -> None:
    refused = run("domains", domains=[{"name": "other", "state": "absent"}], unlisted="absent")
    assert refused["failed"] and "unlisted (web)" in refused["msg"] and "saved" in refused["msg"]
    assert saved.hasManagedSaveImage() and home.exists()
