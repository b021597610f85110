# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new file never takes the place of another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.whole import appearing


def occupy_by_file(path: Path) -> None:
    path.write_text("theirs")


def occupy_by_link(path: Path) -> None:
    path.symlink_to("/nowhere")


@pytest.mark.parametrize("occupy", [occupy_by_file, occupy_by_link, Path.mkdir])
def test_what_appears_meanwhile_is_left_alone(tmp_path: Path, occupy: Callable[[Path], None]) -> None:
    path = tmp_path / "disk.qcow2"
    with pytest.raises(Conflict, match=r"disk.qcow2 was created by another process"), appearing(path) as work:
        work.write_text("ours")
        occupy(path)
    assert [one.name for one in tmp_path.iterdir()] == ["disk.qcow2"]
    assert not path.is_file() or path.read_text() == "theirs"


def test_a_new_file_appears(tmp_path: Path) -> None:
    with appearing(tmp_path / "disk.qcow2") as work:
        work.write_text("ours")
    assert [one.name for one in tmp_path.iterdir()] == ["disk.qcow2"]


def test_a_second_name_replaces_nothing_where_the_file_system_cannot_rename_like_that(tmp_path: Path) -> None:
    work, path = tmp_path / "work", tmp_path / "path"
    work.write_text("ours")
    path.write_text("theirs")
    with pytest.raises(FileExistsError):
        _files.link_new(work, path)
    assert (work.read_text(), path.read_text()) == ("ours", "theirs")
    path.unlink()
    _files.link_new(work, path)
    assert not work.exists()
    assert path.read_text() == "ours"
