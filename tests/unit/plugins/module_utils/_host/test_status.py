# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What edge-host status tells of services that failed."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._host.status import failures


def test_a_service_that_failed_is_told_with_the_time(tmp_path: Path) -> None:
    (tmp_path / "edge-scrub").touch()
    (tmp_path / "edge-gc").touch()
    os.utime(tmp_path / "edge-scrub", (1_000_000_000, 1_000_000_000))
    found = failures(tmp_path)
    assert [row["unit"] for row in found] == ["edge-gc.service", "edge-scrub.service"]
    assert found[1]["since"] == "2001-09-09T01:46:40+00:00"


def test_without_a_failure_nothing_is_told(tmp_path: Path) -> None:
    assert failures(tmp_path) == failures(tmp_path / "none") == []
