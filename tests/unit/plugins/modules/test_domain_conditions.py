# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state that libvirt has for a domain, with every state that can be asked: libvirt's test driver starts domains in any."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.apply import Guest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.power import Wake
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.observe import PAUSED_CONDITIONS, run_state
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.source import HALTED
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.modules import run_module
from support.waiting import LIMIT

SCHEMA = "http://libvirt.org/schemas/domain/test/1.0"
NODE = """<node xmlns:test='{schema}'><domain type='test' xmlns:test='{schema}'><name>web</name><memory>65536</memory>
<os><type>hvm</type></os><test:runstate>{state}</test:runstate></domain></node>"""
STATES = {"blocked": 2, "paused": 3, "shutting down": 4, "stopped": 5, "crashed": 6, "suspended": 7, "running": 1}
WAKE, STOP, START, PAUSE, RESUME, SAVE = "Wake", "Shut down", "Start", "Pause", "Resume", "Save"
RESET, UNDEFINE = "Reset", "Undefine"


@pytest.fixture
def run(tmp_path: Path, folders: Folders, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def call(found: str, asked: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        (tmp_path / "node.xml").write_text(NODE.format(schema=SCHEMA, state=STATES[found]))
        uri = f"test://{tmp_path}/node.xml"
        return run_module(capsys, "domain", check=check, uri=uri, name="web", state=asked, adopt=True, timeout=0, **options)

    return call


def way(done: dict[str, Any]) -> list[str]:
    """Return what was done with the guest, by the first words, or the error's code."""
    words = (WAKE, STOP, START, PAUSE, RESUME, SAVE, RESET, UNDEFINE)
    if "error" in done:
        return [done["error"]["code"]]
    return [word for action in done["actions"] for word in words if action.startswith(f"{word} domain")]


@pytest.mark.parametrize(
    ("found", "asked", "without", "force"),
    [
        ("blocked", "running", [], []),
        ("running", "paused", [PAUSE], [PAUSE]),
        ("paused", "running", [RESUME], [RESUME]),
        ("suspended", "running", [WAKE], [WAKE]),
        ("suspended", "paused", [], []),
        ("suspended", "saved", [WAKE, SAVE], [WAKE, SAVE]),
        ("suspended", "stopped", [STOP], [STOP]),
        ("suspended", "absent", [STOP, UNDEFINE], [STOP, UNDEFINE]),
        ("crashed", "running", ["refused"], [STOP, START]),
        ("crashed", "paused", ["refused"], [STOP, START, PAUSE]),
        ("crashed", "stopped", ["refused"], [STOP]),
        ("crashed", "saved", ["refused"], ["refused"]),
        ("crashed", "absent", ["refused"], [STOP, UNDEFINE]),
        ("shutting down", "running", [STOP, START], [STOP, START]),
        ("shutting down", "paused", [STOP, START, PAUSE], [STOP, START, PAUSE]),
        ("shutting down", "stopped", [STOP], [STOP]),
        ("shutting down", "saved", ["refused"], ["refused"]),
        ("suspended", "restarted", [WAKE, STOP, START], [WAKE, STOP, START]),
        ("crashed", "restarted", ["refused"], [STOP, START]),
        ("shutting down", "restarted", [STOP, START], [STOP, START]),
        ("suspended", "reset", [WAKE, RESET], [WAKE, RESET]),
        ("crashed", "reset", ["refused"], [STOP, START]),
        ("shutting down", "reset", [STOP, START], [STOP, START]),
    ],
)
def test_the_way_from_each_state_to_each(run: Any, found: str, asked: str, without: list[str], force: list[str]) -> None:
    assert way(run(found, asked, check=True)) == without
    assert way(run(found, asked, check=True, force_stop=True)) == force


@pytest.mark.parametrize("found", [one for one in STATES if one != "stopped"])
def test_force_stop_ends_a_guest_in_any_state(run: Any, found: str) -> None:
    """Also one that cannot be woken: the test driver cannot."""
    done = run(found, "stopped", force_stop=True)
    assert done["domain"]["state"] == "stopped", done


def test_a_guest_that_cannot_be_woken_is_an_error(run: Any) -> None:
    assert "Could not wake domain web" in run("suspended", "running")["msg"]
    assert run("suspended", "stopped")["failed"]


@pytest.mark.parametrize("found", STATES)
def test_every_state_of_libvirt_is_known(found: str) -> None:
    assert run_state(STATES[found], 0)[0] in ("running", "paused", "stopped")


def test_every_reason_to_be_paused_is_known() -> None:
    """A new one would be resumed; look at each when libvirt gets it."""
    known = {"UNKNOWN", "USER", "IOERROR", "WATCHDOG", "FROM_SNAPSHOT", "API_ERROR"}
    prefix = "VIR_DOMAIN_PAUSED_"
    named = {name.removeprefix(prefix): value for name, value in vars(libvirt).items() if name.startswith(prefix)}
    assert {name for name, value in named.items() if value not in PAUSED_CONDITIONS} <= known
    assert {run_state(3, named[name])[1] for name in known & set(named)} == {""}


def test_a_halted_guest_does_not_migrate() -> None:
    conditions = {run_state(state, reason)[1] for state, reason in itertools.product(STATES.values(), range(15))}
    assert conditions - {"", "busy"} == set(HALTED)


class SleepingDomain:
    """A domain of libvirt whose guest sleeps, and wakes when it is asked the second time that its state is read."""

    def __init__(self) -> None:
        self.asked, self.looks = 0, 0

    def name(self) -> str:
        return "web"

    def pMWakeup(self, _flags: int) -> int:
        self.asked += 1
        return 0

    def state(self) -> list[int]:
        self.looks += 1 if self.asked else 0
        return [libvirt.VIR_DOMAIN_RUNNING if self.looks > 1 else libvirt.VIR_DOMAIN_PMSUSPENDED, 0]


class OneDomain:
    """A connection to libvirt with one domain and no events."""

    def __init__(self, found: SleepingDomain) -> None:
        self.found = found

    def lookupByName(self, _name: str) -> SleepingDomain:
        return self.found

    def domainEventRegisterAny(self, *_what: object) -> int:
        return 0

    def domainEventDeregisterAny(self, _number: int) -> None:
        pass


def test_a_guest_is_waited_for_until_it_is_awake() -> None:
    sleeper = SleepingDomain()
    Guest(OneDomain(sleeper), "web", DiskFiles(SubprocessRunner(), Folders()), SubprocessRunner(), "", LIMIT).apply(Wake("web"))
    assert sleeper.asked == 1 and sleeper.state()[0] == libvirt.VIR_DOMAIN_RUNNING
