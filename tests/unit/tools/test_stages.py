# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program behind make test, run on stages that do next to nothing, in a checkout of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.processes import TREE

STAGES = """
from stage_list_real import *

def echo(name, text, code=0, **more):
    return Stage(name, ("sh", "-c", f"printf '%s\\\\n' '{text}'; exit {code}"), **more)

GROUPS = (
    (echo("lint", "fine"), echo("absent", "skipped: no such program here")),
    (echo("units", "3 passed, 1 skipped, 2 deselected in 0.10s"), echo("late", "1 passed in 0.1s", seconds=0)),
    (echo("broken", "E  why\\n3.10s call  tests/a.py::b\\n1 failed, 2 passed in 0.10s", 1),),
)
GOOD = ((GROUPS[0][0],), GROUPS[1][:1])
KINDS = {"check": Kind(GOOD), "test": Kind(GROUPS, ("more scenarios",))}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the real program and stages of ours."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(TREE / "tools/stages.py", folder / "tools/stages.py")
    shutil.copy(TREE / "tools/stage_list.py", folder / "tools/stage_list_real.py")
    (folder / "tools/stage_list.py").write_text(STAGES)
    (folder / ".gitignore").write_text("/build/\n__pycache__/\n")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t.example", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def stages(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "tools/stages.py", *words], cwd=tree, capture_output=True, text=True, check=False)


def gate(tree: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tree / "build/gate.json").read_text())
    return found


def test_a_green_run_of_a_clean_checkout_passes(tree: Path) -> None:
    done = stages(tree, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "4 passed, 0 failed, 1 skipped"
    found = gate(tree)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True).stdout.strip()
    assert (found["passed"], found["clean"], found["commit"]) == (True, True, head)
    assert [(stage["name"], stage["counts"]) for stage in found["stages"]] == [
        ("lint", {"passed": 1}),
        ("units", {"passed": 3, "skipped": 1, "deselected": 2}),
    ]
    assert "left to make test-all: 2 tests" in done.stdout


@pytest.mark.parametrize("what", ["dirty", "one stage"])
def test_less_than_all_of_a_commit_is_green_but_has_not_passed(tree: Path, what: str) -> None:
    if what == "dirty":
        (tree / "more").touch()
    done = stages(tree, "check", *(["lint"] if what == "one stage" else []))
    assert done.returncode == 0
    assert gate(tree)["passed"] is False


def test_a_failed_stage_fails_the_run_and_shows_its_output(tree: Path) -> None:
    done = stages(tree, "test")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "7 passed, 1 failed, 2 skipped"
    assert lines[lines.index("     E  why") + 1] == "     1 failed, 2 passed in 0.10s"
    assert "left to make test-all: more scenarios" in lines
    assert any(line.startswith("slow: late took ") for line in lines)
    assert gate(tree)["passed"] is False


BESIDE = """
from stage_list_real import *

BEGUN = "build/begun"
def begin(name, seconds, awaited=0):
    wait = f"until test $(wc -l < {BEGUN}) -ge {awaited}; do sleep 0.1; done" if awaited else "true"
    return Stage(name, ("timeout", "60", "sh", "-c", f"echo {name} >> {BEGUN}; {wait}"), seconds)

MIDDLE = (begin("short", 1), begin("long", 3, 3), begin("longer", 9, 3))
KINDS = {"check": Kind(((begin("first", 1),), MIDDLE, (begin("last", 99),)))}
"""


def test_two_stages_of_a_group_run_at_a_time_and_the_longest_first(tree: Path) -> None:
    (tree / "tools/stage_list.py").write_text(BESIDE)
    done = stages(tree, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    begun = (tree / "build/begun").read_text().split()
    assert [begun[0], {*begun[1:3]}, *begun[3:]] == ["first", {"long", "longer"}, "short", "last"]


def test_every_folder_of_tests_is_in_a_stage_of_test_all() -> None:
    code = "import stage_list as s; print(*(word for group in s.KINDS['test-all'].groups for one in group for word in one.argv))"
    done = subprocess.run([sys.executable, "-c", code], cwd=TREE / "tools", capture_output=True, text=True, check=True)
    named = [TREE / word for word in done.stdout.split() if word.startswith("tests/")]
    tests = [*(TREE / "tests/integration").rglob("test_*.py"), *(TREE / "tests/quickstart").rglob("test_*.py")]
    assert tests
    assert [path for path in tests if not any(path.is_relative_to(one) for one in named)] == []


def test_a_stage_that_skips_itself_is_not_counted_as_passed(tree: Path) -> None:
    done = stages(tree, "test", "absent")
    assert "absent: 1 skipped" in done.stdout
    assert done.returncode == 1, "a run in which nothing passed proves nothing"


@pytest.mark.parametrize("words", [("test", "unitz"), ("tset",), ()])
def test_a_misspelt_name_runs_nothing_and_says_so(tree: Path, words: tuple[str, ...]) -> None:
    done = stages(tree, *words)
    assert done.returncode == 2
    assert "Stages are: lint, absent, units, late, broken." in done.stderr or "give one of check, test" in done.stderr
    assert not (tree / "build").exists()
