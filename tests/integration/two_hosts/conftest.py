# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two lab hosts that migrate VMs to each other, for all the tests here."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support.migration_hosts import Pair, pair


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Have the hosts; they are of the release that LAB_RELEASE names."""
    if reason := unusable():
        pytest.skip(reason)
    release = os.environ.get("LAB_RELEASE", "trixie")
    with pair("two", release, tmp_path_factory.mktemp(release), distant_data=True) as found:
        yield found
