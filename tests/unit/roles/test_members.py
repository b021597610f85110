# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one cluster are never taken for members of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from support.local_play import local_play, printed
from support.processes import TREE

TASKS = yaml.safe_load((TREE / "roles/host/tasks/members.yml").read_text())
HOSTS = [("localhost", "site1"), ("b1", "site1"), ("c1", "site2")]
CASES = [
    ("all", "it has hosts of the clusters site1, site2"),
    ("replica", "it has hosts of the clusters site1, site2"),
    ("none", "localhost is not in it"),
    ("site2", "localhost is not in it"),
    ("site1", None),
]


def added(*, clusters: bool) -> list[dict[str, Any]]:
    """Return the tasks that make the inventory one with two sites."""
    return [
        {"ansible.builtin.add_host": {"name": name, "groups": ["replica", site], **({"host_cluster": site} if clusters else {})}}
        for name, site in HOSTS
    ]


def checked(group: str) -> dict[str, Any]:
    """Return the role's check of a group, which prints the message of its refusal, or nothing."""
    passed = {"ansible.builtin.debug": {"msg": ""}}
    return {
        "block": [*TASKS, passed],
        "rescue": [{"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}],
        "vars": {"host_group": group},
    }


def test_a_group_with_hosts_of_two_clusters_is_refused(tmp_path: Path) -> None:
    """This host is one of site1; where no host says its cluster, all are of this one."""
    tasks = [*added(clusters=False), checked("all"), *added(clusters=True), *(checked(group) for group, _words in CASES)]
    done = local_play(tmp_path, {"vars": {"host_cluster": "site1"}, "tasks": tasks})
    assert done.returncode == 0, done.stdout + done.stderr
    unsaid, *found = (message for _host, message in printed(done))
    assert unsaid == ""
    for (group, words), message in zip(CASES, found, strict=True):
        assert (message == "") is (words is None), (group, message)
        assert words is None or (words in message and f"host_group: {group}" in message), (group, message)
