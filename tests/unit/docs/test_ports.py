# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of ports has what the roles have by default."""

from __future__ import annotations

import re

import yaml
from support.processes import TREE


def defaults() -> dict[str, str]:
    """Return the ports of all roles by variable; the quick start's and those that a role hands to another do not count."""
    found = {}
    for file in TREE.glob("roles/*/defaults/main.yml"):
        for name, value in yaml.safe_load(file.read_text()).items():
            if re.search(r"_ports?$", name) and not name.startswith(("image_server_", "preflight_")):
                found[name] = str(value)
    return found


def test_each_port_and_its_variable_are_on_the_page() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([0-9-]+) \| `(\w+)` \|", (TREE / "docs/ports.md").read_text(), re.MULTILINE)
    assert {variable: port for port, variable in rows if variable != "ansible_port"} == defaults()


def test_each_address_to_listen_on_is_on_the_page() -> None:
    page = (TREE / "docs/ports.md").read_text()
    files = [yaml.safe_load(file.read_text()) for file in TREE.glob("roles/*/defaults/main.yml")]
    names = {name for found in files for name in found if name.endswith("_listen") and not name.startswith("image_server_")}
    assert names and {name for name in names if f"`{name}`" not in page} == set()
