# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which integration tests are for ``make integration`` alone, because ``make test`` has a sample that stands for them."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a test as slow on the releases that ``slow_on`` names; the other release's run stands for it in ``make test``."""
    for item in items:
        marker = item.get_closest_marker("slow_on")
        spec = getattr(item, "callspec", None)
        if marker and spec and set(marker.args) & set(map(str, spec.params.values())):
            item.add_marker(pytest.mark.slow)
