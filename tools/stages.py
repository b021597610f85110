# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stages of make check, make test or make test-all, report each one, and count the tests.

Usage: stages.py check|test|test-all [STAGE…]. The output of a stage goes to build/logs/STAGE.log and, when it fails, to the screen.
Every stage runs, so that one run reports everything; the exit code is 1 when a stage failed, 2 when a name is unknown. The result
is also written to build/gate.json. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from stage_list import KINDS, Kind, Stage

TREE = Path(__file__).resolve().parent.parent
BUILD = TREE / "build"
LOGS = BUILD / "logs"
LEFT_OUT = BUILD / "left-out"
BIN = TREE / ".venv/bin"
CLOSING = re.compile(r"\d+ (?:passed|failed|errors?|skipped|deselected)\b.* in [\d.]+")
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed|deselected)")
DURATION = re.compile(r" *\d+\.\d+s (?:setup|call|teardown) ")
NAMES = {"error": "failed", "errors": "failed", "xfailed": "skipped", "xpassed": "failed"}
SKIPPED = "skipped: "
PRINTING = Lock()
AT_A_TIME = 2


@dataclass(frozen=True)
class Outcome:
    """How a stage ended; a stage that counts no tests is one test. ``budget`` and ``seconds`` are seconds."""

    name: str
    good: bool
    seconds: float
    budget: float
    counts: dict[str, int]


def say(*lines: str) -> None:
    """Print lines at once and together, whatever other stages print."""
    with PRINTING:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


def run(stage: Stage, kind: str) -> Outcome:
    """Run one stage and print how it ended."""
    if stage.root and os.geteuid() != 0:
        say(f"── {stage.name}: skipped: it makes hosts and networks, which needs root")
        return Outcome(stage.name, True, 0.0, stage.seconds, {"skipped": 1})
    say(f"── {stage.name} …")
    begun = time.monotonic()
    log = LOGS / f"{stage.name}.log"
    with log.open("wb") as handle:
        code = subprocess.run(
            stage.argv,
            cwd=TREE,
            env=environment(stage, kind),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    lines = log.read_text(errors="replace").splitlines()
    done = Outcome(stage.name, code == 0, time.monotonic() - begun, stage.seconds, counts_of(lines, code))
    show(done, lines)
    return done


def environment(stage: Stage, kind: str) -> dict[str, str]:
    """Return the environment of a stage's command."""
    # Without bytecode on disk, each of the hundreds of programs that tests start compiles Ansible again.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_HOME": str(TREE / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "COLUMNS": "160",
        "PYTHONPATH": str(TREE / "collections"),
        "EDGE_EXAMPLES": "all" if kind == "test-all" else "quick",
        "EDGE_LEFT_OUT": str(LEFT_OUT / f"{stage.name}.txt"),
        **dict(stage.environment),
    }


def counts_of(lines: Sequence[str], code: int) -> dict[str, int]:
    """Return the counts of pytest's closing lines; where there are none, the stage itself counts as one test."""
    total: dict[str, int] = {}
    for line in lines:
        if CLOSING.search(line):
            for number, word in COUNT.findall(line):
                name = NAMES.get(word, word)
                total[name] = total.get(name, 0) + int(number)
    if not total and code == 0:
        return {"skipped": 1} if any(line.startswith(SKIPPED) for line in lines) else {"passed": 1}
    if code != 0 and not total.get("failed"):
        total["failed"] = 1
    return total


def show(done: Outcome, lines: Sequence[str]) -> None:
    """Print the result of a stage, what it skipped, and if it failed the end of its output, without how long each test took."""
    shown = [f"     {line}" for line in lines if not DURATION.match(line)]
    counts = ", ".join(f"{number} {word}" for word, number in done.counts.items())
    say(
        f"   {'✔' if done.good else '✘'} {done.name}: {counts} ({done.seconds:.0f} s of {done.budget:.0f})",
        *(f"     {line[:200]}" for line in lines if line.startswith(("SKIPPED", SKIPPED))),
        *([] if done.good else shown[-120:]),
    )


def chosen(kind: Kind, names: Sequence[str]) -> tuple[tuple[Stage, ...], ...]:
    """Return the groups with the named stages only; exit with the known names where one is unknown."""
    known = [stage.name for group in kind.groups for stage in group]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"stages: {', '.join(unknown)}: no such stage. Stages are: {', '.join(known)}.", file=sys.stderr)
        sys.exit(2)
    return tuple(tuple(stage for stage in group if not names or stage.name in names) for group in kind.groups)


def run_all(kind: str, groups: tuple[tuple[Stage, ...], ...]) -> list[Outcome]:
    """Run the groups one after another, of each two stages at a time, the longest first, so that both cores end together."""
    outcomes: list[Outcome] = []
    for group in groups:
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            longest_first = sorted(group, key=lambda stage: -stage.seconds)
            outcomes += pool.map(lambda stage: run(stage, kind), longest_first)
    return outcomes


def git(*words: str) -> str:
    """Return what git prints, empty where this is not a checkout."""
    done = subprocess.run(["git", *words], cwd=TREE, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def report(kind: str, outcomes: Sequence[Outcome], named: Sequence[str], load: float, seconds: float) -> None:
    """Write build/gate.json; ``passed`` is true only for all stages of a clean checkout, none failed and none skipped."""
    commit, clean = git("rev-parse", "HEAD"), git("status", "--porcelain") == ""
    whole = not named and all(done.good and done.counts != {"skipped": 1} for done in outcomes)
    found = {
        "kind": kind,
        "commit": commit,
        "passed": bool(commit) and clean and whole,
        "clean": clean,
        "load_before": load,
        "cores": os.cpu_count(),
        "seconds": round(seconds),
        "stages": [{**asdict(done), "seconds": round(done.seconds)} for done in outcomes],
    }
    (BUILD / "gate.json").write_text(json.dumps(found, indent=1) + "\n")


def close(kind: str, outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print the closing lines and return the exit code."""
    words = ("passed", "failed", "skipped", "deselected")
    total = {word: sum(done.counts.get(word, 0) for done in outcomes) for word in words}
    print()
    for done in outcomes:
        if done.seconds > done.budget:
            print(f"slow: {done.name} took {done.seconds:.0f} s; its share is {done.budget:.0f} s on a quiet machine of two cores")
    for what in KINDS[kind].adds:
        print(f"left to make test-all: {what}")
    if total["deselected"]:
        print(f"left to make test-all: {total['deselected']} tests, listed in {LEFT_OUT.relative_to(TREE)}/")
    failed = [done.name for done in outcomes if not done.good]
    print(f"make {kind}: {seconds:.0f} s{'; failed: ' + ', '.join(failed) if failed else ''}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if failed or not total["passed"] else 0


def main() -> int:
    """Run the stages of the first argument, or only those that are named after it."""
    kind, names = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if kind not in KINDS:
        print(f"stages: give one of {', '.join(KINDS)}.", file=sys.stderr)
        return 2
    groups = chosen(KINDS[kind], names)
    for folder in (LOGS, LEFT_OUT):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (BUILD / "gate.json").unlink(missing_ok=True)
    begun, load = time.monotonic(), os.getloadavg()[0]
    outcomes = run_all(kind, groups)
    seconds = time.monotonic() - begun
    report(kind, outcomes, names, load, seconds)
    return close(kind, outcomes, seconds)


if __name__ == "__main__":
    sys.exit(main())
