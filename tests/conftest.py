# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests only make test-all runs, because make test has a sample that stands for them.

Tests of Debian 12 (``bookworm``) are such tests, unless they are marked ``both_releases``. With EDGE_LEFT_OUT set, the names of the
tests that ``-m "not slow"`` leaves out are written to that file. A failure is printed when it happens: the whole run takes long.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

LONGEST = 6000
OTHER_RELEASE = "bookworm"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the other release as slow."""
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec and OTHER_RELEASE in map(str, spec.params.values()) and not item.get_closest_marker("both_releases"):
            item.add_marker(pytest.mark.slow)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Write down which tests are left out."""
    if path := os.environ.get("EDGE_LEFT_OUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{item.nodeid}\n" for item in items)


class _FailurePrinter:
    """Prints each failure at once."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter is not None:
            reporter.write_line(f"\n{report.nodeid} ({report.when}):\n{report.longreprtext[-LONGEST:]}")


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.pluginmanager.register(_FailurePrinter(config))
