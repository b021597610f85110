# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the storage faults that take real hosts, and of those of collections, imports and disks, with fixed seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import storage_faults
import storage_lab_faults
from edge_lab.api import Lab, unusable

pytestmark = [pytest.mark.integration]


@pytest.mark.lab
@pytest.mark.slow  # the cluster's tests pull plugs, too
def test_cables_and_plugs(tmp_path: Path) -> None:
    if reason := unusable():
        pytest.skip(reason)
    with storage_lab_faults.site(tmp_path, Lab(), 7, "sfault") as place:
        rows = storage_lab_faults.sample(place)
    assert [row for row in rows if not row["ok"]] == []


def test_collections_imports_and_disks(tmp_path: Path) -> None:
    rows = storage_faults.run_others(tmp_path, seed=7, kills=1, tries=2, steps=False)
    assert [row for row in rows if not row["ok"]] == []
