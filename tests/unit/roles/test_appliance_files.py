# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the VM reach the program that builds it in one file, each byte as it is."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml
from support.local_play import local_play
from support.programs import loaded

ROLE = Path(__file__).resolve().parents[3] / "roles/appliance"


def program(monkeypatch: Any) -> Any:
    monkeypatch.syspath_prepend(str(ROLE / "files"))
    return loaded(ROLE / "files/build-appliance")


def test_one_file_has_all_files_of_the_vm(tmp_path: Path, monkeypatch: Any) -> None:
    tasks = yaml.safe_load((ROLE / "tasks/build.yml").read_text())[1]["block"]
    copy = next(task for task in tasks if task["name"] == "Copy the files of the VM")
    copy["ansible.builtin.copy"] = {"content": copy["ansible.builtin.copy"]["content"], "dest": str(tmp_path / "guest.json")}
    copy["vars"] = {"role_path": str(ROLE)}
    done = local_play(tmp_path, {"vars_files": [str(ROLE / "vars/main.yml")], "tasks": [copy]})
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name: path.read_text() for path in (ROLE / "files/guest").iterdir()}
    assert json.loads((tmp_path / "guest.json").read_text()) == files

    build = program(monkeypatch)
    both = (Namespace(guest_files=tmp_path / "guest.json"), Namespace(guest_files=None, guest_dir=ROLE / "files/guest"))
    assert [{name: build.guest_text(args, name) for name in files} for args in both] == [files, files]
