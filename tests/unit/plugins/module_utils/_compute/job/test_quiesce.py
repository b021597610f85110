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
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.quiesce import frozen, thaw
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection, libvirt
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


HOST = """<node><domain type='test'><name>test</name><uuid>4a64cc71-19c4-2fd0-2323-3050941ea3c3</uuid><memory>8192</memory>
<vcpu>1</vcpu><os><type>hvm</type></os></domain></node>"""


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Any]:
    """A running guest of a host of the test's own: the default one is shared by all connections that are still open."""
    host = tmp_path / "host.xml"
    host.write_text(HOST)
    with connection(f"test://{host}") as opened:
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


class Silent:
    """A guest of libvirt's test driver whose agent is connected and answers a thaw only when ``answers`` says so."""

    def __init__(self, guest: Any, answers: bool, state: str = "connected") -> None:
        self.guest, self.answers = guest, answers
        self.xml = AGENT.format(state=state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.guest, name)

    def XMLDesc(self, _flags: int = 0) -> str:
        return self.xml

    def fsThaw(self) -> int:
        if not self.answers:
            raise libvirt.libvirtError("the agent is busy")
        return int(self.guest.fsThaw())


AGENT = "<domain><devices><channel><target name='org.qemu.guest_agent.0' state='{state}'/></channel></devices></domain>"


def test_an_agent_that_still_flushes_is_thawed_by_the_guard(guest: Any, marker: Path) -> None:
    with frozen(Silent(guest, False), marker, "required"):
        pass
    until(lambda: not marker.exists(), "the thaw by another process")


def test_a_marker_stays_while_the_agent_does_not_answer(guest: Any, marker: Path) -> None:
    marker.parent.mkdir()
    marker.touch()
    assert not thaw(Silent(guest, False), marker)
    assert marker.exists(), "the guest may be frozen"
    assert thaw(Silent(guest, True), marker)
    assert not marker.exists()


def test_a_guest_without_agent_has_nothing_to_be_thawed(guest: Any, marker: Path) -> None:
    marker.parent.mkdir()
    marker.touch()
    assert thaw(Silent(guest, False, "disconnected"), marker)
    assert not marker.exists()
