# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file's format is not what its guest writes into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Refused
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import (
    detect_format,
    note_format,
    noted_format,
    probed,
)
from support.hostile import HOSTILE, SIZE, qemu_img, require_records, write_hostile


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_may_name_other_files_is_refused_and_told_how_to_go_on(kind: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    write_hostile(disk, kind)
    with pytest.raises(Refused, match=r"no known format: it begins as .*Give format: raw .*or format: qcow2"):
        detect_format(disk)
    with pytest.raises(Refused, match="Give backing_format: raw"):
        detect_format(disk, "backing_format")


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_record_of_raw_does_not_make_it_pass_unnoticed(kind: str, tmp_path: Path) -> None:
    require_records(tmp_path)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(SIZE))
    note_format(disk, "raw")
    write_hostile(disk, kind)
    with pytest.raises(Refused):
        detect_format(disk)


def test_what_names_no_other_file_is_taken(tmp_path: Path) -> None:
    plain, text, empty, alone = (tmp_path / name for name in ("plain", "text", "empty", "alone.qcow2"))
    plain.write_bytes(bytes(SIZE))
    text.write_bytes(b"# a comment\nand a line\n")
    empty.touch()
    qemu_img("create", "-q", "-f", "qcow2", alone, "1M")
    assert [detect_format(path) for path in (plain, text, empty, alone)] == ["raw", "raw", "raw", "qcow2"]


def test_the_record_stays_with_the_file_whatever_its_name(tmp_path: Path) -> None:
    require_records(tmp_path)
    base, made, raw = (tmp_path / name for name in ("base.qcow2", "made.qcow2", "disk.raw"))
    qemu_img("create", "-q", "-f", "qcow2", base, "1M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", made)
    with pytest.raises(Refused):
        detect_format(made)
    note_format(made, "qcow2")
    os.link(made, tmp_path / "link")
    made.rename(tmp_path / "moved")
    (tmp_path / "symlink").symlink_to("moved")
    assert {detect_format(tmp_path / name) for name in ("link", "moved", "symlink")} == {"qcow2"}
    qemu_img("create", "-q", "-f", "qcow2", raw, "1M")
    note_format(raw, "raw")
    assert (probed(raw).format, detect_format(raw)) == ("qcow2", "raw")


def test_a_record_that_is_none_of_ours_is_none(tmp_path: Path) -> None:
    require_records(tmp_path)
    disk = tmp_path / "disk"
    disk.touch()
    note_format(disk, "vmdk")
    assert noted_format(disk) is None
    assert noted_format(tmp_path / "gone") is None
    note_format(tmp_path / "gone", "raw")  # a record that cannot be kept is not an error
