# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the gate's stages, say how each went, and count the tests.

Usage: stages.py check|test [NAME…]. A stage's output goes to build/logs/NAME.log and, when it fails, to the screen.
Every stage runs, so that one run tells all; the exit code is 1 when any failed. Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
LOGS = TREE / "build/logs"
BIN = TREE / ".venv/bin"
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed)")


@dataclass(frozen=True)
class Stage:
    """A command of the gate; ``root`` says that it makes lab hosts or network namespaces."""

    name: str
    argv: tuple[str, ...]
    root: bool = False


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program of the virtual environment."""
    return (str(BIN / name), *arguments)


def pytest(*arguments: str) -> tuple[str, ...]:
    """Return a pytest command."""
    return tool("python", "-m", "pytest", "-q", "--color=no", *arguments)


UNIT = ("env", "EDGE_COVERAGE=1", *pytest("--timeout=120", "--numprocesses=2", "--dist=loadfile", "--durations=25", "tests/unit"))

CHECK = (
    Stage("ruff", tool("ruff", "check", ".")),
    Stage("ruff-format", tool("ruff", "format", "--check", ".")),
    Stage("yamllint", tool("yamllint", "--strict", ".")),
    Stage("mypy", tool("mypy", "-p", "ansible_collections.edge.cloud.plugins")),
    Stage("mypy-programs", ("tools/mypy-programs",)),
    Stage("import-linter", tool("lint-imports", "--no-cache")),
    Stage("reuse", ("sh", "-c", "test -e .git || { echo 'skipped: not a git checkout'; exit 0; }; exec reuse lint --quiet")),
    Stage("unit", UNIT),
    Stage("coverage", ("sh", "-c", "coverage combine --quiet && exec coverage report --fail-under=88")),
)

SAMPLE = ("-m", "not slow", "--timeout=900", "--durations=60")

ELSEWHERE = tuple(f"--ignore=tests/integration/{name}" for name in ("targets", "appliance", "kvm_check"))

# Two lanes that run side by side after CHECK, as two cores carry: guests are emulated, and more of them at once only time out.
# The hosts of each stage are a lab of their own.
ROLES = (
    Stage("unit-newest", ("tools/unit-newest",)),
    Stage("ansible-lint", tool("ansible-lint", "--offline", "--strict")),
    Stage("docs", tool("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", ".")),
    Stage("build-and-import", ("tools/build-and-import",)),
    Stage("sanity", ("tools/sanity",)),
    Stage("molecule", ("tools/molecule-all",), root=True),
    Stage("appliance", pytest(*SAMPLE, "tests/integration/appliance", "tests/integration/kvm_check")),
    Stage("quickstart", pytest(*SAMPLE, "--timeout=1500", "tests/quickstart"), root=True),
)

MODULES = (
    Stage("integration", pytest(*SAMPLE, *ELSEWHERE, "tests/integration"), root=True),
    Stage("modules", ("env", "EDGE_LAB=modules", *pytest(*SAMPLE, "tests/integration/targets")), root=True),
)


@dataclass(frozen=True)
class Outcome:
    """How a stage went, with its counts of tests (one for a stage that counts none)."""

    name: str
    good: bool
    counts: dict[str, int]


def run(stage: Stage) -> Outcome:
    """Run one stage and tell how it went."""
    print(f"── {stage.name} …", flush=True)
    begun = time.monotonic()
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_HOME": str(TREE / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "COLUMNS": "160",
        "PYTHONPATH": str(TREE / "collections"),
    }
    log = LOGS / f"{stage.name}.log"
    with log.open("wb") as handle:
        code = subprocess.run(
            stage.argv, cwd=TREE, env=environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT, check=False
        ).returncode
    text = log.read_text(errors="replace")
    lines = text.splitlines()
    counts = count(lines) or ({"passed": 1} if code == 0 else {"failed": 1})
    if code != 0 and not counts.get("failed"):
        counts["failed"] = 1
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"   {'✔' if code == 0 else '✘'} {stage.name}: {told} ({time.monotonic() - begun:.0f} s)", flush=True)
    for line in lines:
        if line.startswith(("SKIPPED", "skipped:")):
            print(f"     {line[:200]}")
    if code != 0:
        print("\n".join(f"     {line}" for line in lines[-120:]), flush=True)
    return Outcome(stage.name, code == 0, counts)


def count(lines: list[str]) -> dict[str, int]:
    """Return the counts of pytest's closing lines."""
    total: dict[str, int] = {}
    for line in lines:
        if re.search(r"\d+ (passed|failed|error|skipped).* in [\d.]+", line):
            for number, kind in COUNTS.findall(line):
                name = "failed" if kind.startswith("error") else {"xfailed": "skipped", "xpassed": "failed"}.get(kind, kind)
                total[name] = total.get(name, 0) + int(number)
    return total


def lane(stages: tuple[Stage, ...], names: list[str]) -> list[Outcome]:
    """Run the stages in order, those of ``names`` only where there are any."""
    outcomes = []
    for stage in stages:
        if names and stage.name not in names:
            continue
        if stage.root and os.geteuid() != 0:
            print(f"── {stage.name}: skipped: it makes hosts and networks, which takes root", flush=True)
            outcomes.append(Outcome(stage.name, True, {"skipped": 1}))
        else:
            outcomes.append(run(stage))
    return outcomes


def main() -> int:
    """Run the stages of the first argument, or only those named after it."""
    kind, names = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if kind not in ("check", "test"):
        sys.exit("stages: say check or test")
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    begun = time.monotonic()
    outcomes = lane(CHECK, names)
    if kind == "test":
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(lane, stages, names) for stages in (ROLES, MODULES)]:
                outcomes += done.result()
    total = {name: sum(outcome.counts.get(name, 0) for outcome in outcomes) for name in ("passed", "failed", "skipped")}
    failed = [outcome.name for outcome in outcomes if not outcome.good]
    print(f"\nmake {kind}: {time.monotonic() - begun:.0f} s{'; failed: ' + ', '.join(failed) if failed else ''}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
