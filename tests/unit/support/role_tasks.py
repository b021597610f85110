# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles lay down on a host and what their removal takes away, read from their tasks with Ansible's own templates."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from support.processes import TREE

ROLES = TREE / "roles"
REMOVAL = re.compile(r"absent|^no_|^remove_|change_of_mind")
INCLUDES = ("ansible.builtin.include_role", "ansible.builtin.import_role")
TASK_FILES = ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")
BLOCKS = ("block", "rescue", "always")
UNSEEN = {"content", "validate", "mode", "owner", "group"}  # of a declared file: not where it is
UNITS = "/etc/systemd/system"
NAME = "edge1"
AROUND: dict[str, Any] = {
    "inventory_hostname": NAME,
    "groups": {name: [NAME] for name in ("all", "frontend", "replica", "hypervisor", "evpn", "cluster_site1")},
    "hostvars": {NAME: {"cluster_key": "c4n4ry"}},
    "ansible_facts": {"architecture": "x86_64", "distribution_release": "trixie"},
    "group_names": ["frontend", "replica", "hypervisor", "evpn", "cluster_site1"],
    "ansible_check_mode": False,
    "role_path": "/nowhere",
    "pki_made": [{"path": "{{ pki_dir }}/host.crt"}, {"path": "{{ pki_dir }}/qemu.crt"}],
    "pki_target": NAME,
    "image_server_nginx": {"stat": {"exists": True}},
    "hypervisor_bridge_netfilter": False,
    "hypervisor_drill_days": 30,
    "backup_password": "c4n4ry",
    "replica_points_nbd": True,
    "evpn_is_ours": True,
    "evpn_daemons_text": "zebra=yes",
    "evpn_texts": {},
    "cluster_plan": {"conf": "totem {}", "key_from": "", "key_to": [NAME], "new": [NAME], "actions": []},
    "cluster_gone": {"hosts": [NAME], "clean": [NAME], "refused": ""},
    "appliance_stem": "{{ appliance_output_dir }}/debian-web",
}
"""What tasks use besides the defaults and variables of the roles, of a host that has all roles."""

Traces = dict[str, set[str]]
"""By kind: paths, trees (folders with all that is in them), running units, users, settings of libvirt, packages, libraries."""
Step = tuple[dict[str, Any], dict[str, Any]]
"""A task and the variables that it has."""

# Modules whose traces are not files or units that a role declares, each with who takes those away.
NO_FILES_OF_OURS = {
    **dict.fromkeys(("assert", "debug", "fail", "find", "meta", "set_fact", "slurp", "stat"), "they only look and decide"),
    **dict.fromkeys(("command", "script", "systemd_service"), "they only run something"),
    **dict.fromkeys((*INCLUDES, *TASK_FILES), "followed"),
    "community.crypto.openssl_csr_pipe": "returns a text",
    "edge.cloud.host_certificate": "returns a text",
    "edge.cloud.datastore_image": "images, which remove_images.yml removes by the names that images have",
    "edge.cloud.replica_image": "images, which remove_images.yml removes by the names that images have",
    "edge.cloud.nat_network": "absent_libvirt.yml lists them on the host",
    "edge.cloud.virtual_network_path": "only looks",
    "edge.cloud.cluster_membership_info": "only looks",
}


def trusted(value: Any) -> Any:
    """Return a value of a YAML file whose texts Ansible takes as templates."""
    if isinstance(value, dict):
        return {key: trusted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


def load(path: Path) -> Any:
    """Return what a YAML file has, if it is there."""
    return trusted(yaml.safe_load(path.read_text())) if path.exists() else None


def variables() -> dict[str, Any]:
    """Return the variables of all roles, of which each has names of its own."""
    found: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        for path in sorted(ROLES.glob(f"*/{folder}/main.yml")):
            found |= load(path) or {}
    return found | trusted(AROUND)


def filled(value: Any, scope: dict[str, Any]) -> Any:
    """Return a value with its templates filled in."""
    return Templar(loader=DataLoader(), variables=scope).template(value)


@dataclass
class Walk:
    """A walk over the tasks of a role, whatever their conditions; one for a removal goes through nothing else."""

    removal: bool
    registered: dict[str, Any] = field(default_factory=dict)

    def steps(self, role: str, file: str, scope: dict[str, Any]) -> Iterator[Step]:
        """Yield each task of a task file and of those that it includes."""
        if self.removal or not REMOVAL.search(file):
            yield from self._steps(load(ROLES / role / "tasks" / file) or [], role, scope)

    def _steps(self, tasks: list[dict[str, Any]], role: str, scope: dict[str, Any]) -> Iterator[Step]:
        for task in tasks:
            inner = scope | task.get("vars", {})
            for key in BLOCKS:
                yield from self._steps(task.get(key, []), role, inner)
            for name, file in included(task, role):
                yield from self.steps(name, file, inner)
            inner |= self.registered
            if "register" in task:
                self.registered[task["register"]] = answer(task, inner)
            yield task, inner


def included(task: dict[str, Any], role: str) -> Iterator[tuple[str, str]]:
    """Yield the roles and task files that a task includes, for a template all that it can be."""
    for module in INCLUDES:
        if module in task:
            yield str(task[module]["name"]).removeprefix("edge.cloud."), f"{task[module].get('tasks_from', 'main')}.yml"
    for module in TASK_FILES:
        if module in task:
            given = task[module]["file"] if isinstance(task[module], dict) else task[module]
            for name in [f"{word}.yml" for word in re.findall(r"'(\w+)'", given)] if "{{" in given else [given]:
                yield role, name


def answer(task: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
    """Return what a task that looks would find on a host on which all is there."""
    if "ansible.builtin.stat" not in task:
        return {"results": [], "files": [], "changed": True, "stdout": "", "lists": "", "bundle": ""}
    link = {"islnk": True, "lnk_target": filled(trust_as_template("{{ pki_dir }}/x"), scope)}
    owner = {"pw_name": "root", "gr_name": "root", "mode": "0644"}
    found = [
        {"item": one, "stat": {"exists": True, "path": path, "mtime": 0.0, **link, **owner}}
        for one, path in _each(task, "stat", "path", scope)
    ]
    return {"results": found, "stat": found[0]["stat"]}


def _each(task: dict[str, Any], module: str, key: str, scope: dict[str, Any]) -> list[tuple[Any, str]]:
    """Return each item of a task's loop with an option of its module for it."""
    given = task[module if "." in module else f"ansible.builtin.{module}"]
    items = filled(task["loop"], scope) if "loop" in task else [None]
    return [(one, str(filled(given[key], scope | {"item": one}))) for one in items]


def modules_of(task: dict[str, Any]) -> set[str]:
    """Return the module of a task."""
    return {key for key in task if "." in key}


def traces(role: str, file: str) -> Traces:
    """Return what the tasks of a file lay down, or those of a removal take away."""
    kinds: Traces = defaultdict(set)
    removal = bool(REMOVAL.search(file))
    for task, scope in Walk(removal).steps(role, file, variables()):
        for name in modules_of(task):
            options = task[name] or {}
            if name == "edge.cloud.host_files":
                _declared(task, options, scope, removal, kinds)
            elif name == "ansible.builtin.systemd_service" and removal and options.get("enabled") is False:
                kinds["running"] |= {unit for _one, unit in _each(task, name, "name", scope)}
            elif name in SIMPLE:
                absent = options.get("state") == "absent"
                if absent is removal:
                    kind, key = SIMPLE[name]
                    kinds[kind] |= {value for _one, value in _each(task, name, key, scope)} if key else {name}
                if absent and removal and name == "ansible.builtin.file":
                    kinds["trees"] |= {path for _one, path in _each(task, name, "path", scope)}
            elif name == "edge.cloud.host_certificate_request":
                names = [one["name"] for one in filled(trust_as_template("{{ pki_certificates }}"), scope)]
                kinds["paths"] |= {f"{filled(options['path'], scope)}/{one}.key" for one in names}
    return kinds


SIMPLE = {
    "ansible.builtin.file": ("paths", "path"),
    "ansible.builtin.copy": ("paths", "dest"),
    "ansible.builtin.template": ("paths", "dest"),
    "ansible.builtin.user": ("users", "name"),
    "community.crypto.openssl_privatekey": ("paths", "path"),
    "community.crypto.x509_certificate": ("paths", "path"),
    "edge.cloud.certificate_authority": ("paths", "path"),
    "edge.cloud.host_packages": ("packages", "needed_by"),
    "edge.cloud.libvirt_settings": ("settings", "name"),
    "edge.cloud.host_library": ("library", ""),
}
KNOWN = {*SIMPLE, *NO_FILES_OF_OURS, "edge.cloud.host_files", "edge.cloud.host_certificate_request"}
KNOWN |= {f"ansible.builtin.{name}" for name in NO_FILES_OF_OURS if "." not in name}


def _declared(task: dict[str, Any], options: dict[str, Any], scope: dict[str, Any], removal: bool, kinds: Traces) -> None:
    """Add what a task with host_files declares."""
    items = filled(task["loop"], scope) if "loop" in task else [None]
    for item in items:
        given = {
            key: [filled(row, scope | {"item": item}) for row in _rows(options.get(key, []), scope)]
            for key in ("folders", "files", "links", "units")
        }
        whole = options.get("state") == "absent"
        for row in given["folders"] + given["files"] + given["links"]:
            # A removal gives files of packages back the text that they had.
            if removal or not (whole or row.get("state") == "absent"):
                kinds["paths"].add(row["path"].rstrip("/"))
                if removal and row.get("remove_contents"):
                    kinds["trees"].add(row["path"])
        for row in given["units"]:
            own = any(row.get(key) for key in ("template", "source", "content"))
            if own and (row.get("state") == "absent") is removal:
                kinds["paths"].add(f"{UNITS}/{row['name']}")
                if removal or row.get("enabled") or row.get("state") == "started":
                    kinds["running"].add(row["name"])


def _rows(declared: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a list that a task declares: only what says where a thing is and how it is, not its text."""
    rows = filled(declared, scope) if isinstance(declared, str) else declared
    rows = [scope[row.strip("{ }")] if isinstance(row, str) else row for row in rows]
    return [
        {key: value for key, value in row.items() if key not in ("content", "validate", "mode", "owner", "group")} for row in rows
    ]


def with_state() -> set[str]:
    """Return the roles that can be taken off a host."""
    specifications = {path.parent.parent.name: path for path in ROLES.glob("*/meta/argument_specs.yml")}
    return {role for role, path in specifications.items() if f"{role}_state:" in path.read_text()}


PARTS = {"image_server"}
"""Roles that no play names: others include them."""


def laid_down() -> Traces:
    """Return what all roles lay down on a host."""
    found: Traces = defaultdict(set)
    for role in sorted(path.name for path in ROLES.iterdir()):
        if role not in PARTS:
            for kind, names in traces(role, "main.yml").items():
                found[kind] |= names
    return found


def taken_away() -> Traces:
    """Return what the removal of all roles takes away."""
    found: Traces = defaultdict(set)
    for role in sorted(with_state() - PARTS):
        for kind, names in traces(role, "absent.yml").items():
            found[kind] |= names
    return found


def forgotten(laid: Traces, taken: Traces) -> dict[str, list[str]]:
    """Return what is laid down and not taken away, by kind."""
    found = {}
    for kind, names in laid.items():
        left = names - taken[kind]
        if kind == "paths":
            left = {path for path in left if not any(path == tree or path.startswith(f"{tree}/") for tree in taken["trees"])}
        if left:
            found[kind] = sorted(left)
    return found
