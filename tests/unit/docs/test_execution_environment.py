# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment, by the real ansible-builder: what is built, and what an installed collection asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.processes import TREE

DEFINITION = TREE / "meta/execution-environment.yml"
BUILDER = Path(sys.executable).with_name("ansible-builder")

pytestmark = pytest.mark.skipif(not BUILDER.exists(), reason="ansible-builder is not installed beside this Python")


def builder(*words: str | Path) -> str:
    done = subprocess.run([BUILDER, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed(path: Path) -> set[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def test_the_build_gets_the_collections_and_all_that_they_need(tmp_path: Path) -> None:
    builder("create", "-f", DEFINITION, "-c", tmp_path / "context", "--output-filename", "Containerfile")
    built = tmp_path / "context/_build"
    assert {"libvirt-python", "netaddr", "jmespath"} <= listed(built / "requirements.txt")
    assert any(line.startswith("libvirt-devel [compile") for line in listed(built / "bindep.txt"))
    wanted: dict[str, str] = yaml.safe_load((TREE / "galaxy.yml").read_text())["dependencies"]
    found = yaml.safe_load((built / "requirements.yml").read_text())["collections"]
    assert {entry["name"]: entry["version"] for entry in found} == wanted
    containerfile = (tmp_path / "context/Containerfile").read_text()
    assert containerfile.index("--set-enabled crb") < containerfile.index("FROM base AS galaxy")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The collection where ansible-galaxy puts it."""
    folder = tmp_path / "ansible_collections/edge/cloud"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(TREE)
    return tmp_path


def test_an_environment_with_the_collection_installed_gets_what_it_needs(installed: Path) -> None:
    found: dict[str, Any] = yaml.safe_load(builder("introspect", installed))
    asked = {kind: {line.partition("  #")[0] for line in lines} for kind, lines in found.items()}
    assert asked == {"python": listed(TREE / "ee-requirements.txt"), "system": listed(TREE / "ee-bindep.txt")}
