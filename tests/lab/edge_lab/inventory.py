# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a lab."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from .files import write_if_changed
from .hosts import Host, every
from .settings import Settings


def data(settings: Settings, hosts: Iterable[Host]) -> dict[str, object]:
    """Return an inventory with every host in the group lab."""
    common = (
        f"-o UserKnownHostsFile={settings.known_hosts} -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null "
        "-o IdentitiesOnly=yes"
    )
    return {
        "lab": {
            "hosts": {host.name: {"ansible_host": str(host.address)} for host in hosts},
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(settings.key),
                "ansible_ssh_common_args": common,
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_pipelining": "true",
            },
        }
    }


def text(settings: Settings, form: str) -> str:
    """Return the inventory as YAML, JSON or INI text."""
    hosts = every(settings)
    content = data(settings, hosts)
    if form == "json":
        return json.dumps(content, indent=2) + "\n"
    if form == "yaml":
        return "---\n" + "".join(f"{line}\n" for line in _yaml(content, 0))
    group = content["lab"]
    assert isinstance(group, dict)
    lines = ["[lab]", *(f"{host.name} ansible_host={host.address}" for host in hosts), "", "[lab:vars]"]
    return "\n".join([*lines, *(f"{key}={shlex.quote(value)}" for key, value in group["vars"].items())]) + "\n"


def _yaml(node: dict[str, object], depth: int) -> list[str]:
    lines = []
    for key, value in node.items():
        if isinstance(value, dict) and value:
            lines += [f"{'  ' * depth}{key}:", *_yaml(value, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{key}: {json.dumps(value)}")
    return lines


def write(settings: Settings) -> None:
    """Keep the lab's inventory file as its hosts are. The caller holds the lab's lock."""
    write_if_changed(settings.inventory, text(settings, "yaml"))
