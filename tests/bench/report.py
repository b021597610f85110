# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of measurements: ours, what a user would do otherwise, the ratio of the two and the goal. See also support.report."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RUNS = 5
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
    """What a row has to reach: the ratio at most or at least, or our value at most."""

    text: str
    reached: Callable[[float, float], bool]


def row(case: str, metric: str, unit: str, ours: float, other: float, *, other_name: str, goal: Goal, runs: int = RUNS) -> Row:
    ratio = ours / other
    numbers = {"ours": round(ours, 6), "other": round(other, 6), "other_name": other_name, "ratio": round(ratio, 5)}
    return {
        "case": case,
        "metric": metric,
        "unit": unit,
        **numbers,
        "goal": goal.text,
        "ok": goal.reached(ours, ratio),
        "runs": runs,
    }


def machine() -> Row:
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "arch": platform.machine()}
