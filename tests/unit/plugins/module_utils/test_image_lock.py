# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's locks in our hands, against real QEMUs: none starts while we hold a file, and none that runs loses what it writes."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _image_lock
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, NotFound, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._image_lock import (
    all_unwritten,
    remove_images,
    take_place,
    untouched,
    unwritten,
)
from support import qemu
from support.waiting import LIMIT


def image(path: Path, *below: Path) -> Path:
    over = ["-b", str(below[0]), "-F", "qcow2"] if below else []
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *over, str(path), "1M"], check=True)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return image(tmp_path / "disk.qcow2", image(tmp_path / "base.qcow2"))


def readable(path: Path) -> bool:
    argv = ["qemu-img", "convert", "-O", "raw", str(path), f"{path}.raw"]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_no_guest_starts_on_a_file_that_may_not_be_written(disk: Path, image_format: str) -> None:
    with unwritten(disk):
        assert 'Failed to get "write" lock' in qemu.refused(qemu.start(disk, image_format=image_format))
        assert readable(disk)
    assert qemu.refused(qemu.start(disk, image_format=image_format)) == ""


def test_no_guest_starts_over_a_file_that_may_not_be_touched(disk: Path) -> None:
    with untouched(disk.with_name("base.qcow2")):
        assert 'Failed to get "consistent read" lock' in qemu.refused(qemu.start(disk))
        assert not readable(disk)
    assert readable(disk)


@pytest.mark.parametrize("held", [unwritten, untouched])
def test_a_guest_that_runs_keeps_us_out_and_is_named(disk: Path, held: type) -> None:
    with qemu.running(disk, "shop") as guest:
        with pytest.raises(Busy, match=rf"in use \(domain shop \(process {guest.pid}\)\)") as caught, held(disk, 0):
            pass
        assert caught.value.details["used_by"] == [f"domain shop (process {guest.pid})"]
        with pytest.raises(Busy), untouched(disk.with_name("base.qcow2"), 0):
            pass
    with held(disk):
        pass


def test_who_only_reads_is_waited_for(disk: Path) -> None:
    """Two of us may both keep a file from being written; only one may have it alone, and the other's hold stays as it is."""
    with unwritten(disk) as one:
        with unwritten(disk) as other:
            with pytest.raises(Busy):
                one.deny(_image_lock.PERMISSIONS, 0)
            assert "lock" in qemu.refused(qemu.start(disk)), "the failed attempt let go of what was held"
            assert other.held == one.held
        one.deny(_image_lock.PERMISSIONS, 0)


def test_a_file_takes_the_place_of_one_that_nobody_has_open(disk: Path) -> None:
    new = image(disk.with_name("new.qcow2"))
    number = new.stat().st_ino
    with unwritten(disk) as hold, disk.open("rb"), pytest.raises(Busy, match="in use"):
        take_place(hold, new, 0)
    assert disk.stat().st_ino != number and new.exists()
    with unwritten(disk) as hold:
        take_place(hold, new)
    assert disk.stat().st_ino == number and not new.exists()


def test_a_guest_that_starts_at_the_rename_writes_no_lost_file(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race: QEMU starts after the look, and the file is replaced. It gets no lock of the old one, and none of the new yet."""
    new = image(disk.with_name("new.qcow2"))
    started: list[str] = []
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        started.append(qemu.refused(qemu.start(disk)))
        renamed = rename(path, target)
        started.append(qemu.refused(qemu.start(disk)))
        return renamed

    monkeypatch.setattr(Path, "rename", late)
    with unwritten(disk) as hold:
        take_place(hold, new)
        monkeypatch.undo()
    assert all("Failed to get" in printed for printed in started) and len(started) == 2
    assert qemu.refused(qemu.start(disk)) == ""


def test_who_opened_the_old_file_before_the_rename_is_waited_for(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QEMU that has opened the old file takes its locks only later: we hold ours until it is gone."""
    new, rename, left = image(disk.with_name("new.qcow2")), Path.rename, threading.Event()
    opened: list[int] = []

    def late(path: Path, target: Path) -> Path:
        opened.append(os.open(disk, os.O_RDWR))
        threading.Timer(0.5, leave).start()
        return rename(path, target)

    def leave() -> None:
        left.set()
        os.close(opened[0])

    monkeypatch.setattr(Path, "rename", late)
    with unwritten(disk) as hold:
        take_place(hold, new, LIMIT)
    assert left.is_set()


def test_who_opened_the_old_file_before_the_rename_and_stays_is_told_of(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, rename = image(disk.with_name("new.qcow2")), Path.rename
    number, opened = new.stat().st_ino, []

    def late(path: Path, target: Path) -> Path:
        opened.append(os.open(disk, os.O_RDONLY))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    with unwritten(disk) as hold, pytest.raises(Busy, match=f"{disk} was replaced, but .* still has it"):
        take_place(hold, new, 0.2)
    os.close(opened[0])
    assert disk.stat().st_ino == number


def test_files_are_removed_all_or_none(disk: Path) -> None:
    other = image(disk.with_name("other.qcow2"))
    with qemu.running(disk), pytest.raises(Busy, match="domain web"):
        remove_images([str(other), str(disk)], 0)
    assert other.exists() and disk.exists()
    remove_images([str(other), str(disk), str(disk.with_name("gone.qcow2"))])
    assert not other.exists() and not disk.exists()


def test_a_second_name_of_a_file_that_runs_is_removed(disk: Path) -> None:
    second = disk.with_name("second.qcow2")
    second.hardlink_to(disk)
    with qemu.running(disk):
        remove_images([str(second)], 0)
    assert disk.exists() and not second.exists()


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound), unwritten(tmp_path / "none.qcow2"):
        pass
    with all_unwritten([str(tmp_path / "none.qcow2")]):
        pass
    remove_images([str(tmp_path / "none.qcow2")])


def fails(monkeypatch: pytest.MonkeyPatch, command: int, number: int) -> None:
    """Let the kernel refuse one command of fcntl(2), as some file systems do."""
    original = fcntl.fcntl

    def call(descriptor: int, asked: int, argument: Any = 0) -> Any:
        if asked == command:
            raise OSError(number, os.strerror(number))
        return original(descriptor, asked, argument)

    monkeypatch.setattr(fcntl, "fcntl", call)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(disk: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fails(monkeypatch, fcntl.F_OFD_SETLK, number)
    with pytest.raises(Unsupported, match=r"has no locks .* mount it with locks"):
        remove_images([str(disk)])
    assert disk.exists()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES])
def test_without_leases_the_processes_are_looked_at(disk: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fails(monkeypatch, fcntl.F_SETLEASE, number)
    new = image(disk.with_name("new.qcow2"))
    with disk.open("rb") as opened, subprocess.Popen(["sleep", "600"], stdin=opened) as other:
        opened.close()
        with unwritten(disk) as hold, pytest.raises(Busy, match=rf"sleep \(process {other.pid}\)"):
            take_place(hold, new, 0)
        other.kill()
    with unwritten(disk) as hold:
        take_place(hold, new)
    assert not new.exists()
