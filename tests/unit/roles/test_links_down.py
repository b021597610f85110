# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role hypervisor takes links without a bridge off in an order in which none is upon another that goes before it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play
from support.processes import TREE

pytestmark = pytest.mark.slow  # it runs Ansible


def link(name: str, module: str, underlay: str, *, made: bool = True, boot: bool = True) -> dict[str, Any]:
    """Return a link as virtual_network_info lists it."""
    return {
        "name": name,
        "module": module,
        "links": [{"name": name, "underlay": underlay}] if made else [],
        "boot": {"name": name, "underlay": underlay} if boot else None,
    }


def of_links() -> dict[str, Any]:
    """Return the task that removes links, which includes absent_link.yml."""
    tasks: list[dict[str, Any]] = yaml.safe_load((TREE / "roles/hypervisor/tasks/absent.yml").read_text())
    return next(one for one in tasks if "absent_link.yml" in str(one))


def test_what_is_upon_a_link_goes_before_it(tmp_path: Path) -> None:
    task = of_links()
    (tmp_path / "absent_link.yml").write_text("- ansible.builtin.debug:\n    msg: went={{ hypervisor_link.name }}\n")
    networks = [
        {"name": "blue", "module": "virtual_network", "links": [{"name": "evb-blue"}], "boot": None},
        link("a0", "vlan", "eth0"),
        link("b0", "vlan", "a0", boot=False),
        link("c0", "vxlan", "b0", made=False),
        link("d0", "vlan", "c0"),
        link("e0", "vxlan", "eth0"),
    ]
    done = local_play(tmp_path, {"vars": {"hypervisor_virtual_networks": {"networks": networks}}, "tasks": [task]})
    assert done.returncode == 0, done.stdout + done.stderr
    went = re.findall(r"went=(\w+)", done.stdout)
    assert sorted(went) == ["a0", "b0", "c0", "d0", "e0"] and [name for name in went if name != "e0"] == ["d0", "c0", "b0", "a0"]
    nothing = local_play(tmp_path, {"vars": {"hypervisor_virtual_networks": {"networks": networks[:1]}}, "tasks": [task]})
    assert nothing.returncode == 0 and "went=" not in nothing.stdout, nothing.stdout + nothing.stderr


HOST = """
mount -t tmpfs none /run && mount -t tmpfs none "$0" && mkdir "$0/upper" "$0/work" || exit 77
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" /etc || exit 77
mkdir -p /etc/edge && ip link add eth9 type veth peer name far9 && ip link set far9 up || exit 1
ip link set eth9 up && ip addr add 192.0.2.11/24 dev eth9 || exit 1
exec "$@"
"""


def test_a_link_in_use_stays_and_is_named_and_the_others_go(tmp_path: Path) -> None:
    """With the real modules, in name spaces of its own for the network and the files of a host."""
    (tmp_path / "etc").mkdir()
    inside = ("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", HOST, str(tmp_path / "etc"))
    if subprocess.run([*inside, "true"], check=False).returncode == 77:
        pytest.skip("this kernel lets no user make the name spaces of a host")
    (tmp_path / "absent_link.yml").symlink_to(TREE / "roles/hypervisor/tasks/absent_link.yml")
    looked = [
        {"edge.cloud.virtual_network_info": {}, "register": "hypervisor_virtual_networks"},
        {**of_links(), "vars": {**of_links()["vars"], "hypervisor_remove_links": "{{ asked }}"}},
        {"edge.cloud.virtual_network_info": {}, "register": "left"},
        {"ansible.builtin.debug": {"msg": "left={{ left.networks | map(attribute='name') | join('+') }}."}},
    ]
    vxlan = {"underlay": "eth9", "members": ["192.0.2.12"]}
    tasks = [
        *[{"edge.cloud.vxlan": {"name": name, "vni": vni, **vxlan}} for vni, name in enumerate(("free0", "used0", "free1"), 1)],
        {"ansible.builtin.command": "ip addr add 198.51.100.1/24 dev used0"},
        *[{"block": looked, "vars": {"asked": asked}} for asked in ("false", "true")],
    ]
    done = local_play(tmp_path, {"tasks": tasks}, inside=inside)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"left=(.*?)\.", done.stdout) == ["used0", ""], done.stdout
    assert len(re.findall("used0 stays until the next boot", done.stdout)) == 1
    assert "198.51.100.1/24 of this host" in done.stdout


def test_a_link_that_cannot_be_removed_for_another_reason_stops_the_role(tmp_path: Path) -> None:
    (tmp_path / "absent_link.yml").symlink_to(TREE / "roles/hypervisor/tasks/absent_link.yml")
    given = {"name": "a/b", "module": "vlan", "links": [], "boot": None}
    play = {"vars": {"hypervisor_virtual_networks": {"networks": [given]}, "hypervisor_remove_links": False}, "tasks": [of_links()]}
    done = local_play(tmp_path, play)
    assert done.returncode != 0
    assert "stays until" not in done.stdout
