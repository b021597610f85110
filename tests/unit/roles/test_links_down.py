# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role hypervisor takes links without a bridge off in an order in which none is upon another that goes before it."""

from __future__ import annotations

import re
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


def test_what_is_upon_a_link_goes_before_it(tmp_path: Path) -> None:
    tasks = yaml.safe_load((TREE / "roles/hypervisor/tasks/absent.yml").read_text())
    task = next(one for one in tasks if "absent_link.yml" in str(one))
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
