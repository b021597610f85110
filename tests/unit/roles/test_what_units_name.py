# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that gets a unit gets all that the unit names, too: the units of ours and the programs, whichever roles it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
HOSTS = ["pki", "frontend", "host", "replica", "hypervisor", "backup"]  # what a play gives a host; image_server is a part of these
TAKING_AWAY = re.compile(r"absent|^no_|^remove_|change_of_mind")
NEEDS = {"OnFailure", "OnSuccess", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds"}
ORDERS = {"After", "Before", "WantedBy"}  # a unit that is not there does no harm, but a misspelt one does
# Programs of packages: those that every Debian host has, and the others with the package that a role has to name.
ALWAYS = {"/bin/cp", "/bin/kill", "/usr/bin/echo", "/usr/bin/rm", "/usr/bin/systemctl", "/usr/bin/touch"}
PACKAGED = {"/usr/sbin/nginx": "nginx-light", "/usr/bin/nbdkit": "nbdkit", "/usr/sbin/dnsmasq": "dnsmasq-base"}


@dataclass
class Given:
    """What the tasks of some roles lay down: units with their files, the units' states, files, and the text of all tasks."""

    units: dict[str, Path] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    text: str = ""

    def add(self, other: Given) -> None:
        self.units |= other.units
        self.files |= other.files
        self.text += other.text


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def tasks_of(found: Any) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a file, those in blocks too."""
    for task in found or []:
        yield task
        for key in ("block", "rescue", "always"):
            yield from tasks_of(task.get(key))


def known_of(role: str) -> dict[str, Any]:
    """Return the variables of a role that declare a unit or a file of it."""
    return load(ROLES / role / "vars/main.yml") or {}


def rows_of(role: str, declared: Any) -> Iterator[dict[str, Any]]:
    """Yield the declared units or files, also those that are a variable of the role."""
    for row in declared if isinstance(declared, list) else []:
        variable = re.fullmatch(r"\{\{ (\w+) \}\}", row) if isinstance(row, str) else None
        yield known_of(role)[variable[1]] if variable else row


def included(task: dict[str, Any]) -> list[str]:
    """Return the task files that a task includes, for a template all that it can be."""
    for module in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks"):
        if module in task:
            name = task[module]["file"] if isinstance(task[module], dict) else task[module]
            return [f"{word}.yml" for word in re.findall(r"'(\w+)'", name)] if "{{" in name else [name]
    return []


def named_role(task: dict[str, Any]) -> tuple[str, str] | None:
    """Return the role and the task file that a task includes."""
    for module in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
        if module in task:
            return task[module]["name"].removeprefix("edge.cloud."), f"{task[module].get('tasks_from', 'main')}.yml"
    return None


@cache
def given_by(role: str, file: str = "main.yml", without: str = "") -> Given:
    """Return what a role's task file lays down, with all that it includes; ``without`` is a role that does nothing by itself."""
    found = Given()
    if TAKING_AWAY.search(file):
        return found
    path = ROLES / role / "tasks" / file
    found.text += path.read_text() + str(known_of(role))
    for task in tasks_of(load(path)):
        declared = task.get("edge.cloud.host_files", {})
        for row in rows_of(role, declared.get("units", [])):
            if source := row.get("template") or row.get("source"):
                found.units[str(row["name"])] = ROLES / role / ("templates" if "template" in row else "files") / str(source)
        found.files |= {str(row["path"]) for row in rows_of(role, declared.get("files", []))}
        for name in included(task):
            found.add(given_by(role, name, without))
        if other := named_role(task):
            found.add(given_by(*other, without))
    return found


def given_to(role: str, without: str = "") -> Given:
    """Return what a host gets that has a role, by all that the role depends on; see ``given_by``."""
    found = Given()
    for dependency in (load(ROLES / role / "meta/main.yml") or {}).get("dependencies", []):
        found.add(given_to(str(dependency["role"]).removeprefix("edge.cloud."), without))
    if role != without:
        found.add(given_by(role, without=without))
    return found


def settings_of(unit: Path) -> Iterator[tuple[str, str]]:
    for line in unit.read_text().replace("\\\n", " ").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            yield key, value


def named_by(unit: Path, keys: set[str]) -> set[str]:
    """Return the units of ours that a unit names, instances by their template."""
    words = [word for key, value in settings_of(unit) if key in keys for word in value.split()]
    return {re.sub(r"@[^.]+", "@", word) for word in words if word.startswith("edge-")}


def programs_of(unit: Path) -> set[str]:
    values = [value for key, value in settings_of(unit) if re.fullmatch(r"Exec(Start|Stop|Reload|Condition)\w*", key)]
    return {value.split()[0].lstrip("-@:+!") for value in values if value}


def all_units() -> set[Path]:
    kinds = ("service", "timer", "path", "socket")
    found = {path for kind in kinds for folder in ("templates", "files") for path in ROLES.glob(f"*/{folder}/*.{kind}*")}
    return {path for path in found if ".service.conf" not in path.name}


def test_each_unit_file_of_the_roles_is_installed_by_one_of_them() -> None:
    installed = {path for role in HOSTS for path in given_to(role).units.values()}
    assert installed == all_units(), "or this test does not find it"
    owners = [path.name.removesuffix(".j2") for path in all_units()]
    assert len(owners) == len(set(owners)), "one role owns it"


@pytest.mark.parametrize("without", ["", "pki"], ids=["all roles", "pki_state unmanaged"])
@pytest.mark.parametrize("role", HOSTS)
def test_a_host_with_a_unit_has_the_units_that_it_names(role: str, without: str) -> None:
    given = given_to(role, without)
    missing = {name: named_by(path, NEEDS) - set(given.units) for name, path in given.units.items()}
    assert {name: units for name, units in missing.items() if units} == {}


def test_no_unit_orders_itself_by_a_unit_that_no_role_has() -> None:
    known = {name for role in HOSTS for name in given_to(role).units}
    assert {path.name: named_by(path, ORDERS) - known for path in all_units() if named_by(path, ORDERS) - known} == {}


@pytest.mark.parametrize("role", HOSTS)
def test_a_timer_or_path_has_the_service_that_it_starts(role: str) -> None:
    units = given_to(role).units
    starting = [name for name in units if name.endswith((".timer", ".path"))]
    started = {name: dict(settings_of(units[name])).get("Unit", f"{name.rpartition('.')[0]}.service") for name in starting}
    assert {name: service for name, service in started.items() if service not in units} == {}


@pytest.mark.parametrize("role", HOSTS)
def test_a_host_with_a_unit_has_the_programs_that_it_starts(role: str) -> None:
    given = given_to(role)
    missing = {}
    for name, path in given.units.items():
        for program in programs_of(path) - ALWAYS - given.files:
            if program not in PACKAGED or not re.search(rf"\b{PACKAGED[program]}\b", given.text):
                missing[name] = program
    assert missing == {}
