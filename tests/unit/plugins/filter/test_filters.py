# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters: as functions, by their documentation, and templated by Ansible."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.edge.cloud.plugins.filter import cluster_plan, cluster_removal
from ansible_collections.edge.cloud.plugins.filter import next_free as next_free_file
from ansible_collections.edge.cloud.plugins.filter import vtep_mtu as vtep_mtu_file
from ansible_collections.edge.cloud.plugins.filter.next_free import next_free
from ansible_collections.edge.cloud.plugins.filter.vtep_mtu import vtep_mtu
from support.processes import TREE


@pytest.mark.parametrize(
    ("within", "used", "found"),
    [
        ("192.0.2.0/24", [], "192.0.2.1"),
        ("192.0.2.0/24", ["192.0.2.1/24", "192.0.2.2-192.0.2.9", "2001:db8::1"], "192.0.2.10"),
        ("192.0.2.0/24", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.0/31", [], "192.0.2.0"),
        ("192.0.2.20-192.0.2.29", ["192.0.2.0/28", "192.0.2.20"], "192.0.2.21"),
        ("2001:db8::/32", ["2001:db8::/33"], "2001:db8:8000::"),
    ],
)
def test_the_next_free_address(within: str, used: Any, found: str) -> None:
    assert next_free(within, used) == found


def test_the_next_free_subnet() -> None:
    assert next_free("10.0.0.0/8", ["10.0.0.0/24", "10.0.1.7"], prefix_length=24) == "10.0.2.0/24"
    assert next_free("2001:db8::/32", ["2001:db8::/64"], 64) == "2001:db8:0:1::/64"


@pytest.mark.parametrize(
    ("within", "used", "prefix_length", "says"),
    [
        ("192.0.2.0/30", ["192.0.2.1", "192.0.2.2"], None, "192.0.2.0/30 has no free address; 2 are given as used"),
        ("192.0.2.0/30", ["192.0.2.0/30"], 31, "has no free subnet of /31"),
        ("192.0.2.5/24", [], None, "input: '192.0.2.5/24' is not a subnet"),
        ("192.0.2.0/24", ["x"], None, r"used\[0\]: 'x' is not an address"),
        ("192.0.2.0/24", [], 16, "prefix_length: /16"),
        ("192.0.2.0-192.0.2.9", [], 30, "input: "),
    ],
)
def test_no_next_free(within: str, used: list[str], prefix_length: int | None, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"edge.cloud.next_free: .*{says}|edge.cloud.next_free: {says}"):
        next_free(within, used, prefix_length)


@pytest.mark.parametrize(
    ("underlay", "kind", "mtu"),
    [
        (1500, "vxlan", 1450),
        ("9000", "vxlan6", 8930),
        (1500, ["wireguard", "vxlan"], 1390),
        (1500, ["wireguard6", "vxlan6"], 1350),
        (1500, ["vlan", "vxlan"], 1446),
        (626, "vxlan", 576),
    ],
)
def test_the_mtu_of_a_vtep(underlay: Any, kind: Any, mtu: int) -> None:
    assert vtep_mtu(underlay, kind) == mtu


@pytest.mark.parametrize(
    ("underlay", "kind", "says"),
    [
        (640, "vxlan6", "leaves 570 .* an MTU of 646 or more"),
        (600, "vxlan", "leaves 550"),
        (True, "vxlan", "True is not an MTU"),
        ("1500.5", "vxlan", "is not an MTU"),
        (70000, "vxlan", "is not an MTU"),
        (1500, "gre", "kind: 'gre' is unknown"),
        (1500, [], "kind: "),
    ],
)
def test_no_mtu(underlay: Any, kind: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        vtep_mtu(underlay, kind)


@pytest.mark.parametrize(("file", "name"), [(next_free_file, "next_free"), (vtep_mtu_file, "vtep_mtu")])
def test_the_examples_give_what_their_names_say(file: Any, name: str, tmp_path: Path) -> None:
    tasks = yaml.safe_load(file.EXAMPLES)
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    ended = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = re.findall(r'"msg": "?([^"\n]+)"?', ended.stdout)
    assert shown == [task["name"].rpartition(", ")[2] for task in tasks]
    assert list(file.FilterModule().filters()) == [name]


def test_the_filters_of_clusters_give_reasons_instead_of_errors() -> None:
    wanted = {
        "cluster": "site1",
        "group": ["a"],
        "hosts": [],
        "token_ms": 3000,
        "allow_unfenced": False,
        "allow_without_witness": False,
    }
    assert "a: no answer" in cluster_plan.FilterModule().filters()["cluster_plan"](wanted, {})["refused"]
    assert "a: no answer" in cluster_removal.FilterModule().filters()["cluster_removal"]("site1", {"a": "a"}, {})["refused"]
