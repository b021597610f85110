# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only hypervisors of the same cluster may connect to libvirt, and a list of them that came out empty never admits everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play, printed
from support.processes import TREE

ROLE = TREE / "roles/hypervisor"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
NAMES = ("hypervisor_migration", "hypervisor_migration_peers")
REFUSAL, *REST = yaml.safe_load((ROLE / "tasks/migration.yml").read_text())
SETTINGS = next(task["edge.cloud.libvirt_settings"] for task in REST if "edge.cloud.libvirt_settings" in task)
ADMITTED = next(file["settings"]["tls_allowed_dn_list"] for file in SETTINGS["files"] if "tls_allowed_dn_list" in file["settings"])
SITES = {"site1": ["localhost", "a1"], "site2": ["b1", "b2"]}


def answered(folder: Path, given: dict[str, Any], group: str) -> Any:
    """Return who is admitted, or the message of the refusal, with the role's own defaults where nothing is given."""
    hosts = [
        {"ansible.builtin.add_host": {"name": name, "groups": ["hypervisor", site], "host_cluster": site}}
        for site, names in SITES.items()
        for name in names
    ]
    shown = {"ansible.builtin.debug": {"msg": {"on": "{{ hypervisor_migration | bool }}", "admitted": ADMITTED}}}
    refused = {"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}
    asked = {"block": [REFUSAL, shown], "rescue": [refused]}
    variables = {**{name: DEFAULTS[name] for name in NAMES}, "host_group": group, **given}
    done = local_play(folder, {"vars": variables, "tasks": [*hosts, asked]})
    assert done.returncode == 0, done.stdout + done.stderr
    ((_host, message),) = printed(done)
    return message


def test_the_hypervisors_of_the_cluster_are_admitted(tmp_path: Path) -> None:
    assert answered(tmp_path, {}, "site1") == {"on": True, "admitted": ["CN=a1", "CN=localhost"]}


def test_a_name_that_is_longer_than_a_common_name_is_admitted_by_its_beginning(tmp_path: Path) -> None:
    found = answered(tmp_path, {"hypervisor_migration_peers": ["h" * 70]}, "site1")
    assert found["admitted"] == [f"CN={'h' * 64}"]


@pytest.mark.parametrize("peers", [[], ["*"], ["a1", "edge*"], ["a1,CN=*"], [""]])
def test_nobody_and_everybody_are_refused(tmp_path: Path, peers: list[str]) -> None:
    message = answered(tmp_path, {"hypervisor_migration_peers": peers}, "site1")
    assert "hypervisor_migration_peers: " in message and "is empty or has a name that is not an inventory name" in message


def test_a_hypervisor_alone_opens_no_port(tmp_path: Path) -> None:
    done = answered(tmp_path, {"hypervisor_migration_peers": ["localhost"]}, "site1")
    assert done["on"] is False
