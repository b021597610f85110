# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VM is after a crash at any step, and what a second run does then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration import place, plan
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.journal import Journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.model import (
    Destination,
    DestinationVm,
    Joined,
    MigrationState,
    MovingDisk,
    MovingFile,
    SourceVm,
    view,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.virtual_network import VirtualNetwork
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
        "AutostartThere", "NoteArrival", "UndefineHere", "DeleteHere",
    ]  # fmt: skip
    assert [step.overlay.path for step in found.steps if isinstance(step, plan.CopyFile)] == [SEED.path, BELOW.path, INDEX.path]
    assert found.steps[4] == plan.CreateDisk(ROOT, "host2") and found.steps[5] == plan.Migrate("web", "host2", ("vda",))
    assert found.diff(view) == {"before": {"host": "host1"}, "after": {"host": "host2"}}


def test_a_stopped_guest_is_copied_whole_the_lowest_overlay_first() -> None:
    found = plan.plan_migration(replace(BEGIN, source=replace(VM, run="stopped", autostart=False)), keep_source=True)
    assert [step.overlay.path for step in found.steps if isinstance(step, plan.CopyFile)] == [
        SEED.path, BELOW.path, ROOT.path, INDEX.path,
    ]  # fmt: skip
    assert [type(step).__name__ for step in found.steps[4:]] == ["DefineThere", "NoteArrival", "UndefineHere"]


def test_a_vm_that_comes_back_loses_its_marks() -> None:
    """Where it left and came back it is at home; where it came to it is a guest, whatever host it came from before."""
    back = replace(BEGIN, there=replace(THERE, home=True))
    found = plan.plan_migration(back, keep_source=False)
    assert [type(step).__name__ for step in found.steps[-3:]] == ["ForgetMove", "UndefineHere", "DeleteHere"]
    assert found.after.there.vm is not None and found.after.there.vm.arrival is None and not found.after.there.home
    half = replace(found.after, source=replace(VM, run="stopped"), journal=journal(phase="moved", home=True), left=FILES)
    assert [type(step).__name__ for step in plan.plan_migration(half, keep_source=False).steps] == ["UndefineHere", "DeleteHere"]
    onward = state("stopped", there(arrival="host0", autostart=True), journal(phase="moved"))
    steps = plan.plan_migration(onward, keep_source=False).steps
    assert plan.NoteArrival("web", "host1", "host2") in steps


def test_nothing_is_left_to_do_once_it_is_there() -> None:
    done = plan.plan_migration(BEGIN, keep_source=False).after
    assert plan.plan_migration(replace(done, journal=None), keep_source=False).steps == ()
    assert view(done) == {"name": "web", "state": "running", "host": "host2", "uuid": VM.uuid, "autostart": True}


HANDED = journal(phase="post-copy")
CASES: list[tuple[str, MigrationState, str]] = [
    ("never began", BEGIN, place.HERE),
    ("began", state("running", None, journal()), place.HERE),
    ("the source failed on the way", state("stopped", None, journal()), place.HERE),
    ("memory is still on its way", state("running", there(incoming=True, run="paused"), journal(), migrating=True), place.MOVING),
    ("it was on its way when libvirt was killed here", state("running", there(incoming=True, run="paused"), journal()), place.HERE),
    ("a guest that arrived by half does not count", state("stopped", there(persistent=False, run="paused"), journal()), place.HERE),
    ("switched over", state("stopped", there(), journal()), place.THERE),
    ("switched over, then the destination failed", state("stopped", there(run="stopped"), journal()), place.THERE),
    ("post-copy goes on", state("paused", there(post_copy="active"), HANDED, migrating=True, post_copy="active"), place.MOVING),
    ("post-copy broke", state("paused", there(post_copy="failed"), HANDED, migrating=True, post_copy="failed"), place.HALFWAY),
    ("the other end has not noticed", state("paused", there(post_copy="active"), HANDED, post_copy="failed"), place.HALFWAY),
    ("post-copy broke after the last page", state("paused", there(), HANDED, migrating=True, post_copy="failed"), place.THERE),
    ("post-copy, then the destination failed", state("paused", there(run="stopped"), HANDED, post_copy="failed"), place.LOST),
    ("post-copy, then the source failed", state("stopped", there(post_copy="failed"), HANDED), place.LOST),
    ("post-copy, then the source failed unnoticed", state("stopped", there(post_copy="active"), HANDED), place.LOST),
    ("post-copy, then both failed", state("stopped", there(run="stopped"), HANDED), place.THERE),
    ("post-copy was asked for and never began", state("running", None, HANDED), place.HERE),
    ("verified", state("stopped", there(run="stopped"), journal(phase="moved")), place.THERE),
    (
        "failed, with a half that never ran",
        state("running", there(incoming=True, run="paused"), journal(phase="failed")),
        place.HERE,
    ),
    ("failed, and the host failed since", state("stopped", there(run="stopped"), journal(phase="failed")), place.HERE),
    ("undefined here", state(None, there(), journal(phase="moved")), place.THERE),
    ("another VM of that name", state("stopped", there(uuid="other"), journal()), place.HERE),
]


@pytest.mark.parametrize(("what", "found", "expected"), CASES, ids=[case[0] for case in CASES])
def test_where_the_newest_data_is(what: str, found: MigrationState, expected: str) -> None:
    assert place.where(found) == expected


DOUBTS: list[tuple[str, MigrationState]] = [
    ("both run", state("running", there(), journal())),
    ("both run after what looked like a failure", state("running", there(), journal(phase="failed"))),
    ("it runs there after what looked like a failure", state("stopped", there(), journal(phase="failed"))),
    ("it may have run there until the host failed", state("running", there(run="stopped"), journal())),
    ("it runs there, and its definition is gone", state("stopped", there(persistent=False), journal())),
    ("it was there, and vanished", state("stopped", None, journal(phase="moved"))),
    ("it was there, and another has its name", state("stopped", there(uuid="other"), journal(phase="moved"))),
    ("it was there by half, and vanished", state("stopped", None, HANDED)),
    ("its memory is here by half, and it vanished there", state("paused", None, HANDED, post_copy="failed", migrating=True)),
    ("it runs here while it lacks memory there", state("running", there(post_copy="failed"), HANDED)),
]


@pytest.mark.parametrize(("what", "found"), DOUBTS, ids=[case[0] for case in DOUBTS])
def test_who_is_right_of_two_that_may_have_run_is_not_guessed(what: str, found: MigrationState) -> None:
    for consent in (False, True):
        with pytest.raises(Conflict, match=r"newest data|was changed"):
            plan.plan_migration(found, keep_source=False, allow_restart=consent)


ENDS = st.builds(
    state,
    st.sampled_from([None, "running", "paused", "stopped"]),
    st.none()
    | st.builds(
        DestinationVm,
        uuid=st.sampled_from([VM.uuid, "other"]),
        run=st.sampled_from(["running", "paused", "stopped"]),
        persistent=st.booleans(),
        marked=st.just(True),
        incoming=st.booleans(),
        post_copy=st.sampled_from([None, "active", "failed"]),
    ),
    st.none() | st.builds(journal, phase=st.sampled_from(["prepared", "failed", "post-copy", "moved"]), made=st.just(FILES)),
    post_copy=st.sampled_from([None, "active", "failed"]),
    migrating=st.booleans(),
)


@given(found=ENDS, consent=st.booleans())
def test_what_runs_or_ran_there_is_never_removed(found: MigrationState, consent: bool) -> None:
    """Whatever both ends look like: what runs is left running, and disks that a guest may have written there stay."""
    found = replace(found, there=replace(found.there, files=frozenset(FILES)))
    vm, book = found.there.vm, found.journal
    try:
        steps = plan.plan_migration(found, keep_source=False, allow_restart=consent).steps
    except EdgeError:
        return
    assert consent or not any(isinstance(step, plan.PowerOff) for step in steps)
    if any(isinstance(step, plan.ClearDestination) for step in steps):
        assert book is not None and (vm is None or vm.uuid == VM.uuid)
        assert vm is None or not vm.may_have_run or (book.phase == "failed" and vm.run == "stopped")
        assert found.source is not None and found.source.post_copy != "failed"


def test_a_post_copy_that_broke_is_resumed_and_then_ended_as_any_other() -> None:
    broken = state("paused", there(post_copy="failed"), HANDED, migrating=True, post_copy="failed", autostart=False)
    found = plan.plan_migration(broken, keep_source=False)
    assert [type(step).__name__ for step in found.steps] == [
        "ResumePostCopy", "AutostartThere", "NoteArrival", "UndefineHere", "DeleteHere",
    ]  # fmt: skip
    assert view(found.after)["host"] == "host2" and view(found.after)["state"] == "running"


@pytest.mark.parametrize(
    ("found", "host"),
    [
        (state("paused", there(run="stopped"), HANDED, post_copy="failed"), "host1"),
        (state("stopped", there(post_copy="failed"), HANDED), "host2"),
    ],
    ids=["the destination failed", "the source failed"],
)
def test_memory_that_a_host_took_along_is_given_up_only_by_a_word(found: MigrationState, host: str) -> None:
    with pytest.raises(EdgeError, match=r"allow_restart: .*lost") as error:
        plan.plan_migration(found, keep_source=False)
    assert error.value.code == "refused"
    steps = plan.plan_migration(found, keep_source=False, allow_restart=True).steps
    assert steps[0].sentence.startswith("Power off") and host in steps[0].sentence
    assert plan.StartThere("web", "host2") in steps and not any(isinstance(step, plan.ClearDestination) for step in steps)


def test_what_an_interrupted_run_left_does_not_refuse_the_next_one() -> None:
    """The leftover domain has the VM's own UUID and MAC address, and libvirt lists both until it is cleared."""
    left = there(persistent=False, run="paused", incoming=True)
    found = state("running", left, journal(made=(ROOT.path,)))
    listed = replace(found.there, domains={"web": VM.uuid}, macs={VM.macs[0]: "web"}, files=frozenset({ROOT.path}))
    steps = plan.plan_migration(replace(found, there=listed), keep_source=False).steps
    assert steps[0] == plan.ClearDestination("host2", (ROOT.path,), "web") and plan.Migrate("web", "host2", ("vda",)) in steps
    others = replace(listed, domains={"web": VM.uuid, "other": VM.uuid}, macs={VM.macs[0]: "other"})
    with pytest.raises(EdgeError, match="MAC address"):
        plan.plan_migration(replace(found, there=replace(others, domains={"web": VM.uuid})), keep_source=False)


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


def test_what_a_broken_migration_of_this_vm_left_is_cleared_without_its_journal_too() -> None:
    note = f"{HOME}/incoming.json"
    left = replace(THERE, files=frozenset({note, ROOT.path, f"{HOME}/more"}), stale=(note, ROOT.path))
    steps = plan.plan_migration(replace(BEGIN, there=left), keep_source=False).steps
    assert steps[0] == plan.ClearDestination("host2", (note, ROOT.path), None)
    taken = replace(left, vm=there(persistent=False))
    with pytest.raises(Conflict, match="has a domain web already"):
        plan.plan_migration(replace(BEGIN, there=taken), keep_source=False)


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


BLUE: dict[str, Any] = {"name": "blue", "type": "vxlan", "vni": 100, "underlay": "eth0", "dhcp": False, "members": ["192.0.2.11"]}
IN_BLUE = replace(VM, bridges=("br0", "evb-blue"), joined=(Joined("blue", "evb-blue", 1450, BLUE),))
BLUE_THERE = VirtualNetwork("blue", "evb-blue", 1450, definition=BLUE | {"underlay": "eth1"})


def in_blue(*networks: VirtualNetwork, bridges: tuple[str, ...] = ("br0", "evb-blue")) -> MigrationState:
    found = replace(THERE, bridges=bridges, virtual_networks={one.name: one for one in networks})
    return replace(BEGIN, source=IN_BLUE, there=found)


def blue_there(**changes: Any) -> VirtualNetwork:
    return replace(BLUE_THERE, definition=BLUE | changes)


@pytest.mark.parametrize("mtu", [1450, 1500, None])
def test_a_vm_moves_to_where_its_virtual_network_is(mtu: int | None) -> None:
    assert plan.plan_migration(in_blue(replace(BLUE_THERE, mtu=mtu)), keep_source=False).changed


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
    ("no virtual network blue (there: red)", in_blue(VirtualNetwork("red", "evb-red", 1450))),
    ("as it is here (name: blue, type: vxlan, vni: 100, underlay: eth0, dhcp: false, members: [192.0.2.11])", in_blue()),
    ("has vni 100 here and 101 on host2", in_blue(blue_there(vni=101))),
    ("has type vxlan here and vlan on host2", in_blue(blue_there(type="vlan", vni=None, vlan_id=100))),
    ("has vlan_protocol none here and 802.1ad on host2", in_blue(blue_there(vlan_protocol="802.1ad"))),
    ("has vlan_filtering none here and true on host2", in_blue(blue_there(vlan_filtering=True))),
    ("the bridge evb-blue here and on br-blue on host2", in_blue(replace(BLUE_THERE, bridge="br-blue"))),
    ("no bridge evb-blue, that of the virtual network blue", in_blue(BLUE_THERE, bridges=("br0",))),
    ("packets of 1450 bytes in the virtual network blue, whose MTU on host2 is 1400", in_blue(replace(BLUE_THERE, mtu=1400))),
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
