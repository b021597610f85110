# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests are for ``make integration`` alone, because ``make test`` has a sample that stands for them.

A failure of one on lab hosts is told when it happens: the whole run takes long.
"""

from __future__ import annotations

import pytest

LONGEST = 6000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a test as slow on the releases that ``slow_on`` names; the other release's run stands for it in ``make test``."""
    for item in items:
        marker = item.get_closest_marker("slow_on")
        spec = getattr(item, "callspec", None)
        if marker and spec and set(marker.args) & set(map(str, spec.params.values())):
            item.add_marker(pytest.mark.slow)


class _Teller:
    """Writes each failure at once."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter is not None:
            reporter.write_line(f"\n{report.nodeid} ({report.when}):\n{report.longreprtext[-LONGEST:]}")


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.pluginmanager.register(_Teller(config))
