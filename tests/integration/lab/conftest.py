# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of its own for the tests of the lab, beside any other that is on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_lab.api import Lab, LabHost, unusable
from edge_lab.locking import locked
from edge_lab.settings import Settings

from .support import NAME, Traces, traces


@pytest.fixture(scope="package")
def settings() -> Iterator[Settings]:
    """Settings of a lab named for the tests; two test runs take turns."""
    if reason := unusable():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_LAB", NAME)
        patch.delenv("EDGE_LAB_SUBNET", raising=False)
        turn = Path(f"/run/edge-lab-{NAME}.turn")
        with locked(turn, "tests of the lab"):
            found = Settings.from_environment()
            Lab(found).clear()
            yield found
            Lab(found).clear()
            turn.unlink()


@pytest.fixture(scope="package")
def before(settings: Settings) -> Traces:
    """What the machine showed of this lab before it had a host."""
    return traces(settings)


@pytest.fixture(scope="package")
def lab(settings: Settings, before: Traces) -> Lab:
    """The lab."""
    del before
    return Lab(settings)


@pytest.fixture
def pair(lab: Lab) -> Iterator[tuple[LabHost, LabHost]]:
    """Two hosts that run, reach each other and are well, whatever the test before did."""
    one, two = lab.up(2)
    yield one, two
    for host in lab.hosts():
        host.mend()
