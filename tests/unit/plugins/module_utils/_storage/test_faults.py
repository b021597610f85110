# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the fault run, with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import storage_faults


def test_a_sample_of_all_faults_loses_nothing(tmp_path: Path) -> None:
    rows = storage_faults.run(tmp_path, seed=3, kills=10, tries=1)
    assert [row for row in rows if not row["ok"]] == []
