# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's file is copied out of a real mount, whatever the links and devices of the guest are."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, Corrupt, EdgeError, NoSpace, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._storage.mounting.copy_out import copy_out

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Path]:
    """Have the files of a guest mounted below a folder, with a secret of the host beside them."""
    folder = tmp_path / "shown"
    files = folder / "files"
    files.mkdir(parents=True)
    (tmp_path / "secret").write_text("of the host")
    subprocess.run(["mount", "-t", "tmpfs", "none", files], check=True)
    try:
        (files / "etc").mkdir()
        (files / "etc/motd").write_text("of the guest")
        (files / "etc/release").symlink_to("/etc/motd")
        (files / "secret").symlink_to(tmp_path / "secret")
        (files / "up").symlink_to("../../../../../../../../../.." + str(tmp_path / "secret"))
        (files / "proc").symlink_to("/proc/self/root/etc/hostname")
        (files / "loop").symlink_to("loop")
        os.mkfifo(files / "fifo")
        os.mknod(files / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        with (files / "huge").open("wb") as file:
            file.truncate(2**50)
        yield folder
    finally:
        subprocess.run(["umount", files], check=True)


@pytest.mark.parametrize("name", ["/etc/motd", "etc/motd", "/etc/release", "../../etc/motd", "/etc/../../../etc/release"])
def test_a_file_by_any_of_its_names(shown: Path, tmp_path: Path, name: str) -> None:
    to = tmp_path / "copy"
    assert copy_out(shown, name, to) == len("of the guest")
    assert (to.read_text(), stat.S_IMODE(to.stat().st_mode)) == ("of the guest", 0o600)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("/secret", NotFound),
        ("/up", NotFound),
        ("/proc", NotFound),
        ("/loop", NotFound),
        ("/nothing", NotFound),
        ("/etc/motd\0", NotFound),
        ("/etc", Refused),
        ("/fifo", Refused),
        ("/zero", Refused),
        ("/huge", NoSpace),
    ],
)
def test_nothing_of_the_host_is_copied_and_nothing_that_does_not_end(
    shown: Path, tmp_path: Path, name: str, error: type[EdgeError]
) -> None:
    with pytest.raises(error):
        copy_out(shown, name, tmp_path / "copy")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["secret", "shown"]


def test_what_is_there_stays_and_a_folder_without_files_is_refused(shown: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=r"^to: "):
        copy_out(shown, "/etc/motd", tmp_path / "secret")
    assert (tmp_path / "secret").read_text() == "of the host"
    with pytest.raises(NotFound, match=r"^to: "):
        copy_out(shown, "/etc/motd", tmp_path / "none/copy")
    with pytest.raises(NotFound, match=r"^path: .*with partition first"):
        copy_out(tmp_path, "/secret", tmp_path / "copy")


def test_a_file_of_the_users_beside_the_copy_stays(shown: Path, tmp_path: Path) -> None:
    beside = tmp_path / ".copy.new"
    beside.write_text("of the user")
    copy_out(shown, "/etc/motd", tmp_path / "copy")
    assert beside.read_text() == "of the user"
    assert sorted(one.name for one in tmp_path.iterdir()) == [".copy.new", "copy", "secret", "shown"]


def test_a_name_may_be_as_long_as_the_file_system_takes(shown: Path, tmp_path: Path) -> None:
    to = tmp_path / ("n" * 255)
    assert copy_out(shown, "/etc/motd", to) == to.stat().st_size


def test_a_file_that_gives_more_or_less_than_its_length_is_not_taken_for_whole(tmp_path: Path) -> None:
    """The small VM reads the guest's file system, and may be the guest's by then: the kernel's own such files stand for it."""
    folder = tmp_path / "shown"
    (folder / "files").mkdir(parents=True)
    subprocess.run(["mount", "-t", "sysfs", "-o", "ro", "none", folder / "files"], check=True)
    try:
        with pytest.raises(Corrupt, match=r"^file: '/kernel/mm/transparent_hugepage/enabled' .* has 4096 bytes"):
            copy_out(folder, "/kernel/mm/transparent_hugepage/enabled", tmp_path / "copy")
    finally:
        subprocess.run(["umount", folder / "files"], check=True)
    (folder / "files").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "proc", "none", folder / "files"], check=True)
    try:
        with pytest.raises(Corrupt, match=r"^file: '/version' .* has 0 bytes"):
            copy_out(folder, "/version", tmp_path / "copy")
    finally:
        subprocess.run(["umount", folder / "files"], check=True)
    assert [one.name for one in tmp_path.iterdir()] == ["shown"]
