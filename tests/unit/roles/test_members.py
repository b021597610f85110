# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one cluster are never taken for members of another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from support.local_play import local_play
from support.processes import TREE

TASKS = yaml.safe_load((TREE / "roles/host/tasks/members.yml").read_text())


def check(tmp_path: Path, group: str, *, clusters: bool) -> subprocess.CompletedProcess[str]:
    """Check this host, one of site1, in an inventory with two sites."""
    hosts = [("localhost", "site1"), ("b1", "site1"), ("c1", "site2")]
    tasks = [
        {"ansible.builtin.add_host": {"name": name, "groups": ["replica", site], **({"host_cluster": site} if clusters else {})}}
        for name, site in hosts
    ]
    return local_play(tmp_path, {"vars": {"host_group": group, "host_cluster": "site1"}, "tasks": tasks + TASKS})


@pytest.mark.parametrize(("group", "clusters", "found"), [
    ("all", True, "it has hosts of the clusters site1, site2"),
    ("replica", True, "it has hosts of the clusters site1, site2"),
    ("none", True, "localhost is not in it"),
    ("site2", True, "localhost is not in it"),
    ("site1", True, None),
    ("all", False, None),
])  # fmt: skip
def test_a_group_with_hosts_of_two_clusters_is_refused(tmp_path: Path, group: str, clusters: bool, found: str | None) -> None:
    done = check(tmp_path, group, clusters=clusters)
    shown = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode != 0) is (found is not None), shown
    assert found is None or (found in shown and f"host_group: {group}" in shown), shown
