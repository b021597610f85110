# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of generations are shown by the real qemu-storage-daemon, read-only, and nothing is left of it, also after a kill."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Busy,
    CommandFailed,
    Conflict,
    EdgeError,
    InvalidInput,
    NotFound,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._runner import Runner, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.mounting.holders import holders, mounted
from ansible_collections.edge.cloud.plugins.module_utils._storage.mounting.mount import Mounts, Wanted
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.restore import Restore
from support.images import QEMU
from support.processes import TREE
from support.recovery import UUID, Replica

FUSE = os.geteuid() == 0 and Path("/dev/fuse").exists() and shutil.which("qemu-storage-daemon")
pytestmark = pytest.mark.skipif(not FUSE, reason="needs root, /dev/fuse and qemu-storage-daemon")


@pytest.fixture
def path(tmp_path: Path, replica: Replica) -> Iterator[Path]:
    place = tmp_path / "shown by root"
    yield place
    mounts(replica).unmount(place)
    assert not place.exists()


def mounts(replica: Replica, runner: Runner | None = None) -> Mounts:
    locks = replica.depot.root.parent / "locks"
    return Mounts(Restore(replica.depot, QEMU, replica.machine.images), locks, runner or SubprocessRunner())


def write(raw: Path) -> None:
    descriptor = os.open(raw, os.O_WRONLY)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def wanted(replica: Replica, name: str | None = None, partition: str | None = None) -> Wanted:
    return Wanted(replica.depot.find(UUID, name), ("vda",), partition)


@pytest.mark.parametrize("name", ["0.1", "0.3"])
def test_any_generation_is_a_read_only_file(replica: Replica, path: Path, name: str) -> None:
    assert mounts(replica).mount(wanted(replica, name), path)
    raw = path / "vda.raw"
    assert raw.read_bytes() == replica.machine.contents[name].read_bytes()
    with pytest.raises(OSError, match=r"Permission denied|Read-only|not permitted"):
        write(raw)
    nobody = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "head", "-c1", raw], check=False, capture_output=True)
    assert nobody.returncode != 0
    (shown,) = mounts(replica).content(wanted(replica, name), path)
    assert (shown["disk"], shown["size"], shown["partitions"]) == ("vda", replica.machine.size, [])
    assert not mounts(replica).mount(wanted(replica, name), path)
    assert mounts(replica).unmount(path)
    assert (path.exists(), holders(path), mounts(replica).unmount(path)) == (False, [], False)


def test_files_that_are_shown_stay_while_points_are_merged_and_dropped(replica: Replica, path: Path) -> None:
    before = replica.machine.contents["0.1"].read_bytes()
    mounts(replica).mount(wanted(replica, "0.1"), path)
    report = replica.tidy(keep=2, longest=1)
    assert any("QEMU program has it open" in doubt for doubt in report.doubts)
    assert "0.1" not in replica.names
    with (path / "vda.raw").open("rb") as raw:
        os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert raw.read() == before


def test_another_generation_is_not_shown_over_one(replica: Replica, path: Path) -> None:
    mounts(replica).mount(wanted(replica, "0.1"), path)
    with pytest.raises(Conflict, match=r"^path: .* shows point-.*-0\.1-vda already"):
        mounts(replica).mount(wanted(replica, "0.2"), path)
    assert (path / "vda.raw").read_bytes() == replica.machine.contents["0.1"].read_bytes()


def test_one_that_is_in_use_stays(replica: Replica, path: Path) -> None:
    mounts(replica).mount(wanted(replica), path)
    with (path / "vda.raw").open("rb") as raw:
        with pytest.raises(Busy, match=r"in use"):
            mounts(replica).unmount(path)
        assert raw.read() == replica.machine.contents["0.3"].read_bytes()


def test_a_daemon_that_was_killed_is_cleared_by_another_run(replica: Replica, path: Path) -> None:
    mounts(replica).mount(wanted(replica), path)
    (holder,) = holders(path)
    handle = os.pidfd_open(holder.pid)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    os.close(handle)
    with pytest.raises(OSError) as ended:  # the one from the kernel that is still ending the connection, the other afterwards
        (path / "vda.raw").read_bytes()
    assert ended.value.errno in (errno.ECONNABORTED, errno.ENOTCONN)
    assert mounts(replica).mount(wanted(replica, "0.2"), path)
    assert (path / "vda.raw").read_bytes() == replica.machine.contents["0.2"].read_bytes()


class KilledAt:
    """Runs the program, then ends as by a kill, or before it."""

    def __init__(self, program: str, *, before: bool) -> None:
        self.program, self.before = program, before

    def run(self, argv: Any, **options: Any) -> Any:
        hit = argv[0] == self.program
        if hit and self.before:
            os._exit(9)
        done = SubprocessRunner().run(argv, **options)
        if hit:
            os._exit(9)
        return done


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_was_killed_leaves_nothing_after_umount(replica: Replica, path: Path, before: bool) -> None:
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            mounts(replica, KilledAt("qemu-storage-daemon", before=before)).mount(wanted(replica), path)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert path.exists() and bool(list(mounted(path))) is not before
    mounts(replica).unmount(path)
    assert (path.exists(), list(mounted(path)), holders(path)) == (False, [], [])


def test_what_others_have_there_is_left_alone(replica: Replica, tmp_path: Path) -> None:
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "vda.raw").write_bytes(b"a disk of somebody")
    with pytest.raises(Conflict, match=r"^path: "):
        mounts(replica).mount(wanted(replica), place)
    assert not mounts(replica).unmount(place)
    assert (place / "vda.raw").read_bytes() == b"a disk of somebody"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict, match=r"^path: "):
        mounts(replica).mount(wanted(replica), link)
    assert link.is_symlink()


@pytest.mark.parametrize("partition", ["vdb1", "vda0", "vda1:/,exec", "../etc", "-x", "vg/../lv", "/dev/sda", "vg/-lv"])
def test_a_partition_that_cannot_be(replica: Replica, tmp_path: Path, partition: str) -> None:
    with pytest.raises(InvalidInput, match=r"^partition: "):
        mounts(replica).mount(wanted(replica, partition=partition), tmp_path / "place")
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize(
    ("targets", "partition", "device"),
    [
        (("vda",), "vda1", "/dev/sda1"),
        (("vda", "vdb"), "vdb", "/dev/sdb"),
        ((*(f"vd{chr(97 + number)}" for number in range(26)), "vdaa"), "vdaa12", "/dev/sdaa12"),
        (("vda",), "debian-vg/root", "/dev/debian-vg/root"),
        (("vda",), None, None),
    ],
)
def test_partitions_as_the_small_vm_names_them(
    replica: Replica, targets: tuple[str, ...], partition: str | None, device: str
) -> None:
    assert Wanted(replica.depot.find(UUID), targets, partition).device() == device


class WithoutGuestmount(SubprocessRunner):
    """A host without libguestfs, or whose small VM does not find the partition."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self.program = program

    def _find(self, program: str) -> str:
        return self.program if program == "guestmount" else program


@pytest.mark.parametrize(("program", "error"), [("/no/such/program", Unsupported), ("/bin/false", NotFound)])
def test_files_that_cannot_be_shown_leave_nothing(replica: Replica, path: Path, program: str, error: type[EdgeError]) -> None:
    words = "apt install libguestfs-tools" if error is Unsupported else "Without partition the result lists"
    with pytest.raises(error, match=f"^partition: .*{words}"):
        mounts(replica, WithoutGuestmount(program)).mount(wanted(replica, partition="vda1"), path)
    assert (path.exists(), holders(path)) == (False, [])


def test_a_host_without_a_kernel_for_the_small_vm(replica: Replica, path: Path, tmp_path: Path) -> None:
    program = tmp_path / "guestmount"
    words = "libguestfs: error: /usr/bin/supermin exited with error status 1."  # what guestmount of Debian 13 says then
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Unsupported, match=r"^partition: .* a kernel in /boot"):
        mounts(replica, WithoutGuestmount(str(program))).mount(wanted(replica, partition="vda1"), path)
    assert (path.exists(), holders(path)) == (False, [])


def test_an_image_that_is_not_here_and_a_disk_that_is_not_there(replica: Replica, path: Path) -> None:
    found = replica.depot.find(UUID)
    with pytest.raises(NotFound, match=r"^disk: "):
        mounts(replica).mount(Wanted(found, ("vdb",)), path)
    replica.machine.images.image_path(str(found.disks[0].image)).rename(path.parent / "image")
    try:
        with pytest.raises((NotFound, CommandFailed)):
            mounts(replica).mount(wanted(replica), path)
    finally:
        (path.parent / "image").rename(replica.machine.images.image_path(str(found.disks[0].image)))
    assert (path.exists(), holders(path)) == (False, [])


def test_the_verbs(replica: Replica, path: Path) -> None:
    about = {
        "name": "site", "host": "h1",
        "images": {"root": str(replica.machine.images.root)}, "recovery": {"root": str(replica.depot.root)},
    }  # fmt: skip
    config = path.parent / "cluster.json"
    config.write_text(json.dumps(about))
    program = "from ansible_collections.edge.cloud.plugins.module_utils._host.cli import main; import sys; sys.exit(main())"

    def edge_host(*words: str) -> dict[str, Any]:
        argv = [sys.executable, "-c", program, "--config", str(config), "point", *words]
        done = subprocess.run(argv, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(TREE / "collections")})
        assert done.stdout and b"Traceback" not in done.stderr, done.stderr
        return dict(json.loads(done.stdout))

    shown = edge_host("mount", "--vm", "web", "--generation", "0.2", "--path", str(path))
    assert "msg" not in shown, shown
    assert (shown["changed"], shown["generation"], shown["files"]) == (True, "0.2", None)
    assert Path(shown["disks"][0]["file"]).read_bytes() == replica.machine.contents["0.2"].read_bytes()
    assert edge_host("umount", "--path", str(path)) == {"changed": True, "path": str(path)}
    for words, option in (
        (("mount", "--vm", "web"), "path: "),
        (("mount", "--vm", "web", "--path", "web"), "path: "),
        (("mount", "--vm", "web", "--path", str(replica.depot.root / "here")), "path: "),
        (("mount", "--path", str(path)), "vm: "),
        (("mount", "--vm", "web", "--generation", "9", "--path", str(path)), "generation: "),
        (("mount", "--vm", "web", "--disk", "vdb", "--path", str(path)), "disk: "),
        (("umount",), "path: "),
    ):
        assert edge_host(*words)["msg"].startswith(option), words


@pytest.mark.parametrize(("owner", "mode"), [(65534, 0o755), (0, 0o777), (0, 0o1777), (0, 0o770)])
def test_a_folder_that_others_can_write_is_refused(replica: Replica, tmp_path: Path, owner: int, mode: int) -> None:
    """They could put a link there, by which root would make a file, or cover one of the host's, anywhere."""
    place = tmp_path / "of others"
    place.mkdir()
    os.chown(place, owner, -1)
    place.chmod(mode)
    with pytest.raises(Conflict, match=r"^path: .* can be written by others than root"):
        mounts(replica).mount(wanted(replica), place)
    assert list(place.iterdir()) == [] and not holders(place)


def test_files_of_the_users_stay_where_nothing_was_shown(replica: Replica, tmp_path: Path) -> None:
    place = tmp_path / "of the user"
    (place / "files").mkdir(parents=True)
    for name in ("vda.raw", "notes.raw"):
        (place / name).touch()
    assert not mounts(replica).unmount(place)
    assert sorted(one.name for one in place.iterdir()) == ["files", "notes.raw", "vda.raw"]
    (tmp_path / "empty").mkdir()
    assert not mounts(replica).unmount(tmp_path / "empty")
    assert (tmp_path / "empty").exists()
