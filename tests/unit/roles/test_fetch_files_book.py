# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook fetch_files refuses before it asks any host, by the real ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.processes import TREE

ASKED = {
    "fetch_files_host": "localhost",
    "fetch_files_vm": "web",
    "fetch_files_partition": "vda1",
    "fetch_files_names": ["/etc/fstab"],
    "fetch_files_into": "/srv/of-web",
}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"fetch_files_host": "elsewhere"}, "fetch_files_host: elsewhere; it has to be a host of the inventory"),
        ({"fetch_files_vm": "../web"}, "fetch_files_vm: give the name"),
        ({"fetch_files_names": "/etc/fstab"}, "fetch_files_names: give a list"),
        ({"fetch_files_names": ["/etc/fstab", "/../../etc/passwd"]}, "fetch_files_names: give a list"),
        ({"fetch_files_into": "of-web"}, "fetch_files_into: give the folder"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, changes: dict[str, Any], answer: str) -> None:
    argv = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*argv, "-e", json.dumps({**ASKED, **changes}), TREE / "playbooks/fetch_files.yml"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"), "ANSIBLE_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode != 0
    assert answer in done.stdout
    assert "Fetch the files" not in done.stdout
