# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that QEMU would not open, or not a second time, are refused before anything is made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.modules import run_module

FLAWS = {"locked": (32, (2).to_bytes(4, "big")), "broken": (72, (2).to_bytes(8, "big"))}
"""Where a header says that its file is encrypted by LUKS, and that it is corrupt."""
DISK = """<domain type='test'><name>theirs</name><memory>65536</memory><os><type>hvm</type></os><devices><disk type='file'>
<driver type='qcow2'/><source file='{}'/><target dev='vda'/>{}</disk></devices></domain>"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(name: str, *disks: dict[str, Any]) -> dict[str, Any]:
        options = {"uri": "test:///default", "name": name, "state": "stopped", "memory": "64MiB", "disks": list(disks)}
        return run_module(capsys, "domain", **options)

    return run_domain


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, "8M"], check=True)
    return path


def disk(path: Path, name: str = "a", **options: Any) -> dict[str, Any]:
    return {"name": name, "path": str(path), "format": "qcow2", **options}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A disk, and one that stands on it."""
    below = qcow2(tmp_path / "below.qcow2")
    return below, qcow2(tmp_path / "above.qcow2", "-b", str(below), "-F", "qcow2")


def test_no_disk_of_a_vm_stands_on_another_that_it_writes(run: Any, pair: tuple[Path, Path], folders: Folders) -> None:
    below, above = pair
    for disks in ((disk(below, "a"), disk(above, "b")), (disk(above, "a"), disk(below, "b"))):
        failed = run("web", *disks)
        assert failed["error"]["code"] == "conflict" and f"{above} stands on {below}, which disk " in failed["msg"], failed
    assert list(Path(folders.vms).iterdir()) == []
    assert run("web", disk(below, "a", read_only=True), disk(above, "b"))["changed"]


def test_nor_does_one_that_is_added_later(run: Any, pair: tuple[Path, Path]) -> None:
    below, above = pair
    assert run("web", disk(above))["changed"]
    assert run("web", disk(above), disk(below, "b"))["error"]["code"] == "conflict"
    assert run("web", disk(above))["changed"] is False


def test_no_disk_stands_on_one_that_another_vm_writes(run: Any, pair: tuple[Path, Path]) -> None:
    below, above = pair
    assert run("web", disk(below))["changed"]
    for options in ({}, {"read_only": True}):
        failed = run("db", disk(above, **options))
        assert failed["msg"].startswith(f"disks[0].path: {above} stands on {below}, which disk vda of domain web writes"), failed
    os.link(below, below.with_name("hard.qcow2"))
    other = qcow2(below.with_name("other.qcow2"), "-b", str(below.with_name("hard.qcow2")), "-F", "qcow2")
    assert run("db", disk(other))["error"]["code"] == "conflict"


def test_a_chain_with_a_gap_is_refused(run: Any, pair: tuple[Path, Path]) -> None:
    below, above = pair
    below.unlink()
    failed = run("web", disk(above))
    assert failed["error"]["code"] == "not_found" and failed["msg"].startswith(f"disks[0].path: {above} stands on {below}, which")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_disk_that_others_share_is_theirs(run: Any, driver: Any, tmp_path: Path, read_only: bool) -> None:
    path = qcow2(tmp_path / "shared.qcow2")
    driver.defineXML(DISK.format(path, "<shareable/>"))
    assert run("web", disk(path, read_only=read_only))["error"]["used_by"] == "theirs"


def test_two_vms_read_one_file(run: Any, driver: Any, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "iso.qcow2")
    driver.defineXML(DISK.format(path, "<readonly/>"))
    assert run("web", disk(path, read_only=True))["changed"]
    assert run("db", disk(path))["error"]["code"] == "conflict"


def test_a_qcow2_that_needs_a_key_or_repair(run: Any, tmp_path: Path) -> None:
    locked, broken = (qcow2(tmp_path / f"{flaw}.qcow2") for flaw in FLAWS)
    for flaw, (place, value) in FLAWS.items():
        with (tmp_path / f"{flaw}.qcow2").open("r+b") as file:
            file.seek(place)
            file.write(value)
    for path, options, says in (
        (locked, {}, "is encrypted"),
        (locked, {"read_only": True}, "is encrypted"),
        (broken, {}, "corrupt"),
    ):
        failed = run("web", disk(path, **options))
        assert failed["error"]["code"] == "unsupported" and says in failed["msg"] and failed["error"]["option"] == "disks[0].path"
    assert run("web", disk(broken, read_only=True))["changed"]


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a read-only file system")
    folder = tmp_path / "fixed"
    folder.mkdir()
    qcow2(folder / "disk.qcow2")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_file_that_nobody_can_write(run: Any, read_only_folder: Path) -> None:
    path = read_only_folder / "disk.qcow2"
    failed = run("web", disk(path))
    assert failed["msg"].startswith(f"disks[0].path: {path} cannot be written on this host"), failed
    assert run("web", disk(path, read_only=True))["changed"]
