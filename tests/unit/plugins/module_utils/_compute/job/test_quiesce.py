# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest is frozen and thawed, with libvirt's test driver; a real guest of a killed run is in tests/faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.quiesce import frozen
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from support.waiting import until

KILLED = """
import os, pathlib, signal, sys
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.quiesce import frozen
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
marker = pathlib.Path(sys.argv[1])
with connection("test:///default") as opened, frozen(opened.lookupByName("test"), marker, "required"):
    assert marker.exists()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def guest() -> Iterator[Any]:
    with connection("test:///default") as opened:
        yield opened.lookupByName("test")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "frozen"


@pytest.mark.parametrize(("quiesce", "wanted"), [("never", False), ("auto", True), ("required", True)])
def test_frozen_within_and_thawed_after_it(guest: Any, marker: Path, quiesce: str, wanted: bool) -> None:
    with frozen(guest, marker, quiesce) as done:
        assert done is wanted and marker.exists() is wanted
    assert not marker.exists()
    assert guest.fsThaw() == 0, "nothing is left to be thawed"


def test_a_guest_that_cannot_be_frozen(guest: Any, marker: Path) -> None:
    guest.destroy()
    with frozen(guest, marker, "auto") as done:
        assert not done
    with pytest.raises(EdgeError, match="Could not freeze the file systems of domain test"), frozen(guest, marker, "required"):
        pytest.fail("it went on")
    assert not marker.exists()


def test_an_error_within_thaws_too(guest: Any, marker: Path) -> None:
    with pytest.raises(RuntimeError), frozen(guest, marker, "required"):
        raise RuntimeError
    assert not marker.exists() and guest.fsThaw() == 0


def test_a_killed_run_leaves_it_to_the_guard(marker: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(marker)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    until(lambda: not marker.exists(), "the thaw by another process")
