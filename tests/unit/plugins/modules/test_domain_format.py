# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that writes a header into its raw disk decides nothing: not what the disk is, nor who uses it or an image."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.source import _Disks
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qcow2 import read_header
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.references import references
from support.hostile import HOSTILE, SIZE, over, qemu_img, require_records, without_backing_format, write_hostile
from support.images import cached
from support.modules import run_module

URI = "test:///default"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(name: str, *disks: dict[str, Any], **options: Any) -> dict[str, Any]:
        return run_module(capsys, "domain", **{"uri": URI, "name": name, "state": "stopped", "disks": list(disks), **options})

    return run_domain


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "data.raw"
    path.write_bytes(bytes(SIZE))
    return path


def formats(driver: Any, name: str) -> list[tuple[str | None, str | None]]:
    """Return type and driver type of the disks of a domain."""
    disks = ET.fromstring(driver.lookupByName(name).XMLDesc(0)).iterfind("devices/disk")
    return [(disk.get("type"), getattr(disk.find("driver"), "attrib", {}).get("type")) for disk in disks]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_raw_disk_stays_raw_whatever_its_guest_writes(kind: str, run: Any, driver: Any, raw: Path, folders: Folders) -> None:
    disk = {"name": "data", "path": str(raw)}
    run("giver", disk)
    write_hostile(raw, kind)
    assert run("giver", disk)["changed"] is run("giver", {**disk, "format": "raw"})["changed"] is False
    assert run("giver", disk, memory="65MiB")["domain"]["disks"][0]["backing"] is None
    assert formats(driver, "giver") == [("file", "raw")]
    assert run("giver")["changed"] is True
    for refused in (run("taker", disk), run("giver", disk)):
        assert refused["error"]["code"] == "refused"
        assert refused["msg"].startswith(f"disks[0].path: {raw} has no known format: it begins as ")
    assert run("taker", {**disk, "format": "raw"})["domain"]["disks"][0]["format"] == "raw"
    assert formats(driver, "taker") == [("file", "raw")]


@pytest.mark.parametrize("way", ["symlink_to", "hardlink_to"])
def test_what_another_domain_uses_raw_is_raw_by_any_name(way: str, run: Any, driver: Any, raw: Path, tmp_path: Path) -> None:
    shared = {"name": "data", "path": str(raw), "read_only": True}
    run("giver", shared)
    write_hostile(raw, "backing file")
    name = tmp_path / "other-name"
    getattr(name, way)(raw)
    taken = run("taker", {**shared, "path": str(name)})
    assert taken["domain"]["disks"][0]["format"] == "raw"
    assert formats(driver, "taker") == [("file", "raw")]


def test_a_foreign_domain_without_a_format_has_a_raw_disk(run: Any, driver: Any, raw: Path) -> None:
    """libvirt itself takes a disk without a driver for raw."""
    write_hostile(raw, "backing file")
    driver.defineXML(
        f"<domain type='test'><name>old</name><memory>65536</memory><os><type>hvm</type></os><devices>"
        f"<disk type='file'><source file='{raw}'/><target dev='vda'/></disk></devices></domain>"
    )
    secret = raw.with_name("secret")
    assert run("taker", {"name": "data", "path": str(secret)})["changed"] is True  # the guest's words make no user of it
    adopted = run("old", {"name": "vda", "path": str(raw)}, adopt=True)
    assert adopted["domain"]["disks"][0]["format"] == "raw"


def test_a_said_format_is_believed(run: Any, driver: Any, tmp_path: Path) -> None:
    base, top = tmp_path / "base", tmp_path / "top.qcow2"
    base.write_bytes(bytes(SIZE))
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top)
    said = run("web", {"name": "data", "path": str(top), "format": "qcow2"})
    assert said["domain"]["disks"][0]["backing"] == str(base)
    assert formats(driver, "web") == [("file", "qcow2")]
    assert run("web", {"name": "data", "path": str(top)})["changed"] is False
    assert run("web", {"name": "data", "path": str(top), "format": "raw"})["domain"]["disks"][0]["format"] == "raw"
    wrong = run("other", {"name": "data", "path": str(base), "format": "qcow2"})
    assert wrong["msg"].startswith(f"disks[0].format: {base} is not qcow2")


def test_another_path_brings_its_own_format(run: Any, raw: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", alone, "1M")
    run("web", {"name": "data", "path": str(raw)})
    other = run("web", {"name": "data", "path": str(alone)})
    assert other["domain"]["disks"][0]["format"] == "qcow2"
    assert run("web", {"name": "data", "path": str(raw)})["domain"]["disks"][0]["format"] == "raw"
    assert run("web", {"name": "data", "size": "1MiB"})["domain"]["disks"][0]["format"] == "qcow2"


def test_a_disk_that_was_made_here_is_known_after_its_domain(run: Any, driver: Any, folders: Folders, tmp_path: Path) -> None:
    require_records(tmp_path)
    digest = cached(Path(folders.images))
    run("web", {"name": "root", "image": digest})
    run("web", state="absent")
    again = run("other", {"name": "data", "path": str(Path(folders.vm("web"), "root.qcow2"))})
    assert again["domain"]["disks"][0]["backing"] == folders.image(digest)
    assert formats(driver, "other") == [("file", "qcow2")]


def test_an_overlay_that_does_not_say_what_it_stands_on_is_refused(run: Any, raw: Path, tmp_path: Path) -> None:
    top = tmp_path / "top.qcow2"
    top.write_bytes(without_backing_format(over(top, str(raw))))
    refused = run("web", {"name": "data", "path": str(top), "format": "qcow2"})
    assert f"qemu-img rebase -u -f qcow2 -b {raw} -F FORMAT {top}" in refused["msg"]
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", raw, "-F", "raw", top)
    assert run("web", {"name": "data", "path": str(top), "format": "qcow2"})["changed"] is True


@pytest.mark.parametrize("kind", ["backing file", "broken header", "json", "data file"])
def test_a_guest_makes_no_users_of_images_and_blocks_no_collection(kind: str, run: Any, folders: Folders, tmp_path: Path) -> None:
    require_records(tmp_path)
    home = Path(folders.vms, "guest")
    home.mkdir()
    raw = home / "data.raw"
    raw.write_bytes(bytes(SIZE))
    run("guest", {"name": "data", "path": str(raw)})
    secret = write_hostile(raw, kind)
    for left in (secret, raw.with_name("work"), secret.with_name("secret.new")):
        if left != secret:
            left.unlink(missing_ok=True)
    found = references([Path(folders.vms)])
    assert (found.users_of(secret), found.doubtful) == ([], {})
    run("guest", state="absent")
    assert references([Path(folders.vms)]).users_of(secret) == []
    run("guest", {"name": "data", "path": str(raw), "format": "qcow2"} if kind == "backing file" else {"name": "x", "size": "1MiB"})
    assert references([Path(folders.vms)]).users_of(secret) == ([str(raw)] if kind == "backing file" else [])


def test_snapshots_and_exports_over_a_raw_disk_read_it_raw(
    run: Any, driver: Any, folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk in the VM's folder, so that it may move too, and the snapshot while and after the guest's header is there."""
    home = Path(folders.vm("web"))
    home.mkdir()
    raw, dest = home / "data.raw", tmp_path / "copy.qcow2"
    raw.write_bytes(bytes(SIZE))
    disk = {"name": "data", "path": str(raw)}
    run("web", disk)
    write_hostile(raw, "backing file")
    asked = {"uri": URI, "name": "web", "snapshot": "a"}
    assert run_module(capsys, "domain_snapshot", **asked)["changed"]
    overlay = home / "data.a.qcow2"
    assert read_header(overlay).backing_format == "raw"
    (moving,) = read_moving(driver, folders)
    assert [(one.path, one.format, one.backing_format) for one in moving.overlays] == [
        (str(overlay), "qcow2", "raw"),
        (str(raw), "raw", None),
    ]
    exported = run_module(capsys, "domain_disk", uri=URI, name="web", disk="data", state="exported", dest=str(dest))
    assert exported["changed"] and read_header(dest).virtual_size == SIZE
    assert "verification failed" not in io(dest, "read -P 0x51 0 1"), "the first byte of the guest's header"
    run("web", {"name": "other", "size": "1MiB"})  # the raw disk is detached, its snapshot stays
    assert run_module(capsys, "domain_snapshot", **{**asked, "snapshot": "b"})["changed"]
    assert run_module(capsys, "domain_snapshot", **{**asked, "snapshot": "b", "state": "absent"})["changed"]


def read_moving(driver: Any, folders: Folders) -> Any:
    root = parse_xml(driver.lookupByName("web").XMLDesc(0))
    return _Disks(DiskFiles(SubprocessRunner(), folders), folders, "web").read(root)


def io(path: Path, command: str) -> str:
    return subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """Return a block device of this host, 4 MiB of zeroes."""
    backing = tmp_path / "device"
    backing.write_bytes(bytes(SIZE))
    if shutil.which("losetup") is None or os.geteuid():
        pytest.skip("a loop device needs losetup and root")
    done = subprocess.run(["losetup", "--find", "--show", backing], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@pytest.mark.parametrize("linked", [False, True])
def test_a_block_device_is_a_disk_of_that_type_also_after_a_snapshot(
    *, linked: bool, run: Any, driver: Any, device: str, folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logical volumes are links: the overlay's header and the domain have the same name for it."""
    path = tmp_path / "volume" if linked else Path(device)
    if linked:
        path.symlink_to(device)
    disk = {"name": "data", "path": str(path)}
    assert run("web", disk)["domain"]["disks"][0]["path"] == str(path)
    assert formats(driver, "web") == [("block", "raw")]
    asked = {"uri": URI, "name": "web", "snapshot": "a"}
    run_module(capsys, "domain_snapshot", **asked)
    assert formats(driver, "web") == [("file", "qcow2")]
    assert run("web", disk)["changed"] is False
    run_module(capsys, "domain_snapshot", **asked, state="absent")
    assert formats(driver, "web") == [("block", "raw")]
    assert run("web", disk)["changed"] is False
    assert list(Path(folders.vm("web")).glob("*.qcow2")) == []
    assert run("web", {"name": "data", "size": "1MiB"})["changed"]
    assert formats(driver, "web") == [("file", "qcow2")]
