# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of fault runs and benches find the library: as lab hosts have it, beside it and without Ansible, and by make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import TREE

PROGRAMS = sorted(path for folder in ("faults", "bench") for path in (TREE / "tests" / folder).glob("*.py"))
ON_HOSTS = {"vm_driver.py"}
REPLACED = ("disks.DiskGuest", "disks.PushBackup", "snapshots.SnapshotGuest", "backup_job.frozen")


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def paths_of_make(folder: str) -> list[Path]:
    """Return the folders that the Makefile names for these programs, and the programs' own."""
    (found,) = re.findall(r"^PROGRAMS_PATH := (\S+)$", (TREE / "Makefile").read_text(), re.MULTILINE)
    return [*(TREE / name for name in found.split(":")), TREE / "tests" / folder]


@pytest.mark.parametrize("program", [path for path in PROGRAMS if path.name not in ON_HOSTS], ids=lambda path: path.name)
def test_every_program_is_imported_with_the_paths_of_make(program: Path) -> None:
    done = run(f"import {program.stem}", *paths_of_make(program.parent.name))
    assert done.returncode == 0, done.stderr


def test_the_driver_of_vms_finds_the_library_beside_it_and_every_name_that_it_replaces() -> None:
    code = f"import vm_driver as driver\nprint({', '.join(f'driver.{name}' for name in REPLACED)})"
    done = run(code, TREE / "plugins", TREE / "tests/faults")
    assert done.returncode == 0, done.stderr
    text = (TREE / "tests/faults/vm_driver.py").read_text()
    assert tuple(sorted(re.findall(r"^ +([a-z_]+\.\w+) = ", text, re.MULTILINE))) == tuple(sorted(REPLACED))
