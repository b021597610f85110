# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of a role that takes the options of a module takes all of them, and gives each to the module."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs.test_examples import MODULES, options_of
from support.images import qcow2
from support.local_play import local_play
from support.processes import TREE

COMPARED = ("type", "elements", "required", "choices", "default")
CASES = [
    ("frontend", "frontend_images", "datastore_image", {"root"}),
    ("hypervisor", "hypervisor_networks", "nat_network", set()),
]


def compared(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is checked of options, those of a module's documentation or of a role's specification."""
    plain = {}
    for name, about in options.items():
        shown = {key: about[key] for key in COMPARED if about.get(key) is not None}
        plain[name] = {**shown, "options": compared(about.get("options") or about.get("suboptions") or {})}
    return plain


def spec_of_role(role: str, variable: str) -> dict[str, Any]:
    found = yaml.safe_load((TREE / f"roles/{role}/meta/argument_specs.yml").read_text())
    options: dict[str, Any] = found["argument_specs"]["main"]["options"][variable]["options"]
    return options


def task_of(role: str, module: str) -> dict[str, Any]:
    tasks = yaml.safe_load((TREE / f"roles/{role}/tasks/main.yml").read_text())
    found: dict[str, Any] = next(task for task in tasks if f"edge.cloud.{module}" in task)
    return found


@pytest.mark.parametrize(("role", "variable", "module", "own"), CASES)
def test_a_role_takes_what_the_module_takes(role: str, variable: str, module: str, own: set[str]) -> None:
    wanted = {name: about for name, about in options_of(MODULES[module]).items() if name not in own}
    assert compared(spec_of_role(role, variable)) == compared(wanted)
    task = task_of(role, module)
    assert task["loop"] == f"{{{{ {variable} }}}}"
    given = task[f"edge.cloud.{module}"]
    assert set(given) == set(wanted) | own
    assert [name for name in wanted if f"item.{name}" not in given[name]] == []


Play = Callable[[list[dict[str, Any]], str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Import images as the role does, by the real ansible-playbook."""
    task = task_of("frontend", "datastore_image")
    check = {"ansible.builtin.validate_argument_spec": {"argument_spec": {"frontend_images": {
        "type": "list", "elements": "dict", "options": spec_of_role("frontend", "frontend_images")}}}}  # fmt: skip
    variables = {"frontend_datastore": str(tmp_path / "store")}

    def run(images: list[dict[str, Any]], verbosity: str) -> subprocess.CompletedProcess[str]:
        given = tmp_path / "given.json"
        given.write_text(json.dumps({"frontend_images": images}))
        imports = {"vars": variables, "tasks": [check, {**task, "register": "done"}]}
        return local_play(tmp_path, imports, verbosity, "--diff", "-e", f"@{given}")

    return run


def test_all_options_of_an_image_reach_the_module(tmp_path: Path, play: Play) -> None:
    image = {
        "name": "debian", "version": "13", "source": str(qcow2(tmp_path / "a.qcow2", 1)), "format": "qcow2", "compress": True,
        "pinned": True, "max_virtual_size": "1M", "min_disk": "2M", "disk_directories": [str(tmp_path)],
    }  # fmt: skip
    done = play([image], "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "store").glob("*.pin"))) == 1
    unknown = play([{**image, "checksums": "x"}], "-v")
    assert unknown.returncode != 0 and "checksums" in unknown.stdout + unknown.stderr


def test_no_secret_of_an_image_is_shown(play: Play) -> None:
    """Each way to give one, with everything that ansible-playbook tells."""
    secret = "c4n4ry"
    ways = [
        {"token": secret, "headers": {"X-Api-Key": secret}},
        {"access_key": "AKIA", "secret_key": secret, "session_token": secret},
        {"file": "/none/credentials.json"},
    ]
    image = {"version": "1", "source": "http://127.0.0.1:1/a", "allow_unverified": True}
    urls = [
        {"proxy": f"http://user:{secret}@127.0.0.1:1"},
        {"proxy": f"user:{secret}@127.0.0.1:1"},
        {"source": f"http://127.0.0.1:1/a?sig={secret}"},
        {"source": f"http://user:{secret}@127.0.0.1:1/a"},
        {"checksum": f"sha256:http://127.0.0.1:1/a.sha256?sig={secret}"},
        {"signature": f"http://127.0.0.1:1/a.asc?sig={secret}", "keyring": "/none"},
        {"source": None, "appliance": {"name": "a"}, "marketplace": {"kind": "index", "url": f"http://127.0.0.1:1/?sig={secret}"}},
    ]
    secretive = [*({"credentials": way} for way in ways), *urls]
    done = play([{**image, "name": f"n{number}", **way} for number, way in enumerate(secretive)], "-vvvv")
    assert done.returncode != 0 and done.stdout.count("censored") >= len(secretive) - 1
    assert secret not in done.stdout + done.stderr
    assert "credentials.file: /none/credentials.json does not exist" in done.stdout, "without secrets the reason is shown"
