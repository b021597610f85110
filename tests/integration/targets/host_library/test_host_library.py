# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.host_library by ansible-playbook, which sends the library along: a program of the host runs it without Ansible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.playbook import TREE, play

pytestmark = pytest.mark.integration
USE = """
import sys
sys.path.insert(0, sys.argv[1])
from edge_cloud._host.cli import main
sys.exit(main(["--config", "/nowhere/cluster.json", "config"]))
"""


def test_its_whole_life(tmp_path: Path) -> None:
    path = tmp_path / "edge"

    def library(**options: Any) -> dict[str, Any]:
        return {"edge.cloud.host_library": {"path": str(path), **options}}

    (planned,) = play([library()], check=True)
    assert planned["changed"] and not path.exists()

    use = {"argv": ["python3", "-IBc", USE, str(path / "current")]}
    made, again, used = play([library(), library(), {"ansible.builtin.command": use, "ignore_errors": True}])
    for key in ("changed", "actions", "diff", "library"):
        assert made[key] == planned[key], key
    assert made["library"]["whole"] and not again["changed"]
    assert '"code": ' in used["stdout"] and "/nowhere/cluster.json" in used["stdout"], used
    ours = {file.relative_to(TREE / "plugins/module_utils") for file in (TREE / "plugins/module_utils").rglob("*.py")}
    theirs = {file.relative_to(path / "current/edge_cloud") for file in (path / "current/edge_cloud").rglob("*.py")}
    assert theirs == ours

    spoilt = path / "current/edge_cloud/_errors.py"
    spoilt.write_text("")
    mended, *gone = play([library(), library(state="absent"), library(state="absent")])
    assert mended["changed"] and mended["library"] == made["library"]
    assert [row["changed"] for row in gone] == [True, False] and not path.exists()
