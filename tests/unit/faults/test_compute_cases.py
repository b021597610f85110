# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault run of VMs finds the cases of all its files; running them takes lab hosts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import compute_faults


def test_every_file_gives_its_cases_for_each_release(tmp_path: Path) -> None:
    no_lab: Any = None
    stage = compute_faults.Stage(no_lab, tmp_path, random.Random(1), ("trixie", "bookworm"))
    names = [case.name for case in compute_faults.collect(stage, "")]
    assert len(names) == len(set(names)) and not stage.hosts
    for word in ("silent agent", "disk full", "killed at each step", "room ends while a disk", "migration: source unplugged"):
        assert len({name.split(":")[0] for name in names if word in name}) == 2, word
