# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the library and of modules have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recovery import Replica


@pytest.fixture(scope="module")
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Replica:
    """A replica with three recovery points, or as many as the test file's ``POINTS``; tests change copies of it."""
    return Replica.with_points(tmp_path_factory.mktemp("prepared"), getattr(request.module, "POINTS", 3))


@pytest.fixture
def replica(prepared: Replica, tmp_path: Path) -> Replica:
    """A replica of the test's own, with the same points."""
    return prepared.copied(tmp_path / "recovery")
