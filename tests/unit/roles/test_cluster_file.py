# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a cluster has what was set for a host, wherever it was set: inventory, play, role parameter, command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from support.local_play import printed
from support.processes import TREE

ROLE = TREE / "roles/host"
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
GROUPS = {"frontend": ["f"], "replica": ["a", "b"], "hypervisor": ["a", "b", "c"]}


def described(
    folder: Path, hosts: dict[str, dict[str, Any]], play: dict[str, Any], words: tuple[str, ...] = ()
) -> dict[str, _cluster.Cluster]:
    """Return what each host's file says, made by the role's own tasks and template."""
    names: dict[str, dict[str, Any]] = {name: {**HERE, **hosts.get(name, {})} for name in ("f", "a", "b", "c")}
    children = {group: {"hosts": dict.fromkeys(members)} for group, members in GROUPS.items()}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": names, "children": children}}))
    text = f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/cluster.json.j2') }}}}"
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    unset = {name: value for name, value in defaults.items() if name not in play}
    (folder / "roles/t/defaults").mkdir(parents=True)
    (folder / "roles/t/defaults/main.yml").write_text(yaml.safe_dump(unset))
    (folder / "roles/t/tasks").mkdir()
    tasks = [*yaml.safe_load((ROLE / "tasks/known.yml").read_text()), {"ansible.builtin.debug": {"msg": {"text": text}}}]
    (folder / "roles/t/tasks/main.yml").write_text(yaml.safe_dump(tasks))
    book = folder / "book.yml"
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": [{"role": "t", **play}]}]))
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), *words, str(book)]
    environment = {**os.environ, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_ROLES_PATH": str(folder / "roles")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, made in printed(done):
        (folder / f"{name}.json").write_text(made["text"])
    return {name: _cluster.load(folder / f"{name}.json") for name in names}


def urls(cluster: _cluster.Cluster) -> list[str]:
    return [member.url for member in cluster.replicas]


def test_a_port_of_a_role_or_play_holds_for_every_host(tmp_path: Path) -> None:
    found = described(tmp_path, {}, {"replica_port": 9000, "frontend_port": 9001, "pki_dir": "/srv/pki"})
    for cluster in found.values():
        assert urls(cluster) == ["https://a:9000/", "https://b:9000/"]
        assert cluster.frontends == ("https://f:9001/",)
        assert cluster.tls.cert_file == Path("/srv/pki/host.crt")


def test_a_port_of_the_command_line_holds(tmp_path: Path) -> None:
    for cluster in described(tmp_path, {}, {}, ("-e", "replica_port=9000", "-e", "replica_nbd=false")).values():
        assert urls(cluster) == ["https://a:9000/", "https://b:9000/"]
        assert [member.nbd for member in cluster.replicas] == [None, None]


def test_what_is_set_for_one_host_is_for_no_other_and_ipv6_addresses_have_brackets(tmp_path: Path) -> None:
    hosts = {"a": {"ansible_host": "2001:db8::1", "replica_port": 9000}, "b": {"host_address": "[2001:db8::2]"}}
    found = described(tmp_path, hosts, {})
    for cluster in found.values():
        assert urls(cluster) == ["https://[2001:db8::1]:9000/", "https://[2001:db8::2]:8444/"]
        assert [member.nbd for member in cluster.replicas] == ["nbds://[2001:db8::1]:10809", "nbds://[2001:db8::2]:10809"]


@pytest.mark.parametrize("where", ["play", "inventory"])
def test_a_host_finds_itself_by_a_name_that_is_not_the_inventory_s(tmp_path: Path, where: str) -> None:
    play = {"host_name": "{{ inventory_hostname }}.site", "host_address": "10.0.0.{{ inventory_hostname | length }}"}
    hosts = dict.fromkeys(("a", "b", "c", "f"), play)
    found = described(tmp_path, hosts if where == "inventory" else {}, play if where == "play" else {})
    for name, cluster in found.items():
        assert [member.name for member in cluster.replicas] == ["a.site", "b.site"]
        assert cluster.is_replica is (name in GROUPS["replica"])
        assert [member.url for member in cluster.peers] == ["https://10.0.0.1:8444/"]
        assert name not in cluster.other_hypervisors and f"{name}.site" not in cluster.other_hypervisors


def test_images_have_a_quota_unless_it_is_turned_off(tmp_path: Path) -> None:
    hosts = {"a": {"host_quota_percent": "0"}, "b": {"host_quota_percent": 0, "host_quota_bytes": "1GiB"}}
    found = {name: cluster.images for name, cluster in described(tmp_path, hosts, {}).items()}
    assert (found["a"].quota_percent, found["b"].quota_percent, found["c"].quota_percent) == (None, None, 60.0)
    assert found["a"].quota_bytes is None and found["b"].quota_bytes == 2**30


def test_recovery_points_are_given_by_hypervisors_and_replicas(tmp_path: Path) -> None:
    hosts = {"b": {"replica_points_port": 9000}, "c": {"hypervisor_points_port": "9001", "hypervisor_serves_images": "false"}}
    for cluster in described(tmp_path, hosts, {}).values():
        assert [(one.name, one.url) for one in cluster.points] == [
            ("a", "https://a:8445/"), ("b", "https://b:9000/"), ("c", "https://c:9001/"),
        ]  # fmt: skip
        assert cluster.recovery == _cluster.Recovery()


def test_who_gives_no_recovery_points_and_how_many_are_kept(tmp_path: Path) -> None:
    hosts = {"a": {"replica_points": "false", "hypervisor_points_port": 9002}, "c": {"hypervisor_points": False}}
    play = {"host_recovery_keep": "3", "host_recovery_quota_bytes": "1GiB", "host_recovery_rate_limit": "1000"}
    found = described(tmp_path, hosts, {**play, "host_recovery_root": "/srv/points"})
    for cluster in found.values():
        assert [one.url for one in cluster.points] == ["https://a:9002/", "https://b:8445/"]
        assert [one.name for one in cluster.keepers] == ["b"], "a is a replica of images alone, and gives its own VMs' points"
        assert cluster.recovery == _cluster.Recovery(Path("/srv/points"), 3, 2**30, 1000)
