# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of a fault run is ok only if every try's fault hit and did no harm."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from edge_lab.command import LabError
from support.outcomes import ATTEMPTS, MISSED, Outcome, RandomMoment, first_hit, killed, not_run, repeated, table_row
from support.processes import python

GOOD = (False, False)


@pytest.mark.parametrize(
    ("outcomes", "tries", "missed", "ok"),
    [
        ([GOOD, GOOD], 2, 0, True),
        ([GOOD, (True, False)], 2, 0, False),
        ([(False, True)], 1, 0, False),
        ([GOOD, MISSED], 1, 1, False),
        ([MISSED, MISSED], 0, 2, False),
        ([], 0, 0, False),
    ],
)
def test_only_faults_that_hit_are_tries(outcomes: list[Outcome], tries: int, missed: int, ok: bool) -> None:
    row = table_row("case", iter(outcomes))
    assert (row["tries"], row["missed"], row["ok"], row["run"]) == (tries, missed, ok, tries > 0)
    assert ("why" in row) is (missed > 0 or not outcomes)


def test_a_case_that_breaks_off_is_a_row_that_says_why() -> None:
    def outcomes() -> Iterator[Outcome]:
        yield GOOD
        raise LabError("the host does not boot")

    row = table_row("case", outcomes())
    assert row["tries"] == 1 and not row["ok"] and "the host does not boot" in row["why"]


def test_what_cannot_run_is_neither_run_nor_ok() -> None:
    row = not_run("case", "the lab needs root")
    assert not row["run"] and not row["ok"] and row["why"] == "the lab needs root"
    assert row.keys() - {"why"} == table_row("case", iter([GOOD])).keys()


def test_a_try_that_missed_is_repeated_and_given_up_in_the_end() -> None:
    missed = iter([MISSED, MISSED, (True, False), GOOD])
    assert list(repeated(lambda: next(missed), 2)) == [(True, False), GOOD]
    attempts: list[str] = []
    assert first_hit(lambda: attempts.append("missed")) is MISSED  # type: ignore[func-returns-value]
    assert len(attempts) == ATTEMPTS
    assert list(repeated(lambda: MISSED, 3)) == [MISSED]


def test_a_kill_hits_only_a_process_that_is_at_work() -> None:
    waiting = python("import signal\nprint('begun', flush=True)\nsignal.pause()")
    assert waiting.stdout and waiting.stdout.readline() == "begun\n"
    assert killed(waiting)
    for code in ("print('result', flush=True)\nimport signal\nsignal.pause()", "print('result')", "raise SystemExit(1)"):
        process = python(code)
        if "pause" in code:
            assert process.stdout and process.stdout.buffer.peek(1)  # type: ignore[attr-defined]
        else:
            process.wait(60)
        assert not killed(process), code


def test_a_moment_comes_in_time_however_slow_the_machine_was_when_the_work_was_measured() -> None:
    moment = RandomMoment(random.Random(1), 60)

    def attempt() -> Outcome:
        process = python("import time; time.sleep(0.5)")
        moment.await_in(process)
        return GOOD if killed(process) else MISSED

    assert first_hit(attempt) is GOOD
    assert moment.longest < 60


def test_after_a_moment_that_came_too_late_none_later_is_drawn() -> None:
    moment = RandomMoment(random.Random(1), 60)
    late = [moment.draw() for _draw in range(20)]
    moment.too_late(min(late))
    assert all(moment.draw() <= min(late) for _draw in range(200))
