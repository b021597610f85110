# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new raw disk: DISK.raw, on record as raw from its start, never probed, never hidden by a new DISK.qcow2."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.source import _Disks
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format, noted_format
from support.compute import DIGEST
from support.hostile import qemu_img, require_records, write_hostile
from support.images import MIB
from support.modules import run_module

URI = "test:///default"
DATA = {"name": "data", "format": "raw", "size": "4MiB"}
KINDS = ("backing file", "json", "data file", "vmdk text")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(*disks: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"uri": URI, "name": "web", "state": "stopped", "disks": list(disks), **options}
        return run_module(capsys, "domain", check=check, **asked)

    return run_domain


@pytest.fixture
def path(folders: Folders) -> Path:
    return Path(folders.vm("web"), "data.raw")


@pytest.fixture
def other(path: Path) -> Path:
    return path.with_suffix(".qcow2")


def sources(driver: Any) -> list[tuple[str | None, str | None]]:
    """Return format and file of the domain's disks."""
    disks = ET.fromstring(driver.lookupByName("web").XMLDesc(0)).iterfind("devices/disk")
    return [(one.find("driver").get("type"), one.find("source").get("file")) for one in disks]  # type: ignore[union-attr]


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def io(path: Path, command: str, form: str = "raw") -> str:
    return subprocess.run(["qemu-io", "-f", form, "-c", command, path], check=True, capture_output=True, text=True).stdout


def test_it_is_made_found_again_grown_kept_and_deleted(run: Any, driver: Any, path: Path) -> None:
    planned = run(DATA, check=True)
    assert not path.exists()
    made = run(DATA)
    assert made["actions"] == planned["actions"]
    assert made["diff"] == planned["diff"]
    assert made["actions"][0] == f"Create {path} (4MiB) as an empty raw disk"
    (shown,) = made["domain"]["disks"]
    assert (shown["path"], shown["format"], shown["size"], shown["backing"]) == (str(path), "raw", 4 * MIB, None)
    assert sources(driver) == [("raw", str(path))]
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (4 * MIB, 0o600)
    assert taken(path) < MIB
    for again in (DATA, {"name": "data", "size": "4MiB"}, {"name": "data"}, {"name": "data", "format": "raw"}):
        assert run(again)["changed"] is False

    io(path, "write -P 7 0 64k")
    assert run({**DATA, "size": "5MiB"})["actions"] == [f"Grow {path} to 5MiB", "Redefine domain web"]
    assert path.stat().st_size == 5 * MIB
    assert "a disk never shrinks" in run(DATA)["msg"]
    run(state="absent")
    assert run({**DATA, "size": "5MiB"}, check=True)["actions"] == ["Define domain web"]
    assert run({**DATA, "size": "6MiB"})["actions"] == [f"Grow {path} to 6MiB", "Define domain web"]
    assert "verification failed" not in io(path, "read -P 7 0 64k")
    run()
    assert path.exists(), "a disk that is taken out keeps its file"
    run(state="absent", delete_disks=True)
    assert not path.parent.exists()


@pytest.mark.parametrize("size", ["1", "1000", "10000001"])
def test_an_odd_size_is_whole_blocks_of_any_disk_and_stays(run: Any, path: Path, size: str) -> None:
    run({**DATA, "size": size})
    assert path.stat().st_size == -(-int(size) // 4096) * 4096
    assert run({**DATA, "size": size})["changed"] is False


def test_it_is_on_record_as_raw(run: Any, path: Path, folders: Folders) -> None:
    require_records(Path(folders.vms))
    run(DATA)
    assert noted_format(path) == "raw"


@pytest.mark.parametrize("way", ["falloc", "full"])
def test_it_can_have_all_its_space(way: str, run: Any, path: Path) -> None:
    run({**DATA, "preallocation": way})
    assert (path.stat().st_size, taken(path)) == (4 * MIB, 4 * MIB)
    assert path.read_bytes() == bytes(4 * MIB)


@pytest.mark.parametrize("kind", KINDS)
def test_its_guest_never_decides_what_it_is(kind: str, run: Any, driver: Any, path: Path, capsys: Any) -> None:
    folders = Folders(str(path.parents[1]))
    run(DATA)
    write_hostile(path, kind)
    content = path.read_bytes()
    assert run(DATA)["changed"] is run({"name": "data"})["changed"] is False
    run({**DATA, "size": "8MiB"})
    assert sources(driver) == [("raw", str(path))]
    (chain,) = [one["chain"] for one in run_module(capsys, "domain_info", uri=URI, name="web")["domains"][0]["disks"]]
    assert [(one["path"], one["format"]) for one in chain] == [(str(path), "raw")]
    root = parse_xml(driver.lookupByName("web").XMLDesc(0))
    (moving,) = _Disks(DiskFiles(SubprocessRunner(), folders), folders, "web").read(root)
    assert [(one.path, one.format, one.backing) for one in moving.overlays] == [(str(path), "raw", None)]
    run(state="absent")
    run({**DATA, "size": "8MiB"})
    assert sources(driver) == [("raw", str(path))]
    assert path.read_bytes()[: len(content)] == content
    out = path.parents[2] / "out.qcow2"
    run_module(capsys, "domain_disk", uri=URI, name="web", disk="data", state="exported", dest=str(out))
    qemu_img("compare", "-f", "raw", "-F", "qcow2", path, out)


@pytest.mark.parametrize("kind", KINDS)
def test_snapshots_of_it_are_overlays_on_it(kind: str, run: Any, driver: Any, path: Path, capsys: Any) -> None:
    run(DATA)
    write_hostile(path, kind)
    before = path.read_bytes()

    def snapshot(**options: Any) -> dict[str, Any]:
        return run_module(capsys, "domain_snapshot", uri=URI, name="web", snapshot="a", **options)

    assert snapshot()["changed"]
    overlay = path.with_name("data.a.qcow2")
    assert sources(driver) == [("qcow2", str(overlay))]
    assert run(DATA)["changed"] is False
    io(overlay, "write -P 9 1M 64k", "qcow2")
    assert run({**DATA, "size": "8MiB"})["actions"][0] == f"Grow {overlay} to 8MiB"
    run(state="absent")
    assert run({**DATA, "size": "8MiB"})["actions"] == ["Define domain web"], "kept with its overlay"
    assert sources(driver) == [("qcow2", str(overlay))]
    assert path.read_bytes() == before
    assert snapshot(state="reverted")["changed"]
    assert path.read_bytes() == before
    assert snapshot(state="absent")["changed"]
    flat = run_module(capsys, "domain_disk", uri=URI, name="web", disk="data", state="flattened", depth="all")
    assert flat["disk"]["chain"] == [str(path)]
    assert sources(driver) == [("raw", str(path))]
    assert path.read_bytes()[: len(before)] == before


def test_what_was_kept_is_never_hidden_by_a_new_disk(run: Any, path: Path, other: Path) -> None:
    run(DATA)
    run(state="absent")
    for asked in ({"name": "data", "size": "4MiB"}, {**DATA, "format": "qcow2"}, {"name": "data", "image": DIGEST}):
        for check in (True, False):
            refused = run(asked, check=check)
            assert refused["error"]["code"] == "conflict", refused
            assert refused["msg"].startswith(f"disks[0]: {path} is there, and ")
            assert "Give format: raw" in refused["msg"]
    assert [one.name for one in path.parent.iterdir()] == ["data.raw"]
    qemu_img("create", "-q", "-f", "qcow2", other, "4M")
    for asked in (DATA, {"name": "data", "size": "4MiB"}):
        assert f"disks[0]: {other} and {path} are both there" in run(asked)["msg"]
    path.unlink()
    refused = run(DATA)
    assert refused["msg"].startswith(f"disks[0]: {other} is there, and raw was asked"), refused
    assert run({"name": "data", "size": "4MiB"})["changed"]


def test_an_overlay_that_was_kept_stands_on_the_file_of_its_disk(run: Any, path: Path, other: Path, capsys: Any) -> None:
    run(DATA)
    run_module(capsys, "domain_snapshot", uri=URI, name="web", snapshot="a")
    run(state="absent")
    path.rename(path.with_suffix(".away"))
    for asked in (DATA, {"name": "data", "size": "4MiB"}):
        refused = run(asked)
        assert refused["error"]["code"] == "conflict", refused
        assert f"the file below it, {path}, is gone, or is not the disk's file" in refused["msg"]
    assert not path.exists() and not other.exists()


def test_the_record_counts_more_than_the_name(run: Any, path: Path, other: Path) -> None:
    """A raw disk that somebody renamed would be read by what its guest wrote into it."""
    path.parent.mkdir()
    require_records(path.parent)
    path.write_bytes(bytes(4 * MIB))
    write_hostile(path, "backing file")
    note_format(path, "raw")
    path.rename(other)
    refused = run({"name": "data", "size": "4MiB"})
    assert refused["msg"].startswith(f"disks[0]: {other} is on record as raw, whatever its name says"), refused
    assert run({"name": "data", "path": str(other), "format": "raw"})["changed"]


def test_a_disk_never_changes_its_format(run: Any, path: Path) -> None:
    run(DATA)
    for asked in ({**DATA, "format": "qcow2"}, {"name": "data", "format": "qcow2"}):
        refused = run(asked)
        assert refused["msg"].startswith(f"disks[0].format: disk data is raw ({path}), qcow2 was asked"), refused
    run(state="absent", delete_disks=True)
    run({"name": "data", "size": "4MiB"})
    for asked in (DATA, {"name": "data", "format": "raw"}):
        assert run(asked)["error"]["code"] == "refused"


def test_a_disk_of_an_image_is_an_overlay(run: Any, path: Path) -> None:
    refused = run({"name": "data", "image": DIGEST, "format": "raw"})
    assert refused["msg"].startswith("disks[0].format: raw was asked of a disk of an image")
    assert not path.parent.exists()


def test_a_file_that_is_given_by_path_is_not_deleted_for_its_name(run: Any, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(bytes(MIB))
    given = {"name": "data", "path": str(path), "format": "raw"}
    run(given)
    run(state="absent", delete_disks=True)
    assert path.exists()
    assert run({**DATA, "name": "new"}, given)["changed"]
