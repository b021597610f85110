# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gives to make reaches the program as it is: no shell of this machine and no make expands it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support.processes import TREE

PRINTER = '#!/usr/bin/env python3\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ.get("QUICKSTART_COMMAND")]))\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The Makefile beside a quick start that prints what it is given."""
    (tmp_path / "tools").mkdir()
    shutil.copy(TREE / "Makefile", tmp_path)
    shutil.copy(TREE / "tools/with_args.py", tmp_path / "tools/with_args.py")
    (tmp_path / "tools/quickstart.py").write_text(PRINTER)
    return tmp_path


def make(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_a_command_for_the_guest_stays_one_text(tree: Path) -> None:
    command = "echo a; touch here $(shell touch there) `touch everywhere` $HOME 'x \"y"
    done = make(tree, "quickstart-ssh", f"ARGS={command}")
    assert done.stdout.strip() == json.dumps([["ssh"], command]), done.stderr
    assert sorted(path.name for path in tree.iterdir()) == ["Makefile", "tools"]


def test_arguments_are_split_into_words_by_no_shell(tree: Path) -> None:
    done = make(tree, "quickstart", "ARGS=--check -e 'name=a b; touch here' $(touch there)")
    assert done.stdout.strip() == json.dumps([["up", "--check", "-e", "name=a b; touch here", "$(touch", "there)"], None]), (
        done.stderr
    )
    assert sorted(path.name for path in tree.iterdir()) == ["Makefile", "tools"]


def test_an_open_quotation_is_refused_in_words(tree: Path) -> None:
    done = make(tree, "quickstart", "ARGS='--check")
    assert done.returncode != 0 and "ARGS cannot be split into words" in done.stderr


def test_the_number_of_lab_hosts_is_no_command(tree: Path) -> None:
    lab = tree / "tests/lab/lab.py"
    lab.parent.mkdir(parents=True)
    lab.write_text(PRINTER)
    done = make(tree, "lab", "LAB_HOSTS=1; touch here", "LAB_RELEASE=$(touch there)")
    words = ["up", "-n", "1; touch here", "--release", "$(touch there)", "--variant", "full"]
    assert done.stdout.strip() == json.dumps([words, None]), done.stderr
    assert sorted(path.name for path in tree.iterdir()) == ["Makefile", "tests", "tools"]
