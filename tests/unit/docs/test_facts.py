# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the documentation and metadata that nothing else would miss."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TREE = Path(__file__).resolve().parents[3]
DOCUMENTED = [
    path for folder in ("modules", "inventory", "callback", "doc_fragments") for path in TREE.glob(f"plugins/{folder}/*.py")
]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_nothing_was_added_in_a_version_that_is_to_come(path: Path) -> None:
    ours = yaml.safe_load((TREE / "galaxy.yml").read_text())["version"]
    added = re.findall(r"^ *version_added: *[\"']?([0-9.]+)", path.read_text(), re.MULTILINE)
    assert [version for version in added if numbers(version) > numbers(ours)] == []


def test_an_execution_environment_has_what_plugins_need_on_the_control_node(tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections/edge/cloud"
    shutil.copytree(TREE / "meta", place / "meta")
    (place / "MANIFEST.json").write_text("{}")
    program = Path(sys.executable).with_name("ansible-builder")
    shown = subprocess.run([program, "introspect", str(tmp_path)], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    found = yaml.safe_load(shown)
    python = {line.split()[0] for line in found["python"]}
    system = {line.split()[0]: line for line in found["system"]}
    assert {"libvirt-python", "jmespath", "netaddr"} <= python
    assert "compile" not in system["libvirt-libs"] and "compile" in system["libvirt-devel"] and "openssh-clients" in system


@pytest.mark.parametrize("page", ["docs/quickstart.md", "README.md", "inventories/quickstart/group_vars/all.yml"])
def test_a_size_in_an_example_has_a_unit(page: str) -> None:
    text = (TREE / page).read_text()
    assert re.findall(r"-e quickstart_(?:memory|disk)=[0-9]+(?![0-9]*[KMGT])", text) == []
