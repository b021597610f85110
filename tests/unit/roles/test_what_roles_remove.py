# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role lays down, its removal takes away: files, links, units, users, settings and packages, by the tasks of both."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.processes import TREE
from support.role_tasks import (
    KNOWN,
    PARTS,
    ROLES,
    Traces,
    Walk,
    forgotten,
    laid_down,
    modules_of,
    taken_away,
    variables,
    with_state,
)


def book(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((TREE / f"playbooks/{name}.yml").read_text())
    return found


def roles_in(plays: list[dict[str, Any]]) -> set[str]:
    return {row["role"].removeprefix("edge.cloud.") for play in plays for row in play.get("roles", [])}


def needed_by(role: str) -> set[str]:
    about = yaml.safe_load((ROLES / role / "meta/main.yml").read_text())
    names = {str(row["role"]).removeprefix("edge.cloud.") for row in about["dependencies"]}
    return names.union({role}, *(needed_by(name) for name in names))


@pytest.fixture(scope="module")
def laid() -> Traces:
    return laid_down()


@pytest.fixture(scope="module")
def taken() -> Traces:
    return taken_away()


def test_what_the_roles_lay_down_is_taken_away(laid: Traces, taken: Traces) -> None:
    assert forgotten(laid, taken) == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("paths", "/usr/sbin/edge-host"),
        ("paths", "/etc/sysctl.d/10-edge-bridges.conf"),
        ("paths", "/etc/tmpfiles.d/edge-datastore.conf"),
        ("paths", "/etc/systemd/system/edge-failed@.service"),
        ("paths", "/etc/edge/pki/host.key"),
        ("paths", "/etc/pki/libvirt/private/serverkey.pem"),
        ("paths", "/var/lib/edge/leases/body"),
        ("running", "edge-images.service"),
        ("running", "edge-drills.timer"),
        ("users", "edge-points"),
        ("settings", "migration"),
        ("packages", "hypervisor-hardware"),
    ],
)
def test_what_is_laid_down_in_each_way_is_seen(laid: Traces, kind: str, name: str) -> None:
    """As a literal, in a loop, by a variable, by a role that another includes, in a list that a template makes."""
    assert name in laid[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("paths", "/etc/logrotate.d/edge"),
        ("paths", "/etc/edge/new.json"),
        ("paths", "/etc/systemd/system/edge-new.service"),
        ("running", "edge-new.timer"),
        ("users", "edge-new"),
    ],
)
def test_what_a_removal_forgets_is_found(laid: Traces, taken: Traces, kind: str, name: str) -> None:
    """``/etc/edge`` itself is removed when it is empty, which is not enough for a file in it."""
    assert forgotten({**laid, kind: laid[kind] | {name}}, taken) == {kind: [name]}


def test_no_role_uses_a_module_of_which_this_test_knows_nothing() -> None:
    scope = variables()
    used = {
        name
        for role in ROLES.iterdir()
        for task, _scope in Walk(False).steps(role.name, "main.yml", scope)
        for name in modules_of(task)
    }
    assert used - KNOWN == set(), "say in role_tasks.py what it lays down"


def test_the_reset_of_a_host_takes_off_every_role() -> None:
    plays = book("reset_host")
    reached = set().union(*(needed_by(role) for role in roles_in(plays)))
    assert reached == with_state() - PARTS
    absent = {name.removesuffix("_state") for play in plays for name, value in play["vars"].items() if value == "absent"}
    assert absent == reached


def test_the_quick_start_is_taken_off_by_that_reset() -> None:
    resets = [play for play in book("quickstart_down") if "ansible.builtin.import_playbook" in play]
    assert [play["ansible.builtin.import_playbook"] for play in resets] == ["reset_host.yml"]
    assert resets[0]["vars"].keys() & {f"{role}_state" for role in with_state()} == set()
    assert roles_in(book("quickstart")) - with_state() == {"preflight"}, "which lays down nothing"


def test_what_playbooks_lay_down_themselves_is_the_mark_only() -> None:
    """Whatever else the quick start lays down is a role's, which removes it."""
    tasks = [task for play in book("quickstart") for key in ("pre_tasks", "tasks") for task in play.get(key, [])]
    here = [task for task in tasks if task.get("delegate_to") != "localhost"]
    paths = {
        options.get("path") or options.get("dest")
        for task in here
        for name, options in task.items()
        if name in ("ansible.builtin.copy", "ansible.builtin.file")
    }
    assert paths == {"/etc/edge", "/etc/edge/quickstart.json"}
