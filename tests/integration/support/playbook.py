# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tasks by the real ansible-playbook and gives each task's result back."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from support.warm_ansible import WarmAnsible

TREE = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
FAILED = (2, 4, 6)  # hosts failed, or were not reached: all others are errors of Ansible itself
LOCAL = {"all": {"hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}


class PlaybookFailed(AssertionError):
    """The playbook ended with an error; carries its whole output."""


def play(
    tasks: list[dict[str, Any]],
    *,
    inventory: str | None = None,
    hosts: str = "all",
    check: bool = False,
    ok: bool = True,
    prefix: tuple[str, ...] = (),
    module_defaults: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the result of each task on the first host, in order.

    ``inventory`` is a file (default: this machine, local connection); ``ok=False`` expects the playbook to fail and returns
    the results up to the failed task; ``prefix`` goes before the command (such as ``ip netns exec NAME``).
    """
    playbook = [{"hosts": hosts, "gather_facts": False, "tasks": tasks, "module_defaults": module_defaults or {}}]
    with tempfile.TemporaryDirectory(prefix="edge-play-") as folder:
        book = Path(folder, "play.yml")
        book.write_text(yaml.safe_dump(playbook, sort_keys=False))
        if inventory is None:
            inventory = str(Path(folder, "hosts.yml"))
            Path(inventory).write_text(yaml.safe_dump(LOCAL))
        words = ["-i", inventory, "--diff", *(["--check"] if check else []), str(book)]
        if prefix:
            done = subprocess.run(
                [*prefix, str(PLAYBOOK), *words],
                env=environment(folder), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
        else:
            done = _warm().run(words, folder, environment(folder))
    return _results(done, ok)


@cache
def _warm() -> WarmAnsible:
    return WarmAnsible(environment("/tmp"))


def start_play(tasks: list[dict[str, Any]], *, inventory: str | Path, hosts: str) -> subprocess.Popen[bytes]:
    """Start tasks and return at once; the process leads a group of its own, and its folder goes with the caller's process."""
    folder = tempfile.mkdtemp(prefix="edge-play-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    book = Path(folder, "play.yml")
    book.write_text(yaml.safe_dump([{"hosts": hosts, "gather_facts": False, "tasks": tasks}]))
    argv = [str(PLAYBOOK), "-i", str(inventory), str(book)]
    with Path(folder, "log").open("wb") as log:
        return subprocess.Popen(
            argv, env=environment(folder), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )


def run_book(book: Path, *inventories: Path, words: Sequence[str] = ()) -> str:
    """Run a playbook, with ``words`` as options, and return its output; raise with that unless all goes well."""
    with tempfile.TemporaryDirectory(prefix="edge-play-") as folder:
        settings = {**environment(folder), "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"}
        argv = [str(PLAYBOOK), *(word for path in inventories for word in ("-i", str(path))), *words, str(book)]
        done = subprocess.run(argv, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PlaybookFailed(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def changed_in(answer: str) -> dict[str, int]:
    """Return the number of changes on each host, from the closing lines of a playbook."""
    rows = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", answer, re.MULTILINE)
    assert rows, f"there are no closing lines in:\n{answer}"
    return {name: int(count) for name, count in rows}


def environment(folder: str) -> dict[str, str]:
    """Return the environment that ansible-playbook runs in: this checkout's collection, results as JSON."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "json_results",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_LOCAL_TEMP": folder,
        "ANSIBLE_HOST_KEY_CHECKING": "false",
    }


def _results(done: subprocess.CompletedProcess[str], ok: bool) -> list[dict[str, Any]]:
    shown = f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"task"')]
    if not results or done.returncode not in ((0,) if ok else FAILED):
        raise PlaybookFailed(shown)
    return [row["result"] for row in results]
