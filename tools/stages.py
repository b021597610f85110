# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the gate's stages one after another, say how each went, and count the tests.

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


COVERAGE = ("-m", "coverage", "run", "-m", "pytest", "-q", "--color=no", "--timeout=120", "tests/unit")

CHECK = (
    Stage("ruff", tool("ruff", "check", ".")),
    Stage("ruff-format", tool("ruff", "format", "--check", ".")),
    Stage("yamllint", tool("yamllint", "--strict", ".")),
    Stage("mypy", tool("mypy", "-p", "ansible_collections.edge.cloud.plugins")),
    Stage("mypy-programs", ("tools/mypy-programs",)),
    Stage("import-linter", tool("lint-imports", "--no-cache")),
    Stage("reuse", tool("reuse", "lint", "--quiet")),
    Stage("unit", tool("python", *COVERAGE)),
    Stage("coverage", tool("coverage", "report", "--fail-under=85")),
)

TEST = (
    *CHECK,
    Stage("unit-newest", ("tools/unit-newest",)),
    Stage("ansible-lint", tool("ansible-lint", "--offline", "--strict")),
    Stage("docs", tool("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", ".")),
    Stage("build-and-import", ("tools/build-and-import",)),
    Stage("sanity", ("tools/sanity",)),
    Stage("integration", pytest("tests/integration", "--timeout=900"), root=True),
    Stage("molecule", ("tools/molecule-all",), root=True),
    Stage("quickstart", pytest("tests/quickstart", "--timeout=1500"), root=True),
)


def run(stage: Stage) -> tuple[bool, dict[str, int]]:
    """Run one stage; return whether it passed, and its counts of tests (one for a stage that counts none)."""
    print(f"── {stage.name} …", flush=True)
    begun = time.monotonic()
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
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
    counts = count(lines) or {"passed" if code == 0 else "failed": 1}
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"   {'✔' if code == 0 else '✘'} {stage.name}: {told} ({time.monotonic() - begun:.0f} s)", flush=True)
    for line in lines:
        if line.startswith(("SKIPPED", "skipped:")):
            print(f"     {line[:200]}")
    if code != 0:
        print("\n".join(f"     {line}" for line in lines[-120:]), flush=True)
    return code == 0, counts


def count(lines: list[str]) -> dict[str, int]:
    """Return the counts of pytest's closing lines."""
    total: dict[str, int] = {}
    for line in lines:
        if re.search(r"\d+ (passed|failed|error|skipped).* in [\d.]+", line):
            for number, kind in COUNTS.findall(line):
                name = "failed" if kind.startswith("error") else {"xfailed": "skipped", "xpassed": "failed"}.get(kind, kind)
                total[name] = total.get(name, 0) + int(number)
    return total


def main() -> int:
    """Run the stages of the first argument, or only those named after it."""
    kind, names = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if kind not in ("check", "test"):
        sys.exit("stages: say check or test")
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    begun = time.monotonic()
    total = {"passed": 0, "failed": 0, "skipped": 0}
    failed = []
    for stage in CHECK if kind == "check" else TEST:
        if names and stage.name not in names:
            continue
        if stage.root and os.geteuid() != 0:
            print(f"── {stage.name}: skipped: it makes hosts and networks, which takes root", flush=True)
            total["skipped"] += 1
            continue
        good, counts = run(stage)
        failed += [] if good else [stage.name]
        for name, number in counts.items():
            total[name] += number
        if not good and not counts.get("failed"):
            total["failed"] += 1
    print(f"\nmake {kind}: {time.monotonic() - begun:.0f} s{'; failed: ' + ', '.join(failed) if failed else ''}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
