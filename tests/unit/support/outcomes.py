# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outcomes of the tries of a fault run, counted by case: lost, doubled, and missed.

A try counts only if its fault hit while the work was under way. One that missed is repeated a few times.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from edge_lab.command import LabError

Outcome = tuple[bool, bool] | None  # lost, doubled; MISSED where the fault hit nothing
Row = dict[str, Any]
MISSED = None
ATTEMPTS = 10
BOUND = 2 * 2**20  # bytes; docs/storage.md promises that an interruption costs at most 2 MiB
BROKEN = (AssertionError, EdgeError, LabError, LookupError, OSError, RuntimeError, ValueError, subprocess.SubprocessError)


def first_hit(attempt: Callable[[], Outcome], attempts: int = ATTEMPTS) -> Outcome:
    """Return the outcome of the first attempt whose fault hit; MISSED if none of ``attempts`` did."""
    return next((found for _attempt in range(attempts) if (found := attempt()) is not MISSED), MISSED)


def repeated(attempt: Callable[[], Outcome], tries: int) -> Iterator[Outcome]:
    """Yield the outcomes of ``tries`` tries; the first that never hit is the last."""
    for _try in range(tries):
        found = first_hit(attempt)
        yield found
        if found is MISSED:
            return


def killed(process: subprocess.Popen[str]) -> bool:
    """Kill a process and return whether that ended its work: it died of the signal and had printed no result."""
    process.kill()
    assert process.stdout
    printed = process.stdout.read()
    return process.wait() == -signal.SIGKILL and not printed


@dataclass
class RandomMoment:
    """A random moment of a work that takes up to ``longest`` seconds here: each that comes too late shortens what is drawn from.

    So a machine that was busy while the work was measured makes no fault miss for ever.
    """

    dice: random.Random
    longest: float

    def draw(self) -> float:
        """Return a moment in seconds."""
        return self.dice.uniform(0, self.longest)

    def too_late(self, seconds: float) -> None:
        """Take note that the work had ended by then."""
        self.longest = min(0.8 * self.longest, seconds)

    def await_in(self, process: subprocess.Popen[str]) -> None:
        """Wait until the moment, or until the process ended before."""
        begun = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.draw())
            self.too_late(time.monotonic() - begun)


def table_row(case: str, outcomes: Iterator[Outcome]) -> Row:
    """Return the counts of a case; ``why`` says what kept it, or a part of it, from being run."""
    begun = time.monotonic()
    found: list[Outcome] = []
    why = ""
    try:
        found.extend(outcomes)
    except BROKEN as error:
        traceback.print_exc()
        why = f"broke off: {type(error).__name__}: {str(error).strip()[:300]}"
    hits = [outcome for outcome in found if outcome is not MISSED]
    lost, doubled = sum(one for one, _two in hits), sum(two for _one, two in hits)
    missed = len(found) - len(hits)
    if not why and (missed or not hits):
        why = f"{missed} of {len(found)} faults never hit" if found else "there was nothing to try"
    print(f"{case}: {len(hits)} tries in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    counts = {"tries": len(hits), "missed": missed, "lost": lost, "doubled": doubled}
    ok = not (why or lost or doubled)
    return {"case": case, **counts, "run": bool(hits), "ok": ok, **({"why": why} if why else {})}


def not_run(case: str, why: str) -> Row:
    """Return the row of a case that cannot be run here."""
    print(f"{case}: not run, {why}", file=sys.stderr, flush=True)
    return {"case": case, "tries": 0, "missed": 0, "lost": 0, "doubled": 0, "run": False, "ok": False, "why": why}
