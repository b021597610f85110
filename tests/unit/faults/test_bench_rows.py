# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bench fails by a goal that is missed, unless the miss is known and did not become clearly worse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import known_misses
import pytest
import report
import support.report
from edge_lab.command import LabError

AT_MOST, AT_LEAST = report.Goal(bound=0.5), report.Goal(bound=0.9, at_least=True)
SECONDS = report.Goal("ours", 0.1, "s")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support.report, "TREE", tmp_path)
    known: dict[known_misses.Key, float] = {("at most", "time", "x"): 0.6, ("at least", "time", "x"): 0.7, ("s", "time", "x"): 0.2}
    monkeypatch.setattr(report, "KNOWN", known)


def row(case: str, ours: float, goal: report.Goal, other: float = 1.0) -> report.Row:
    return report.row(case, "time", "s", ours, other, other_name="x", goal=goal)


@pytest.mark.parametrize(
    ("goal", "text", "met", "missed"),
    [
        (AT_MOST, "ratio <= 0.5", 0.5, 0.51),
        (AT_LEAST, "ratio >= 0.9", 0.9, 0.89),
        (SECONDS, "ours <= 0.1 s", 0.1, 0.11),
        (report.Goal("ours", 2**20, "B"), "ours <= 1048576 B", 2**20, 2**20 + 1),
    ],
)
def test_a_goal_that_is_missed_fails(goal: report.Goal, text: str, met: float, missed: float) -> None:
    good, bad = row("new", met, goal), row("new", missed, goal)
    assert good["goal"] == text and good["ok"] and not bad["ok"] and "known_miss" not in bad
    assert support.report.publish("bench/x.json", {}, [good]) == 0
    assert support.report.publish("bench/x.json", {}, [good, bad]) == 1


@pytest.mark.parametrize(
    ("case", "goal", "as_known", "worse"),
    [("at most", AT_MOST, 0.74, 0.76), ("at least", AT_LEAST, 0.57, 0.55), ("s", SECONDS, 0.24, 0.26)],
)
def test_a_known_miss_fails_only_if_it_is_clearly_worse(case: str, goal: report.Goal, as_known: float, worse: float) -> None:
    one, two = row(case, as_known, goal), row(case, worse, goal)
    assert not one["ok"] and one["known_miss"] and one["worse"] is False and two["worse"]
    assert support.report.publish("bench/x.json", {}, [one]) == 0
    assert support.report.publish("bench/x.json", {}, [one, two]) == 1
    assert support.report.publish("bench/x.json", {}, [one, row("new", 9.0, AT_MOST)]) == 1


def test_without_a_goal_a_row_is_ok() -> None:
    found = row("new", 9.0, report.NO_GOAL)
    assert found["ok"] and found["goal"] == "none"


def test_a_case_that_could_not_run_is_in_the_json_and_fails(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield row("new", 0.1, AT_MOST)
        raise LabError("the lab needs root")

    found = report.measured("(c)", rows)
    assert support.report.publish("bench/x.json", {"machine": {}}, found) == 1
    written = json.loads((tmp_path / "build/bench/x.json").read_text())["rows"]
    assert [(one["case"], one["ok"], one.get("run", True)) for one in written] == [("new", True, True), ("(c)", False, False)]
    assert "the lab needs root" in written[1]["why"]
    assert support.report.publish("bench/x.json", {}, []) == 1
