# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a point is due, late and held, as it is noted of each VM."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.progress import Progress
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk, File, Generation, Vm

UUID = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NEW = Progress("web", UUID, START, 300)


def point(number: int, seconds: int = 0, epoch: int = 0) -> Generation:
    instant = f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z"
    disk = Disk("vda", None, 512).begun_again(File("sha256:" + "ab" * 32, 1), (1, number), 512)
    return Generation(Vm("web", UUID), epoch, number, instant, False, False, {}, {}, (disk,))


def test_a_point_is_due_an_interval_after_the_newest_and_at_once_where_there_is_none() -> None:
    assert NEW.is_due(START)
    made = notes.with_last(NEW, point(7, 60))
    assert (made.made, made.current) == ("0.7", START + 60)
    assert not made.is_due(START + 60) and not made.is_due(START + 359)
    assert made.is_due(START + 360)
    assert made.is_due(START), "the clock was set back"


def test_what_the_journal_has_counts_only_where_it_is_newer() -> None:
    looked = notes.with_last(NEW, point(10)).made_at(point(10), START + 900)
    assert notes.with_last(looked, point(9)) == notes.with_last(looked, point(10)) == notes.with_last(looked, None) == looked
    assert notes.with_last(looked, point(1, epoch=1)).made == "1.1"


def test_points_are_late_after_two_intervals_and_a_stopped_vm_in_which_nothing_changes_is_not() -> None:
    assert not NEW.is_breach(START + 600) and NEW.is_breach(START + 601)
    held = NEW.made_at(point(1), 0).holding({"0.1": START}, 2)
    assert (held.safe, held.is_breach(START + 600), held.is_breach(START + 601)) == (START, False, True)
    looked = held.made_at(point(1), START + 900)
    assert looked.safe == START + 900 and not looked.is_breach(START + 1500)
    newer = looked.made_at(point(2, 1200), 0)
    assert newer.safe == START, "the older one that is held has not what changed since"
    assert newer.is_breach(START + 1200)


def test_the_newest_that_are_held_are_remembered_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    held = NEW.holding({"0.10": START + 10, "0.9": START + 9, "0.2": START}, 2)
    assert held.held == (("0.9", START + 9), ("0.10", START + 10))
    assert held.holding({"1.1": START + 11}, 2).held == (("0.10", START + 10), ("1.1", START + 11))
    noted = held.made_at(point(12, 5), 0)
    notes.write(tmp_path / "status", noted)
    assert notes.all_in(tmp_path / "status") == [noted]
    assert (tmp_path / "status" / f"{UUID}.json").stat().st_mode & 0o777 == 0o600
    shown = noted.shown(START)
    assert (shown["newest"], shown["current_at"], shown["held_at"]) == ("0.12", "2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": 1}',
        '{"schema": 2}',
        '{"schema": 1, "held": 5, "made": null, "current": null}',
        '{"schema": 1, "held": [["x", 1]], "made": null, "current": null, "vm": "a", "since": 1, "interval": 60, "error": ""}',
    ],
)
def test_what_cannot_be_read_is_as_if_nothing_was_noted(text: str, tmp_path: Path) -> None:
    (tmp_path / f"{UUID}.json").write_text(text)
    assert notes.read(tmp_path, UUID) is None and notes.all_in(tmp_path) == []
