# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.hotplug import live_steps
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.plan import Goal, plan_absent, plan_goal
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Disk,
    DiskLimits,
    DomainSpec,
    Foreign,
    Nic,
    Record,
    Volume,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState, pending, view
from ansible_collections.edge.cloud.plugins.module_utils._errors import Refused
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan
from hypothesis import given
from hypothesis import strategies as st
from support.compute import DIGEST, GIB, record, root_disk, root_volume, spec

SEED = "/var/lib/edge/vms/web/seed.iso"
DATA = root_disk(name="data", path="/data.qcow2", target="vdb", boot=None)
OTHER = root_disk(name="other", path="/other.qcow2", target="vdb", boot=None, bus="scsi")
DRIVE = root_disk(name="cd", path="", format="raw", target="sda", bus="sata", boot=None, device="cdrom", read_only=True)
NIC = Nic("nic0", "52:54:00:00:00:01", "edge")
disk_sets = st.tuples(
    st.none() | st.sampled_from([root_disk(), root_disk(boot=None)]),
    st.none() | st.sampled_from([DATA, replace(DATA, limits=DiskLimits(total_iops=9)), OTHER, replace(DATA, cache="writeback")]),
    st.none() | st.sampled_from([DRIVE, replace(DRIVE, path="/a.iso"), replace(DRIVE, path="/b.iso")]),
).map(lambda found: tuple(sorted((disk for disk in found if disk), key=lambda disk: disk.target)))
nic_sets = st.lists(
    st.sampled_from([
        NIC, replace(NIC, bridge="br-lan", network=None), replace(NIC, link=False, inbound=2**20), replace(NIC, mtu=1400),
        Nic("nic1", "52:54:00:00:00:02", bridge="br-lan"), Nic("nic1", NIC.mac, "edge"),
        Nic("vf", "52:54:00:00:00:03", hostdev="0000:03:10.1"),
    ]),
    max_size=3, unique_by=(lambda nic: nic.name, lambda nic: nic.mac),
).map(tuple)  # fmt: skip


def test_a_guest_that_others_started_takes_only_what_is_asked() -> None:
    """What ran otherwise than its configuration says before it was taken over does so until its next start."""
    disks = (Disk("vda", "/a", "raw", "vda", "virtio", foreign="vda"), Disk("vdb", "/b", "raw", "vdb", "virtio", foreign="vdb"))
    running = spec(memory=GIB, max_memory=2 * GIB, vcpus=1, max_vcpus=2)
    there = VmState(
        "web", run="running", config=replace(running, memory=2 * GIB, vcpus=2), live=running, started_by_others=True,
        foreign=Foreign(disks, taken_over=True), live_foreign=Foreign(disks[:1], taken_over=True),
    )  # fmt: skip
    assert there.config is not None
    nothing = Goal(run="running", spec=there.config, record=Record(there.config, taken_over=True), allow_restart=True)
    assert plan_goal(there, nothing).actions == ["Take over domain web"]
    wanted = replace(there.config, vcpus=1, disks=(replace(disks[0], limits=DiskLimits(total_iops=9)),))
    asked = plan_goal(there, replace(nothing, spec=wanted, record=Record(wanted, taken_over=True), allow_restart=False))
    assert asked.actions == [
        "Take over domain web: vcpus, disks.vda (taken over), disks.vda.limits",
        "Set the limits of disk vda of running domain web",
    ]


variants = st.builds(
    spec,
    memory=st.sampled_from([GIB, 2 * GIB]),
    max_memory=st.sampled_from([GIB, 2 * GIB]),
    vcpus=st.integers(1, 3),
    max_vcpus=st.integers(1, 4),
    vcpu_pinning=st.sampled_from([(), ("0",), ("0", "1")]),
    cmdline=st.none() | st.just("quiet"),
    disks=disk_sets,
    nics=nic_sets,
    rng=st.booleans(),
)
seeds = st.sampled_from([None, "sha256:01", "sha256:02"])
sizes = st.sampled_from([GIB, 2 * GIB, 3 * GIB])


def files_of(wanted: DomainSpec) -> st.SearchStrategy[tuple[Volume, ...]]:
    """Some disks of a spec have a file of ours, on an image or empty."""
    return st.tuples(
        *(
            st.none() | st.builds(Volume, st.just(disk.name), st.just(disk.path), sizes)
            | st.just(Volume(disk.name, disk.path, None, DIGEST, "/image.qcow2"))
            for disk in {disk.path: disk for disk in wanted.disks}.values()
        )
    ).map(lambda found: tuple(volume for volume in found if volume))  # fmt: skip


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    wanted = draw(variants)
    seed = draw(seeds)
    return Goal(
        run=draw(st.sampled_from(["running", "stopped", "paused", "saved"])),
        spec=wanted,
        record=Record(wanted, draw(files_of(wanted)), seed),
        seed_path=SEED if seed else None,
        autostart=draw(st.sampled_from([None, True, False])),
        allow_restart=draw(st.booleans()),
        force_stop=draw(st.booleans()),
        sizes=((DIGEST, 2 * GIB),),
    )


@st.composite
def states(draw: st.DrawFn, goal: Goal) -> VmState:
    """A VM as it may be before: absent, stopped, running or paused; near the goal or far from it; some files there."""
    volumes = tuple(VolumeFile(v.path, "qcow2", draw(sizes), v.backing) for v in goal.record.volumes if draw(st.booleans()))
    bare = VmState(goal.record.spec.name, volumes=volumes, seed=draw(seeds), folder=tuple(v.path for v in volumes))
    alive = ["running", "paused", "saved"]
    run = draw(st.sampled_from(alive if goal.run in ("paused", "saved") else ["absent", "stopped", *alive]))
    if run == "absent":
        return bare
    config = draw(st.sampled_from([goal.record.spec, spec(), replace(goal.record.spec, vcpus=3, cmdline="x")]) | variants)
    live = None if run == "stopped" else draw(st.sampled_from([config, goal.record.spec, spec()]) | variants)
    kept = draw(st.sampled_from([None, goal.record, record()]))
    return replace(bare, run=run, config=config, live=live, record=kept, marked=kept is not None, autostart=draw(st.booleans()),
                   free_ports=draw(st.none() | st.integers(0, 3)))  # fmt: skip


def resumed(state: VmState) -> VmState:
    """Return what the guest becomes when it runs again: a paused one takes nothing until then, and is not restarted for it."""
    return Plan(state, live_steps(state)).after


def test_a_paused_guest_is_not_restarted_for_what_it_takes_when_it_runs() -> None:
    config = spec(disks=(DATA,))
    state = VmState("web", run="paused", config=config, live=spec(disks=()), record=Record(config), marked=True)
    assert plan_goal(state, Goal("paused", config, Record(config), allow_restart=True)).actions == []
    assert pending(state) == ["disks.data"]
    plan = plan_goal(state, Goal("running", config, Record(config), allow_restart=True))
    assert plan.actions == ["Resume domain web", "Attach disk data to running domain web as vdb"]
    assert pending(plan.after) == []


@given(st.data())
def test_a_plan_done_leaves_nothing_to_do(data: Any) -> None:
    goal = data.draw(goals())
    state = data.draw(states(goal))
    after = plan_goal(state, goal).after
    assert plan_goal(after, goal).actions == []
    assert after.run == goal.run
    assert after.config == goal.record.spec
    assert after.seed == (goal.record.seed or state.seed)
    if (goal.allow_restart and goal.run != "saved") or goal.run == "stopped" or state.run == "stopped":
        assert pending(after if "running" in (state.run, goal.run) else resumed(after)) == []
    for device in after.live.disks if after.live else ():
        assert device.target in {disk.target for disk in (*goal.record.spec.disks, *(state.live.disks if state.live else ()))}


@given(st.data())
def test_a_plan_stops_midway_and_a_new_one_ends_at_the_same_place(data: Any) -> None:
    goal = data.draw(goals())
    plan = plan_goal(data.draw(states(goal)), goal)
    cut = data.draw(st.integers(0, len(plan.steps)))
    halfway = replace(plan, steps=plan.steps[:cut]).after
    assert plan_goal(halfway, goal).after == plan.after


@given(st.data())
def test_no_plan_makes_a_disk_again_or_smaller_or_drops_a_file(data: Any) -> None:
    goal = data.draw(goals())
    state = data.draw(states(goal))
    after = plan_goal(state, goal).after
    for volume in state.volumes:
        kept = after.volume(volume.path)
        assert kept is not None
        assert kept.size >= volume.size
        assert kept.backing == volume.backing
    assert set(state.folder) <= set(after.folder)


@given(st.data(), st.booleans(), st.booleans())
def test_absent_is_reached_and_keeps_files_unless_asked(data: Any, force: bool, delete: bool) -> None:
    goal = data.draw(goals())
    state = data.draw(states(goal))
    if state.run == "saved" and not (force or delete):
        with pytest.raises(Refused, match=r"^state: domain web is saved"):
            plan_absent(state, force, delete)
        return
    after = plan_absent(state, force, delete).after
    assert plan_absent(after, force, delete).actions == []
    assert after.config is None
    assert after.folder == (() if delete else state.folder)
    gone = {volume.path for volume in state.volumes} - {volume.path for volume in after.volumes}
    assert gone <= (set(state.folder) if delete else set())


def goal(**changes: Any) -> Goal:
    values: dict[str, Any] = {"run": "running", "record": record(), "sizes": ((DIGEST, 2 * GIB),), **changes}
    return Goal(**{"spec": values["record"].spec, **values})


def there(**changes: Any) -> VmState:
    disk = VolumeFile(root_disk().path, "qcow2", 20 * GIB, root_volume().backing)
    values: dict[str, Any] = {
        "name": "web", "run": "running", "config": record().spec, "live": record().spec, "record": record(), "marked": True,
        "volumes": (disk,), "folder": (disk.path,),
    }  # fmt: skip
    return VmState(**{**values, **changes})


def test_files_come_before_the_definition_and_the_start() -> None:
    wanted = goal(record=replace(record(), seed="sha256:01"), seed_path=SEED, autostart=True)
    assert plan_goal(VmState("web"), wanted).actions == [
        f"Create /var/lib/edge/vms/web/root.qcow2 (20GiB) as an overlay of {DIGEST}",
        f"Build the cloud-init seed {SEED}",
        "Define domain web",
        "Turn autostart of domain web on",
        "Start domain web",
    ]


def test_a_volume_without_size_has_that_of_its_image() -> None:
    wanted = goal(record=replace(record(), volumes=(root_volume(size=None),)))
    assert plan_goal(VmState("web"), wanted).after.volumes[0].size == 2 * GIB


def test_a_running_guest_keeps_running_and_says_what_waits() -> None:
    more = Record(replace(record().spec, memory=2 * GIB, disks=()), (root_volume(),))
    plan = plan_goal(there(), goal(record=more))
    assert plan.actions == ["Redefine domain web: memory, max_memory, disks.root (removed)"]
    assert pending(plan.after) == ["memory", "disks.root", "max_memory"]
    assert plan.diff(view)["before"]["memory"] == GIB
    assert plan_goal(plan.after, goal(record=more, allow_restart=True)).actions == ["Shut down domain web", "Start domain web"]


def test_a_disk_grows_at_once_where_the_guest_has_it_and_quietly_where_not() -> None:
    bigger = replace(record(), volumes=(root_volume(size=30 * GIB),))
    assert plan_goal(there(), goal(record=bigger)).actions[0] == "Grow /var/lib/edge/vms/web/root.qcow2 to 30GiB while it is in use"
    stopped = there(run="stopped", live=None)
    assert plan_goal(stopped, goal(record=bigger)).actions[0] == "Grow /var/lib/edge/vms/web/root.qcow2 to 30GiB"
    stopping = plan_goal(there(), goal(record=bigger, run="stopped", force_stop=True)).actions
    assert stopping[:2] == ["Shut down domain web (power it off if it does not)", "Grow /var/lib/edge/vms/web/root.qcow2 to 30GiB"]


def test_a_paused_guest_resumes() -> None:
    assert plan_goal(there(run="paused"), goal()).actions == ["Resume domain web"]


def test_absent_tells_its_steps() -> None:
    plan = plan_absent(there(), False, True)
    assert plan.actions == ["Shut down domain web", "Undefine domain web", "Delete /var/lib/edge/vms/web/root.qcow2"]
    assert plan.diff(view)["after"] == {"state": "absent"}
    assert plan_absent(VmState("web"), False, True).changed is False
