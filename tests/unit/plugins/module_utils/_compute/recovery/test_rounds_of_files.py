# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes do with the points and notes of VMs that are gone, or fail, on a disk that is full or damaged. No guest runs."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointMade, Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.rounds import Kept, Rounds
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Disk, File, Generation, Point, Vm
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z
UUIDS = [f"0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a1{number}" for number in range(3)]


@dataclass
class All:
    """A replica that holds every point."""

    asked: list[str] = field(default_factory=list)

    def holds(self, _member: str, generation: Generation) -> bool:
        self.asked.append(generation.vm.uuid)
        return True

    def newest(self, _member: str, _uuid: str) -> Point | None:
        return None


@pytest.fixture
def rounds(tmp_path: Path) -> Rounds:
    folders = Folders(*(str(tmp_path / part) for part in ("vms", "images", "locks", "recovery")))
    points = Points(None, DiskFiles(SubprocessRunner(), folders), folders, tmp_path / "recovery")
    return Rounds(points, ("r1",), All(), lambda _line: None, lambda: START)


def put(rounds: Rounds, uuid: str) -> Path:
    """Put a point of a VM where its host has them."""
    disk = Disk("vda", None, 512).begun_again(File("sha256:" + "ab" * 32, 1), (1, 1), 512)
    made = Generation(Vm(f"vm{uuid[-1]}", uuid), 0, 1, "2026-01-01T00:00:00Z", False, False, {}, {}, (disk,))
    home = rounds.points.home(uuid) / "0.1"
    home.mkdir(parents=True)
    (home / DOCUMENT).write_bytes(made.to_json())
    return home


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write to a file fail, as on a full disk; folders can be renamed and removed."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_held_goes_from_a_full_disk_though_nothing_can_be_noted(rounds: Rounds) -> None:
    homes = [put(rounds, uuid) for uuid in UUIDS]
    with full_disk():
        rounds._look([Kept("vm0", UUIDS[0], RecoveryPolicy())])
    assert [home.exists() for home in homes] == [False] * 3
    assert sorted(rounds.report.removed) == [f"{uuid}/0.1" for uuid in UUIDS]
    assert set(rounds.report.failed) == {"vm0", "vm1", "vm2"}, "it is said that the notes are not right"
    rounds._look([Kept("vm0", UUIDS[0], RecoveryPolicy())])


def test_a_document_or_journal_that_cannot_be_read_spoils_only_its_vm(rounds: Rounds) -> None:
    homes = [put(rounds, uuid) for uuid in UUIDS]
    (homes[0] / DOCUMENT).unlink()
    (homes[0] / DOCUMENT).mkdir()
    (homes[1].parent / "journal.json").mkdir()
    rounds._look([Kept("vm1", UUIDS[1], RecoveryPolicy())])
    assert [home.exists() for home in homes] == [True, True, False]


def test_only_points_that_this_host_made_count_as_held(rounds: Rounds) -> None:
    """As after a policy is set, or a migration: a replica has points of the VM that this host cannot compare with its own."""

    class Older(All):
        def newest(self, _member: str, _uuid: str) -> Point | None:
            return 0, 7

    here, vm = replace(rounds, keepers=Older()), Kept("vm0", UUIDS[0], RecoveryPolicy())
    here._look([vm])
    (noted,) = notes.all_in(here.notes)
    assert (noted.held, noted.shown(START)["held_at"], noted.is_breach(START)) == ((), None, False)
    put(here, UUIDS[0])
    here._look([vm])
    (noted,) = notes.all_in(here.notes)
    assert (noted.held, noted.shown(START)["held_at"]) == ((("0.1", START),), "2026-01-01T00:00:00Z")


def at(when: float) -> Callable[[], float]:
    return lambda: when


def failed(error: Exception) -> Future[PointMade]:
    future = Future[PointMade]()
    future.set_exception(error)
    return future


@pytest.mark.parametrize("error", [EdgeError("no."), OSError(5, "Input/output error"), RuntimeError("a defect")])
def test_whatever_a_point_raises_is_noted_and_ends_no_pass(rounds: Rounds, error: Exception) -> None:
    rounds._note(Kept("vm0", UUIDS[0], RecoveryPolicy()), failed(error))
    (noted,) = notes.all_in(rounds.notes)
    assert noted.error == rounds.report.failed["vm0"]
    assert str(error.args[-1]).rstrip(".") in noted.error


@pytest.mark.parametrize("error", [EdgeError("no."), OSError(5, "Input/output error"), RuntimeError("a defect")])
def test_a_vm_that_failed_waits_longer_each_time_and_stays_a_failure_meanwhile(rounds: Rounds, error: Exception) -> None:
    vm = Kept("vm0", UUIDS[0], RecoveryPolicy())
    for pause in (50, 100, 200, 400, 800, 900, 900):
        rounds._note(vm, failed(error))
        later = Rounds(rounds.points, rounds.members, All(), lambda _line: None, at(rounds.now() + pause - 1))
        assert not later._is_due(vm)
        later._look([vm])
        assert "is tried again at 2026-01-01T" in later.report.failed["vm0"]
        later.now = at(rounds.now() + pause)
        assert later._is_due(vm)
        rounds.now = later.now
    (noted,) = notes.all_in(rounds.notes)
    assert noted.failures == 7 and noted.made_at(Generation(
        Vm("vm0", UUIDS[0]), 0, 1, "2026-01-01T00:00:00Z", False, False, {}, {}, ()
    ), START).failures == 0  # fmt: skip


def test_a_clock_that_was_set_back_puts_no_try_off(rounds: Rounds) -> None:
    vm = Kept("vm0", UUIDS[0], RecoveryPolicy())
    rounds._note(vm, failed(EdgeError("no.")))
    rounds.now = at(START - 3600)
    assert rounds._is_due(vm)
