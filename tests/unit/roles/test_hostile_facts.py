# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose answers have facts that stand above the inventory gets no certificate, and has nobody refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.authority import Room
from support.local_play import local_play
from support.processes import TREE

ROLE = TREE / "roles/pki/tasks"
SIGN = "Sign the certificates on the CA's host"
REFUSED = "The CA signs nothing for this host."
Tasks = list[dict[str, Any]]

pytestmark = pytest.mark.slow  # it runs Ansible


def hostile(folder: Path, facts: dict[str, Any]) -> str:
    """Return a Python whose modules answer what they are asked, and these facts."""
    made = folder / "python"
    more = f'{{"ansible_facts": {json.dumps(facts)}, '
    made.write_text(
        f"#!/bin/sh\nout=$({sys.executable} \"$@\")\nrc=$?\nprintf '%s\\n' \"$out\" | sed '0,/{{/s//{more}/'\nexit $rc\n"
    )
    made.chmod(0o755)
    return str(made)


def asked_and_signed() -> Tasks:
    """Return the tasks of the role from what it asks the host last to the signature."""
    tasks: Tasks = yaml.safe_load((ROLE / "main.yml").read_text())
    names = [task["name"] for task in tasks]
    return tasks[names.index("Make the keys of this host, and ask for certificates of them") : names.index(SIGN) + 1]


def revoked() -> Tasks:
    return list(yaml.safe_load((ROLE / "revocation.yml").read_text()))


@pytest.mark.parametrize(
    ("entry", "facts"),
    [
        (asked_and_signed, {"pki_names": ["DNS:frontend"]}),
        (asked_and_signed, {"host_address": "192.0.2.1"}),
        (asked_and_signed, {"inventory_hostname": "frontend"}),
        (revoked, {"pki_revoked_names": ["edge1"]}),
    ],
)
def test_facts_that_come_after_the_first_check(tmp_path: Path, entry: Any, facts: dict[str, Any]) -> None:
    done = signed(tmp_path, entry(), facts)
    shown = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and REFUSED in shown, shown


def signed(folder: Path, tasks: Tasks, facts: dict[str, Any], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run tasks of the role on a host that returns these facts."""
    for file in ROLE.glob("*.yml"):
        (folder / file.name).write_text(file.read_text())
    variables = {
        "ansible_python_interpreter": hostile(folder, facts),
        **yaml.safe_load((TREE / "roles/pki/vars/main.yml").read_text()),
        "pki_ca_host": "localhost",
        "pki_ca_dir": str(folder / "ca"),
        "pki_dir": str(folder / "pki"),
        "pki_qemu": False,
        "pki_group": "root",
        "pki_extra_names": [],
        "pki_certificate_days": 365,
        "pki_renew_before_days": 100,
        "pki_revocation_days": 3650,
        "pki_refuse_removed": True,
        "pki_renew": False,
        **more,
    }
    return local_play(folder, {"vars": variables, "tasks": tasks})


@pytest.mark.parametrize(
    ("other", "said", "bad"),
    [
        ({"ansible_host": "2001:db8::7"}, "2001:DB8:0::7", True),
        ({"ansible_host": "192.0.2.1", "host_address": "192.0.2.7"}, "192.0.2.7", True),
        ({"ansible_host": "192.0.2.1"}, "victim", True),
        ({"ansible_host": "192.0.2.1", "host_address": "192.0.2.7"}, "192.0.2.8", False),
    ],
)
def test_an_address_of_facts_is_no_other_host_s(tmp_path: Path, other: dict[str, str], said: str, bad: bool) -> None:
    Room(tmp_path)
    add = {"ansible.builtin.add_host": {"name": "victim", **other}}
    note = {"ansible.builtin.set_fact": {"pki_not_own": "{{ pki_of_others }}"}}
    names = yaml.safe_load((TREE / "roles/pki/defaults/main.yml").read_text())["pki_names"]
    own = {"host_address": "{{ ansible_facts['card']['address'] }}", "pki_names": names, "pki_certificate_days": 30}
    (tmp_path / "pki").mkdir()
    tasks = [add, {"ansible.builtin.ping": {}}, note, *asked_and_signed()]
    done = signed(tmp_path, tasks, {"card": {"address": said}}, **own, pki_renew_before_days=15)
    shown = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) is bad and ("is that of another host" in shown) is bad, shown


@pytest.mark.parametrize(("fact", "bad"), [("host_address", True), ("inventory_hostname", True), ("hostname", False)])
def test_no_host_says_where_others_reach_it(tmp_path: Path, fact: str, bad: bool) -> None:
    tasks = yaml.safe_load((TREE / "roles/host/tasks/said.yml").read_text())
    variables = {"ansible_python_interpreter": hostile(tmp_path, {fact: "192.0.2.7"}), "host_group": "all"}
    done = local_play(tmp_path, {"vars": variables, "tasks": [{"ansible.builtin.ping": {}}, *tasks]})
    shown = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) is bad and (f": {fact}" in shown) is bad, shown


@pytest.mark.parametrize(("fact", "bad"), [("pki_ca_host", True), ("inventory_hostname", True), ("ca", False)])
def test_no_host_says_that_it_is_the_one_of_the_ca(tmp_path: Path, fact: str, bad: bool) -> None:
    tasks = yaml.safe_load((TREE / "playbooks/tasks/find_ca.yml").read_text())
    elsewhere = [{"ansible.builtin.add_host": {"name": "elsewhere", "groups": "frontend"}}]
    here = {"ansible.builtin.debug": {"msg": "groups={{ group_names }}"}}
    python = {"ansible_python_interpreter": hostile(tmp_path, {fact: "localhost"})}
    done = local_play(tmp_path, {"vars": python, "tasks": [*elsewhere, {"ansible.builtin.ping": {}}, *tasks, here]})
    shown = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) is bad and "edge_ca_here" not in shown, shown
    assert ("no host says where the CA is" in shown) is bad and ("edge_ca_elsewhere" in shown) is not bad, shown
