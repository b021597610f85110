# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of measurements: ours, what a user would do otherwise, the ratio of the two and the goal. See also support.report."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from known_misses import KNOWN
from support.outcomes import BROKEN

RUNS = 5
CLEARLY = 1.25  # times worse than a known miss, which is more than runs differ
Row = dict[str, Any]


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def by_turns(ours: Callable[[], object], other: Callable[[], object], runs: int = RUNS) -> tuple[float, float]:
    """Return the medians of both, run by turns after one unmeasured turn."""
    times = [(seconds(ours), seconds(other)) for _run in range(runs + 1)][1:]
    return statistics.median(one for one, _two in times), statistics.median(two for _one, two in times)


@dataclass(frozen=True)
class Goal:
    """What a row has to reach: a bound of its ``ratio``, or of ``ours``, at most or at least; without a bound, nothing."""

    value: str = "ratio"
    bound: float | None = None
    unit: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return "none" if self.bound is None else f"{self.value} {sign} {self.bound:.10g} {self.unit}".strip()

    def reached(self, value: float, slack: float = 1.0) -> bool:
        """Tell whether a value is within the bound, or ``slack`` times beyond it at most."""
        if self.bound is None:
            return True
        return value * slack >= self.bound if self.at_least else value <= self.bound * slack


NO_GOAL = Goal()


def row(case: str, metric: str, unit: str, ours: float, other: float, *, other_name: str, goal: Goal, runs: int = RUNS) -> Row:
    """Return a row; where its goal is known to be missed, with the last value and whether it is clearly ``worse`` now."""
    ratio = ours / other
    value = ratio if goal.value == "ratio" else ours
    known = KNOWN.get((case, metric, other_name))
    miss = {} if known is None else {"known_miss": known, "worse": not replace(goal, bound=known).reached(value, CLEARLY)}
    numbers = {"ours": round(ours, 6), "other": round(other, 6), "other_name": other_name, "ratio": round(ratio, 5)}
    return {
        "case": case,
        "metric": metric,
        "unit": unit,
        **numbers,
        "goal": str(goal),
        "ok": goal.reached(value),
        "runs": runs,
        **miss,
    }


def not_run(case: str, why: str) -> Row:
    """Return the row of a case that could not be measured."""
    print(f"{case}: not run, {why}", file=sys.stderr, flush=True)
    return {"case": case, "ok": False, "run": False, "why": why}


def measured(case: str, rows: Callable[[], Iterable[Row]]) -> list[Row]:
    """Return the rows of a case, with one that says why where it broke off."""
    found: list[Row] = []
    try:
        found.extend(rows())
    except BROKEN as error:
        traceback.print_exc()
        found.append(not_run(case, f"broke off: {type(error).__name__}: {str(error).strip()[:300]}"))
    return found


def machine() -> Row:
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "arch": platform.machine()}
