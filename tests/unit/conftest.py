# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all unit tests."""

from __future__ import annotations

import gc
import os

import pytest
from support.certificates import Authority
from support.examples import load_profile

load_profile()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of the test file's own."""
    return Authority(tmp_path_factory.mktemp("ca") / "ca")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of roles: few take long, and no worker of pytest-xdist is left with one of their files at the end."""
    items.sort(key=lambda item: "roles" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over the objects of thousands of tests, which are there until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Look for no garbage until all tests are there. With EDGE_COVERAGE set, measure the coverage of a worker of pytest-xdist.

    Each worker has a data file of its own.
    """
    gc.disable()
    if not os.environ.get("EDGE_COVERAGE") or not hasattr(config, "workerinput"):
        return
    from coverage import Coverage

    measured = Coverage(data_suffix=True)
    measured.start()

    def save() -> None:
        measured.stop()
        measured.save()

    config.add_cleanup(save)
