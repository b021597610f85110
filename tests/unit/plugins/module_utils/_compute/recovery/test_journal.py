# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a VM's points, and a point that a power cut met between its document and its name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import journal as journals
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.journal import Journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.publish import (
    are_copied,
    copied,
    drop_unfinished,
    empty_work_folder,
    newest_number,
    publish,
    settle,
    settled,
    work_folder,
)
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, Corrupt, Refused, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Disk, File, Generation, Vm, file_name

UUID = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
BEFORE = Journal("edge-point-a", None, "edge-point-b", None, {"vda": ("/vms/web/root.1.qcow2", 7, "/vms/web/root.qcow2")})


def point(file: File) -> Generation:
    disk = Disk("vda", None, 512).begun_again(file, (1, 1), 512)
    return Generation(Vm("web", UUID), 0, 1, "2026-01-01T00:00:00Z", False, False, {}, {}, (disk,))


def made(home: Path) -> Generation:
    work = empty_work_folder(home, "0.1")
    (work / "vda.delta").write_bytes(b"delta")
    return point(settled(work / "vda.delta"))


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert journals.read(tmp_path) == Journal()
    full = replace(BEFORE, last=made(tmp_path), kept={"newer": 1})
    journals.write(tmp_path, full)
    assert journals.read(tmp_path) == full
    assert (tmp_path / journals.NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1, "last": {}, "ready": null, "files": [], "checkpoint": 1, "begun": 2}']
)
def test_a_damaged_journal_is_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / journals.NAME).write_text(text)
    with pytest.raises(Corrupt, match=journals.NAME):
        journals.read(tmp_path)


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / journals.NAME).write_text('{"schema": 2}')
    with pytest.raises(Unsupported):
        journals.read(tmp_path)


def test_a_published_point_has_its_files_and_the_journal_knows_it(tmp_path: Path) -> None:
    generation = made(tmp_path)
    after = publish(tmp_path, BEFORE, generation)
    assert (after.checkpoint, after.begun, after.last, after.ready) == ("edge-point-b", None, generation, None)
    folder = tmp_path / "0.1"
    assert {path.name for path in folder.iterdir()} == {DOCUMENT, file_name(generation.needs[0].digest)}
    assert json.loads((folder / DOCUMENT).read_bytes())["number"] == 1
    assert not work_folder(tmp_path, "0.1").exists()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_power_cut_at_the_rename_leaves_a_point_that_is_finished(tmp_path: Path, renamed: bool) -> None:
    generation = made(tmp_path)
    publish(tmp_path, BEFORE, generation)
    if not renamed:
        (tmp_path / "0.1").rename(work_folder(tmp_path, "0.1"))
    journals.write(tmp_path, replace(BEFORE, ready=generation))
    after = settle(tmp_path, journals.read(tmp_path))
    assert (after.checkpoint, after.last, after.ready) == ("edge-point-b", generation, None)
    assert journals.read(tmp_path) == after
    assert (tmp_path / "0.1" / DOCUMENT).exists()


def test_a_whole_point_that_has_no_name_yet_is_not_taken_for_a_rest(tmp_path: Path) -> None:
    generation = made(tmp_path)
    publish(tmp_path, BEFORE, generation)
    (tmp_path / "0.1").rename(work_folder(tmp_path, "0.1"))
    journals.write(tmp_path, replace(BEFORE, ready=generation))
    empty_rest = work_folder(tmp_path, "0.7")
    empty_rest.mkdir()
    drop_unfinished(tmp_path)
    assert not empty_rest.exists()
    assert settle(tmp_path, journals.read(tmp_path)).checkpoint == "edge-point-b"
    assert (tmp_path / "0.1" / DOCUMENT).exists()


def test_changes_of_a_point_that_is_gone_are_in_the_next(tmp_path: Path) -> None:
    generation = made(tmp_path)
    journals.write(tmp_path, replace(BEFORE, ready=generation))
    after = settle(tmp_path, journals.read(tmp_path))
    assert (after.checkpoint, after.last, after.ready) == (None, generation, None)
    assert journals.read(tmp_path) == after


def test_another_point_of_the_same_name_is_never_taken_for_it(tmp_path: Path) -> None:
    other = made(tmp_path)
    publish(tmp_path, BEFORE, other)
    generation = replace(made(tmp_path), instant="2026-01-02T00:00:00Z")
    with pytest.raises(Conflict, match="another point"):
        publish(tmp_path, BEFORE, generation)
    after = journals.read(tmp_path)
    assert (after.checkpoint, after.last) == (None, generation)
    assert json.loads((tmp_path / "0.1" / DOCUMENT).read_bytes())["instant"] == other.instant


def test_a_lost_journal_leaves_numbers_used(tmp_path: Path) -> None:
    assert newest_number(tmp_path) == 0
    publish(tmp_path, BEFORE, made(tmp_path))
    for name in ("0.12", "1.9", ".0.40.point", "0.x"):
        (tmp_path / name).mkdir()
    assert newest_number(tmp_path) == 12


def test_small_files_are_copied_and_a_change_of_one_is_seen(tmp_path: Path) -> None:
    files = {"nvram": tmp_path / "vars", "tpm": tmp_path / "none"}
    files["nvram"].write_bytes(b"variables")
    work = empty_work_folder(tmp_path, "0.1")
    found = copied(files, work)
    assert list(found) == ["nvram"]
    assert (work / file_name(found["nvram"].digest)).read_bytes() == b"variables"
    assert are_copied(files, found)
    files["tpm"].write_bytes(b"state")
    assert not are_copied(files, found)
    files["tpm"].unlink()
    files["nvram"].write_bytes(b"Variables")
    assert not are_copied(files, found)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: (path.touch(), os.truncate(path, 2**40)),
    ],
)
def test_what_a_program_of_the_guest_puts_in_place_of_its_state_is_not_read(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(tmp_path / "tpm")
    work = empty_work_folder(tmp_path, "0.1")
    with pytest.raises(Refused, match="cannot be in a recovery point"):
        copied({"tpm": tmp_path / "tpm"}, work)
    assert not list(work.iterdir())
