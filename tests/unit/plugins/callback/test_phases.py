# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stdout callback, in real runs of ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

TREE = Path(__file__).resolve().parents[4]
PYTHON = f"ansible_python_interpreter={sys.executable}"


def run(folder: Path, plays: list[dict[str, object]], **environment: str) -> tuple[int, str, list[dict[str, object]]]:
    """Return exit code, everything printed, and the phases file."""
    book, phases = folder / "book.yml", folder / "phases.json"
    book.write_text(yaml.safe_dump(plays, sort_keys=False))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", PYTHON, str(book)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
            "ANSIBLE_STDOUT_CALLBACK": "edge.cloud.phases",
            "EDGE_PHASES_FILE": str(phases),
            **environment,
        },
    )
    return done.returncode, done.stdout + done.stderr, json.loads(phases.read_text())


def phase(name: str, *tasks: dict[str, object]) -> dict[str, object]:
    return {"name": name, "hosts": "all", "gather_facts": False, "tasks": list(tasks)}


def command(*argv: str, **more: object) -> dict[str, object]:
    return {"name": " ".join(argv)[:30], "ansible.builtin.command": {"argv": list(argv)}, **more}


def test_phases_are_counted_and_written(tmp_path: Path):
    code, shown, phases = run(tmp_path, [phase("one", command("true")), phase("two", command("true", changed_when=False))])
    assert code == 0, shown
    assert [(row["name"], row["changed"], row["ok"]) for row in phases] == [("one", 1, True), ("two", 0, True)]
    assert all(isinstance(row["seconds"], float) for row in phases)
    assert "● true [localhost]" in shown


def test_a_failure_is_reported_with_the_words_of_the_program(tmp_path: Path):
    code, shown, phases = run(tmp_path, [phase("one", command("ls", "/no/such/folder"))])
    assert code == 2
    assert phases[0]["ok"] is False
    assert "✘ ls /no/such/folder [localhost]" in shown
    assert "stderr: ls: cannot access '/no/such/folder'" in shown


def test_an_ignored_failure_is_no_failure_of_the_phase(tmp_path: Path):
    code, _shown, phases = run(tmp_path, [phase("one", command("false", ignore_errors=True))])
    assert code == 0
    assert phases[0]["ok"] is True


def test_a_long_task_shows_its_progress_file(tmp_path: Path):
    progress = tmp_path / "progress"
    progress.write_text("start\n42 of 99 packages\n")
    task = command("sleep", "3", vars={"edge_progress_file": str(progress)})
    _code, shown, _phases = run(tmp_path, [phase("one", task)], EDGE_HEARTBEAT="0.2")
    assert "… sleep 3: " in shown
    assert "42 of 99 packages" in shown


def test_debug_prints_the_message_alone(tmp_path: Path):
    _code, shown, _phases = run(tmp_path, [phase("one", {"ansible.builtin.debug": {"msg": ["first", "second"]}})])
    assert "\nfirst\nsecond\n" in shown
