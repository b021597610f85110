# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VM is after a crash at any step, and what a second run does then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration import plan
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.journal import Journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.model import (
    Destination,
    DestinationVm,
    MigrationState,
    MovingDisk,
    MovingFile,
    SourceVm,
    view,
)
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20
HOME = "/var/lib/edge/vms/web"
IMAGE = "/var/lib/edge/images/" + "0" * 64 + ".qcow2"
ROOT = MovingFile(f"{HOME}/root.s1.qcow2", "qcow2", 100 * MIB, MIB, MIB, f"{HOME}/root.qcow2")
BELOW = MovingFile(f"{HOME}/root.qcow2", "qcow2", 100 * MIB, 2 * MIB, 2 * MIB, IMAGE)
SEED = MovingFile(f"{HOME}/seed.iso", "raw", MIB, MIB, MIB)
INDEX = MovingFile(f"{HOME}/snapshots.json", "raw", 10, 10, 4096)
DISKS = (MovingDisk("vda", False, (ROOT, BELOW), IMAGE), MovingDisk("vdz", True, (SEED,)))
FILES = (ROOT.path, BELOW.path, SEED.path, INDEX.path)
VM = SourceVm(
    uuid="6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f",
    run="running",
    marked=True,
    autostart=True,
    memory=64 * MIB,
    xml="<domain/>",
    disks=DISKS,
    files=(INDEX,),
    needed=("/boot/vmlinuz",),
    networks=("edge",),
    bridges=("br0",),
    macs=("52:54:00:00:00:01",),
)
THERE = Destination(
    host="host2",
    networks={"edge": True},
    bridges=("br0",),
    memory=1024 * MIB,
    free=1024 * MIB,
    images={IMAGE: 1},
)
BEGIN = MigrationState("web", "host1", THERE, VM, None, FILES)


def journal(**values: Any) -> Journal:
    return Journal(**{"destination": "host2", "uuid": VM.uuid, "run": "running", "autostart": True, "files": FILES, **values})


def there(**values: Any) -> DestinationVm:
    return DestinationVm(**{"uuid": VM.uuid, "run": "running", "persistent": True, "marked": True, **values})


def state(source: str | None, vm: DestinationVm | None, book: Journal | None, **values: Any) -> MigrationState:
    found = replace(VM, run=source, **values) if source else None
    return replace(BEGIN, source=found, there=replace(THERE, vm=vm), journal=book)


def test_a_running_guest_moves_after_all_that_it_does_not_write() -> None:
    found = plan.plan_migration(BEGIN, keep_source=False)
    assert [type(step).__name__ for step in found.steps] == [
        "HoldAutostart", "CopyFile", "CopyFile", "CopyFile", "CreateDisk", "Migrate",
        "AutostartThere", "UndefineHere", "DeleteHere",
    ]  # fmt: skip
    assert [step.overlay.path for step in found.steps if isinstance(step, plan.CopyFile)] == [SEED.path, BELOW.path, INDEX.path]
    assert found.steps[4] == plan.CreateDisk(ROOT, "host2") and found.steps[5] == plan.Migrate("web", "host2", ("vda",))
    assert found.diff(view) == {"before": {"host": "host1"}, "after": {"host": "host2"}}


def test_a_stopped_guest_is_copied_whole_the_lowest_overlay_first() -> None:
    found = plan.plan_migration(replace(BEGIN, source=replace(VM, run="stopped", autostart=False)), keep_source=True)
    assert [step.overlay.path for step in found.steps if isinstance(step, plan.CopyFile)] == [
        SEED.path, BELOW.path, ROOT.path, INDEX.path,
    ]  # fmt: skip
    assert [type(step).__name__ for step in found.steps[4:]] == ["DefineThere", "UndefineHere"]


def test_nothing_is_left_to_do_once_it_is_there() -> None:
    done = plan.plan_migration(BEGIN, keep_source=False).after
    assert plan.plan_migration(replace(done, journal=None), keep_source=False).steps == ()
    assert view(done) == {"name": "web", "state": "running", "host": "host2", "uuid": VM.uuid, "autostart": True}


CASES: list[tuple[str, MigrationState, str]] = [
    ("never began", BEGIN, plan.HERE),
    ("began", state("running", None, journal()), plan.HERE),
    ("the source failed on the way", state("stopped", None, journal()), plan.HERE),
    ("memory is still on its way", state("running", there(incoming=True, run="paused"), journal(), migrating=True), plan.MOVING),
    ("it was on its way when libvirt was killed here", state("running", there(incoming=True, run="paused"), journal()), plan.HERE),
    ("a guest that arrived by half does not count", state("stopped", there(persistent=False), journal()), plan.HERE),
    ("switched over", state("stopped", there(), journal()), plan.THERE),
    ("switched over, then the destination failed", state("stopped", there(run="stopped"), journal()), plan.THERE),
    ("the destination failed at the switch, the source went on", state("running", there(run="stopped"), journal()), plan.HERE),
    ("verified", state("stopped", there(run="stopped"), journal(phase="moved")), plan.THERE),
    ("failed, and libvirt resumed it here", state("running", there(), journal(phase="failed")), plan.HERE),
    ("failed, and the host failed since", state("stopped", there(run="stopped"), journal(phase="failed")), plan.HERE),
    ("undefined here", state(None, there(), journal(phase="moved")), plan.THERE),
    ("another VM of that name", state("stopped", there(uuid="other"), journal()), plan.HERE),
]


@pytest.mark.parametrize(("what", "found", "expected"), CASES, ids=[case[0] for case in CASES])
def test_where_the_newest_data_is(what: str, found: MigrationState, expected: str) -> None:
    assert plan.where(found) == expected


@pytest.mark.parametrize(
    "found", [state("running", there(), journal()), state("stopped", there(), journal(phase="failed"))], ids=["both", "failed"]
)
def test_who_is_right_of_two_that_run_is_not_guessed(found: MigrationState) -> None:
    with pytest.raises(Conflict, match="newest data"):
        plan.where(found)


def world(found: MigrationState, steps: tuple[Any, ...]) -> MigrationState:
    """Carry out steps on both ends and on the journal, as Mover does."""
    for step in steps:
        book = found.journal or plan.began(found, found.source or VM)
        if isinstance(step, plan.CopyFile | plan.CreateDisk):
            book = book.with_made([step.overlay.path])
        if isinstance(step, plan.ClearDestination):
            book = replace(book, made=(), phase="prepared")
        if isinstance(step, plan.Migrate | plan.DefineThere):
            book = replace(book, phase="moved")
        found = replace(step.predict(found), journal=book)
        if isinstance(step, plan.Migrate) and found.source:
            found = replace(found, source=replace(found.source, run="stopped"))
    return found


def crash_of_the_source(found: MigrationState) -> MigrationState:
    return replace(found, source=replace(found.source, run="stopped")) if found.source else found


def crash_of_the_destination(found: MigrationState) -> MigrationState:
    vm = found.there.vm
    return replace(found, there=replace(found.there, vm=replace(vm, run="stopped"))) if vm else found


@given(
    run=st.sampled_from(["running", "paused", "stopped"]),
    autostart=st.booleans(),
    after=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    crash=st.sampled_from([lambda found: found, crash_of_the_source, crash_of_the_destination]),
)
def test_runs_that_break_anywhere_end_with_one_vm_on_the_destination(
    run: str, autostart: bool, after: list[int], crash: Callable[[MigrationState], MigrationState]
) -> None:
    """At every instant at most one end runs, files are deleted here only when the VM is there, and the last run ends it."""
    now = replace(BEGIN, source=replace(VM, run=run, autostart=autostart))
    for count in after:
        steps = plan.plan_migration(now, keep_source=False).steps
        now = crash(world(now, steps[:count]))
        alive = [vm for vm in (now.source, now.there.vm) if vm is not None and vm.run != "stopped"]
        assert len(alive) <= 1
        assert now.left == FILES or now.there.vm is not None
        if now.source is None and not now.left:
            now = replace(now, journal=None)
            break
    if now.journal or now.source:
        now = world(now, plan.plan_migration(now, keep_source=False).steps)
    assert now.source is None and now.left == () and now.there.vm is not None
    assert (now.there.vm.run != "stopped") is (run != "stopped") or now.journal is None
    assert now.there.vm.autostart is autostart or now.journal is None
    assert set(FILES) <= now.there.files


BROKEN: list[tuple[str, MigrationState]] = [
    ("neither host1 nor host2", replace(BEGIN, source=None)),
    ("adopt", replace(BEGIN, source=replace(VM, marked=False))),
    ("cannot move: it is tired", replace(BEGIN, source=replace(VM, obstacles=("it is tired",)))),
    ("has a domain web already", replace(BEGIN, there=replace(THERE, vm=there(uuid="other")))),
    ("belongs to domain old", replace(BEGIN, there=replace(THERE, domains={"old": VM.uuid}))),
    ("MAC address", replace(BEGIN, there=replace(THERE, macs={VM.macs[0]: "old"}))),
    ("no network edge", replace(BEGIN, there=replace(THERE, networks={}))),
    ("not active", replace(BEGIN, there=replace(THERE, networks={"edge": False}))),
    ("no bridge br0", replace(BEGIN, there=replace(THERE, bridges=()))),
    ("no folder for VMs", replace(BEGIN, there=replace(THERE, folder=False))),
    ("replica_image", replace(BEGIN, there=replace(THERE, images={}))),
    ("lacks /boot/vmlinuz", replace(BEGIN, there=replace(THERE, missing=("/boot/vmlinuz",)))),
    ("which this migration did not make", replace(BEGIN, there=replace(THERE, files=frozenset({ROOT.path})))),
    ("another migration", replace(BEGIN, there=replace(THERE, files=frozenset({f"{HOME}/incoming.json"})))),
    ("free for VMs", replace(BEGIN, there=replace(THERE, free=MIB))),
    ("of memory", replace(BEGIN, there=replace(THERE, memory=MIB))),
    ("does not run on host2", replace(BEGIN, there=replace(THERE, cpu="custom EPYC"))),
]


@pytest.mark.parametrize(("words", "found"), BROKEN, ids=[case[0] for case in BROKEN])
def test_what_cannot_move_is_reported_before_any_step(words: str, found: MigrationState) -> None:
    with pytest.raises(EdgeError) as error:
        plan.plan_migration(found, keep_source=False)
    assert words in error.value.message and error.value.details["option"] in ("name", "destination")


def test_a_stopped_guest_needs_no_memory_there() -> None:
    poor = replace(BEGIN, source=replace(VM, run="stopped"), there=replace(THERE, memory=0))
    assert plan.plan_migration(poor, keep_source=False).changed
