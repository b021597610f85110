# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options from the command line (-e NAME=VALUE) and from INI inventories are strings: "false" means false."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play, printed
from support.processes import TREE
from support.templates import Template, names_in, option_types, problems, templates

TYPES = option_types()
FOLDERS = [TREE / name for name in ("roles", "playbooks", "inventories", "molecule")]
VALUES: dict[str, list[Any]] = {"bool": [False, True], "int": [7, 8], "float": [7.5, 8.0]}
OPTIONS = {name: kind for name, kind in TYPES.items() if kind in VALUES and "." not in name}
DEFAULTS = [
    yaml.safe_load(path.read_text()) for name in ("defaults", "vars") for path in sorted(TREE.glob(f"roles/*/{name}/main.yml"))
]
AROUND = {
    **{name: value for defaults in DEFAULTS for name, value in defaults.items() if name not in OPTIONS},
    "item": {"name": "n", "wanted": False},
    "hypervisor_result": {"virt_type": "kvm"},
    "hypervisor_running": ["web1"],
    "hypervisor_vms": {"domains": [{"name": "web1"}]},
    "quickstart_others": ["foreign"],
    "quickstart_domains": {"domains": [{"name": "web1"}, {"name": "foreign"}]},
    "quickstart_vm": "web1",
    "quickstart_packages": ["nginx-light"],
    "pki_present": {"stat": {"exists": False}},
    "preflight_own": {"uuid": "u1", "machine_id": "m1", "ahead": 1.5},
    "preflight_same_id": ["other"],
    "preflight_same_uuid": [],
    "ansible_managed": "managed",
    "image_server_name": "replica",
    "image_server_root": "/images",
    "image_server_images_root": "/images",
    "cluster_gone": {"clean": ["localhost"]},
}
"""What the templates use besides."""


def test_no_template_judges_an_option_as_it_was_given() -> None:
    found = [f"{one.file.relative_to(TREE)}: {sentence}" for one in templates(*FOLDERS) for sentence in problems(one, TYPES)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("{{ replica_nbd }}", True),
        ("{{ not replica_nbd }}", True),
        ("{{ x is defined and replica_nbd | default(true) }}", True),
        ("{{ 'a' if quickstart_remove_all else 'b' }}", False),
        ("{% if vars['replica_nbd'] | default(true) %}x{% endif %}", False),
        ("{{ item.adopt | default(false) or x is defined }}", False),
        ("{{ some_switch_of_no_specification }}", True),
        ("{{ quickstart_boot_timeout / 2 }}", False),
        ("{{ replica_port > 1024 }}", False),
        ("{{ replica_nbd == true }}", True),
        ("{{ {'a': replica_port} | to_json }}", False),
    ],
)
def test_a_template_that_does_is_found(text: str, condition: bool) -> None:
    assert problems(Template(TREE, text, condition), TYPES) != []


def rendered(folder: Path, case: str, given: dict[str, Any], way: str) -> dict[str, Any]:
    """Return what each template becomes for real Ansible with the options given as typed values, by -e, or by an INI inventory."""
    here = folder / f"{case}-{way}"
    here.mkdir()
    used = [one for one in templates(*FOLDERS) if names_in(one) & set(OPTIONS)]
    results = {f"{one.file.relative_to(TREE)} {number}": one.text for number, one in enumerate(used)}
    tasks = [{"ansible.builtin.debug": {"msg": "{{ results }}"}}]
    words = [f"{name}={value}" for name, value in given.items()]
    groups = "[frontend]\nlocalhost\n[replica]\nlocalhost\n[hypervisor]\nlocalhost\nother\n"
    (here / "hosts.ini").write_text(groups + ("[all:vars]\n" + "\n".join(words).lower() + "\n" if way == "ini" else ""))
    (here / "typed.json").write_text(json.dumps(given))
    options = {"typed": ["-e", f"@{here / 'typed.json'}"], "command": ["-e", " ".join(words).lower()], "ini": []}[way]
    done = local_play(here, {"vars": {**AROUND, "results": results}, "tasks": tasks}, "-i", str(here / "hosts.ini"), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = dict(printed(done))["localhost"]
    return found


@pytest.mark.parametrize("place", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_strings_do_what_typed_values_do(tmp_path: Path, place: int) -> None:
    """Every template that decides something by a boolean or number, from the command line and from INI."""
    given = {name: VALUES[kind][place] for name, kind in OPTIONS.items()}
    typed = rendered(tmp_path, str(place), given, "typed")
    assert rendered(tmp_path, str(place), given, "command") == typed
    assert rendered(tmp_path, str(place), given, "ini") == typed
    refused = [
        value for name, value in typed.items() if name.startswith("playbooks/quickstart_down.yml") and isinstance(value, bool)
    ]
    assert len(refused) == 2 and all(value is not bool(place) for value in refused)
