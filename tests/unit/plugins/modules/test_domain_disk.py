# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on a stopped VM of libvirt's own test driver, with real qemu-img: what is in the files is what counts."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.modules import domain_disk
from support.modules import run_module
from support.waiting import LIMIT

URI = "test:///default"
MIB = 2**20


@pytest.fixture
def folders(folders: Folders, tmp_path: Path) -> Folders:
    """Have a folder for copies, too."""
    (tmp_path / "out").mkdir()
    return folders


@pytest.fixture
def driver() -> Iterator[Any]:
    connection = libvirt.open(URI)
    yield connection
    for found in connection.listAllDomains():
        if found.name() != "test":
            found.undefine()
    connection.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return an image with the pattern 1 in its first 64 KiB, that no store knows."""
    made = tmp_path / "base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", str(made), "1M")
    io(made, "write -P 1 0 64k")
    return made


@pytest.fixture
def home(folders: Folders, driver: Any, base: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a stopped VM ``web`` whose disk is an overlay of ``base`` with two overlays of other tools over it."""
    options = {"name": "web", "state": "stopped", "memory": "64MiB", "disks": [{"name": "data", "size": "1MiB"}]}
    assert run_module(capsys, "domain", uri=URI, **options)["changed"]
    found = Path(folders.vm("web"))
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(found / "data.qcow2"))
    io(found / "data.qcow2", "write -P 2 64k 64k")
    overlay(driver, found, "data", "alien")
    io(found / "data.alien.qcow2", "write -P 9 128k 64k")
    overlay(driver, found, "data.alien", "foreign")
    io(found / "data.foreign.qcow2", "write -P 3 128k 64k")
    return found


def overlay(driver: Any, home: Path, below: str, name: str) -> None:
    """Put an overlay over the disk as others would."""
    old, new = home / f"{below}.qcow2", home / f"data.{name}.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(old), str(new))
    found = driver.lookupByName("web")
    driver.defineXML(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(f"{old}'", f"{new}'"))


def qemu_img(*argv: str) -> str:
    return subprocess.run(["qemu-img", *argv], check=True, capture_output=True, text=True).stdout


def io(path: Path, command: str) -> str:
    return subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], check=True, capture_output=True, text=True).stdout


def whole(path: Path) -> bool:
    reads = ("read -P 1 0 64k", "read -P 2 64k 64k", "read -P 3 128k 64k", "read -P 0 192k 832k")
    return not any("verification failed" in io(path, one) for one in reads)


def backing(path: Path) -> str | None:
    found: str | None = json.loads(qemu_img("info", "--output=json", str(path))).get("backing-filename")
    return found


@pytest.fixture
def disk(capsys: pytest.CaptureFixture[str], home: Path) -> Any:
    def run(*, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(capsys, "domain_disk", check=check, uri=URI, **{"name": "web", "disk": "data", "timeout": 300, **options})

    return run


def test_bad_arguments(capsys: pytest.CaptureFixture[str], disk: Any) -> None:
    assert "missing required arguments: disk, name, state" in run_module(capsys, "domain_disk")["msg"]
    assert "dest" in disk(state="exported")["msg"]
    missing = disk(state="flattened", disk="more")
    assert missing["error"]["code"] == "not_found" and missing["msg"].startswith("disk: ") and "there: data" in missing["msg"]
    assert disk(state="flattened", name="none")["error"]["code"] == "not_found"
    assert disk(state="flattened", bandwidth="much")["msg"].startswith("bandwidth: ")


def test_flattened_onto_its_image_and_then_alone(disk: Any, home: Path, base: Path) -> None:
    own = home / "data.qcow2"
    planned = disk(state="flattened", check=True)
    assert planned["changed"] and (home / "data.alien.qcow2").exists()
    done = disk(state="flattened")
    assert (done["actions"], done["diff"], done["disk"]) == (planned["actions"], planned["diff"], planned["disk"])
    assert done["disk"]["chain"] == [str(own), str(base)] and done["disk"]["active"] == str(own)
    assert disk(state="flattened")["changed"] is False
    assert [path.name for path in home.glob("*.qcow2")] == ["data.qcow2"] and whole(own)

    mode, planned = own.stat().st_mode, disk(state="flattened", depth="all", check=True)
    assert backing(own) == str(base)
    done = disk(state="flattened", depth="all")
    assert (done["actions"], done["diff"], done["disk"]) == (planned["actions"], planned["diff"], planned["disk"])
    assert len(done["actions"]) == 1 and done["disk"]["chain"] == [str(own)] and own.stat().st_mode == mode
    assert disk(state="flattened", depth="all")["changed"] is False
    base.unlink()
    assert backing(own) is None and whole(own) and not list(home.glob(".*"))


def test_all_at_once(disk: Any, home: Path, base: Path) -> None:
    assert disk(state="flattened", depth="all")["disk"]["chain"] == [str(home / "data.qcow2")]
    base.unlink()
    assert whole(home / "data.qcow2")


def test_a_merge_that_was_cut_off_is_finished(disk: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(domain_disk.DiskWriter, "commit", _dies)
        assert "power" in disk(state="flattened")["msg"]
        assert {path.name for path in home.glob("*.qcow2")} == {"data.qcow2", "data.alien.qcow2", "data.foreign.qcow2"}
    left = disk(state="flattened", check=True)
    assert not left["failed"], left
    assert left["diff"]["before"]["interrupted"] == "commit"
    assert disk(state="flattened")["disk"]["interrupted"] is None
    assert disk(state="flattened")["changed"] is False and whole(home / "data.qcow2")


def _dies(*_arguments: Any) -> None:
    raise OSError("power cut")


def test_what_a_snapshot_or_another_disk_needs_stays(
    disk: Any, home: Path, driver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_module(capsys, "domain_snapshot", uri=URI, name="web", snapshot="precious")["changed"]
    before = {path: path.read_bytes() for path in home.glob("*.qcow2")}
    refused = disk(state="flattened", depth="all")
    assert refused["error"]["code"] == "refused" and refused["error"]["snapshots"] == ["precious"]
    assert {path: path.read_bytes() for path in home.glob("*.qcow2")} == before
    run_module(capsys, "domain_snapshot", uri=URI, name="web", snapshot="precious", state="absent")

    other = home.parent / "other"
    other.mkdir()
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(home / "data.qcow2"), str(other / "x.qcow2"))
    busy = disk(state="flattened", check=True)
    assert busy["error"]["code"] == "busy" and str(other / "x.qcow2") in busy["msg"]


def test_exported(disk: Any, home: Path, tmp_path: Path, base: Path) -> None:
    dest = tmp_path / "out/copy.qcow2"
    planned = disk(state="exported", dest=str(dest), check=True)
    assert planned["changed"] and not dest.exists()
    done = disk(state="exported", dest=str(dest))
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
    assert done["disk"]["exported"] == {"path": str(dest), "format": "qcow2", "virtual_size": MIB, "quiesced": False}
    assert disk(state="exported", dest=str(dest))["changed"] is False
    small = tmp_path / "out/small.qcow2"
    assert disk(state="exported", dest=str(small), compress=True)["changed"]
    assert small.stat().st_size < dest.stat().st_size
    assert {path.name for path in dest.parent.iterdir()} == {"copy.qcow2", "small.qcow2"}
    base.unlink()
    assert whole(dest) and whole(small) and backing(dest) is None


def test_nothing_else_is_overwritten(disk: Any, home: Path, tmp_path: Path, base: Path) -> None:
    for name, make in (
        ("raw.qcow2", lambda path: path.write_bytes(b"precious")),
        ("large.qcow2", lambda path: qemu_img("create", "-f", "qcow2", str(path), "2M")),
        ("over.qcow2", lambda path: qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(path))),
    ):
        path = tmp_path / "out" / name
        make(path)
        before = path.read_bytes()
        refused = disk(state="exported", dest=str(path))
        assert refused["error"]["code"] == "conflict" and refused["msg"].startswith("dest: ") and path.read_bytes() == before
    for path in (home / "data.copy.qcow2", Path("relative.qcow2"), tmp_path / "out/copy.img", tmp_path / "out/../vms/x.qcow2"):
        assert disk(state="exported", dest=str(path))["msg"].startswith("dest: ")
    assert disk(state="exported", dest=str(tmp_path / "nowhere/x.qcow2"))["error"]["code"] == "not_found"


def test_one_task_at_a_time(disk: Any, home: Path, folders: Folders, tmp_path: Path) -> None:
    """Another task that works on the VM is waited for, for the time limit."""
    dest = str(tmp_path / "out/copy.qcow2")
    with vm_lock(folders.lock("web"), "web", 0):
        for options in ({"state": "flattened"}, {"state": "exported", "dest": dest}):
            assert disk(timeout=1, **options)["error"]["code"] == "busy"
        assert disk(state="flattened", check=True)["changed"]
    assert (home / "data.alien.qcow2").exists() and not Path(dest).exists()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with vm_lock(folders.lock("web"), "web", 0):
            held.set()
            free.wait(LIMIT)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(LIMIT)
    threading.Timer(0.3, free.set).start()
    assert disk(state="flattened", timeout=300)["changed"]
    other.join()
