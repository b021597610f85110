# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots as trees of files: whatever is done in whatever order, and cut off anywhere, no content is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.overlays import chain
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.index import SnapshotIndex, index_from_json
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.plan import SnapshotRequest, plan_snapshot
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.state import (
    DiskNow,
    SnapshotState,
    current,
    describe,
    view,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.steps import (
    Commit,
    Drop,
    MakeOverlay,
    Note,
    Step,
    SwitchLive,
)
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Conflict,
    Corrupt,
    EdgeError,
    InvalidInput,
    NotFound,
    Refused,
    Unsupported,
)
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import times

HOME = "/var/lib/edge/vms/web"
IMAGE = "/var/lib/edge/images/ab.qcow2"
GIB = 2**30
Content = dict[int, int]


def start(run: str = "running") -> SnapshotState:
    own = {name: f"{HOME}/{name}.qcow2" for name in ("data", "root")}
    files = tuple(VolumeFile(path, "qcow2", GIB, IMAGE if name == "root" else None) for name, path in own.items())
    disks = tuple(DiskNow(name, target, own[name], own[name]) for name, target in (("root", "vda"), ("data", "vdb")))
    return SnapshotState("web", HOME, run, disks, files)


def test_a_disk_on_the_network_is_left_out_by_name_only() -> None:
    state = replace(start(), remote=("ceph",), others=("vdc",))
    with pytest.raises(Refused, match=r"^without_disks: no overlay can be laid over ceph of domain web"):
        plan_snapshot(state, SnapshotRequest("a", "present"))
    for name in ("root", "nothing"):
        with pytest.raises(InvalidInput, match=rf"^without_disks\[1\]: domain web has no disk {name} on the network"):
            plan_snapshot(state, SnapshotRequest("a", "present", without_disks=("ceph", name)))
    with pytest.raises(Refused, match=r"^memory: "):
        plan_snapshot(state, SnapshotRequest("a", "present", memory=True, without_disks=("ceph",)))
    after = plan_snapshot(state, SnapshotRequest("a", "present", without_disks=("ceph",))).after
    assert [dict(one.files).keys() for one in after.index.snapshots] == [{"root", "data"}]
    assert not plan_snapshot(after, SnapshotRequest("a", "present")).changed
    plan_snapshot(after, SnapshotRequest("a", "reverted", allow_restart=True))
    plan_snapshot(after, SnapshotRequest("a", "absent"))


@dataclass
class World:
    """The files with what is in them, changed step by step as the real one is; ``points`` is what each snapshot must show."""

    state: SnapshotState
    content: dict[str, Content] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Content]] = field(default_factory=dict)
    clock: int = 0

    def read(self, path: str) -> Content:
        shown: Content = {}
        for one in reversed(chain(path, self.state.files)):
            shown |= self.content.get(one.path, {})
        return shown

    def disks(self) -> dict[str, Content]:
        return {disk.name: self.read(disk.active) for disk in self.state.disks}

    def above(self, path: str) -> set[str]:
        direct = self.state.children(path)
        return {*direct, *(one for child in direct for one in self.above(child))}

    def write(self, disk: str, block: int) -> None:
        self.clock += 1
        path = self.state.active[disk]
        needed = self.state.index.referenced | set(self.state.active.values())
        assert not self.above(path) & needed and path not in self.state.index.referenced
        self.content.setdefault(path, {})[block] = self.clock
        self.state = replace(self.state, written=self.state.written | {path})

    def do(self, step: Step, part: bool = False) -> None:
        """Do one step; with ``part`` only some of a commit's data gets there."""
        if isinstance(step, Commit):
            data = self.content.get(step.top, {})
            self.content.setdefault(step.base, {}).update({k: v for k, v in data.items() if not part or k % 2})
            if part:
                return
        if isinstance(step, MakeOverlay):
            assert step.path not in self.content and self.state.file(step.path) is None
            self.content[step.path] = {}
        if isinstance(step, Drop):
            assert not self.state.children(step.path) and step.path not in self.state.active.values()
            self.content.pop(step.path, None)
        self.state = step.predict(self.state)
        if isinstance(step, Note):  # the index survives as text
            self.state = replace(self.state, index=index_from_json(step.index.to_json(), "here"))
        self.state = replace(self.state, written=self.state.written & {one.path for one in self.state.files})


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(["root", "data"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["present", "absent", "reverted"]), st.sampled_from("abc"), st.booleans()),
    st.tuples(st.just("run"), st.sampled_from(["running", "stopped"]), st.just(True)),
)


def play(world: World, action: Any, cut: int | None) -> None:
    """Do one action, up to ``cut`` steps of it, and hold the world to its promises."""
    what, name, flag = action
    if what == "write":
        world.write(name, flag)
    elif what == "run":
        world.state = replace(world.state, run=name)
    else:
        wanted = SnapshotRequest(name, what, memory=flag and what == "present", allow_restart=True, discard=flag)
        try:
            plan = plan_snapshot(world.state, wanted)
        except (InvalidInput, NotFound):
            return
        right = [world.disks(), *interrupted_revert(world)]
        for number, (step, sentence) in enumerate(zip(plan.steps, plan.actions, strict=True)):
            if number == cut:
                world.do(step, part=True) if isinstance(step, Commit) else None
                break
            if sentence == f"Note that snapshot {name} is being taken":
                world.snapshots[name] = world.disks()
            world.do(step)
        check(world, wanted, right, cut is None)


def interrupted_revert(world: World) -> list[dict[str, Content]]:
    """Return what the disks have once a revert that was interrupted is finished, which any later run may do first."""
    journal = world.state.index.journal
    return [world.snapshots[journal.snapshot.name]] if journal and journal.what == "revert" and journal.snapshot else []


def check(world: World, wanted: SnapshotRequest, right: list[dict[str, Content]], whole: bool) -> None:
    known = {snapshot.name: snapshot for snapshot in world.state.index.snapshots}
    journal = world.state.index.journal
    underway = journal.snapshot.name if journal and journal.snapshot else None
    for name in list(world.snapshots):
        if name not in known and name != underway:
            del world.snapshots[name]
    for name, snapshot in known.items():
        assert {disk: world.read(path) for disk, path in snapshot.files} == world.snapshots[name]
    now = world.disks()
    if wanted.state != "reverted":
        assert now in right or underway
    else:
        right = [*right, *([world.snapshots[wanted.name]] if wanted.name in world.snapshots else [])]
        assert all(now[disk] in [one[disk] for one in right] for disk in now) or underway
    if whole:
        assert world.state.index.journal is None
        if wanted.state == "reverted":
            assert now == world.snapshots[wanted.name]
        assert (wanted.name in known) is (wanted.state != "absent")
        needed = world.state.index.referenced | set(world.state.active.values()) | {one.own for one in world.state.disks}
        for one in world.state.files:
            assert one.path in needed or len(world.state.children(one.path)) > 1 or one.format == "memory"


@times(1.5)
@given(st.lists(st.tuples(ACTIONS, st.none() | st.integers(0, 8)), max_size=25), st.sampled_from(["running", "stopped"]))
@example(
    [(("present", "b", False), None), (("write", "root", 0), None), (("reverted", "b", False), 4), (("present", "a", False), None)],
    "running",
)
def test_no_order_and_no_interruption_loses_content(actions: list[Any], run: str) -> None:
    world = World(start(run))
    for action, cut in actions:
        interrupted = world.state.index.journal
        if interrupted and action[0] in ("write", "run") and interrupted.what == "revert":
            continue  # a guest that was stopped for a revert is left alone until a rerun
        play(world, action, cut)


@times(0.6)
@given(st.lists(ACTIONS, max_size=15), st.sampled_from(["present", "absent"]), st.sampled_from("abc"))
def test_a_second_run_changes_nothing(actions: list[Any], what: str, name: str) -> None:
    world = World(start())
    for action in actions:
        play(world, action, None)
    play(world, (what, name, False), None)
    assert plan_snapshot(world.state, SnapshotRequest(name, what)).actions == []


@times(0.6)
@given(st.lists(ACTIONS, max_size=15))
def test_without_snapshots_each_disk_is_its_own_file_again(actions: list[Any]) -> None:
    world = World(start())
    for action in actions:
        play(world, action, None)
    before = world.disks()
    for name in "abc":
        play(world, ("absent", name, False), None)
    assert [one.path for one in world.state.files] == sorted(one.own for one in world.state.disks)
    assert world.disks() == before


def run(state: SnapshotState, *wanted: SnapshotRequest) -> SnapshotState:
    for one in wanted:
        state = plan_snapshot(state, one).after
    return state


def take(name: str, **more: Any) -> SnapshotRequest:
    return SnapshotRequest(name, "present", **more)


def test_a_take_says_what_it_does_and_its_diff_has_no_time() -> None:
    plan = plan_snapshot(start(), take("before", quiesce="auto", now="2026-01-01T00:00:00Z"))
    assert plan.actions == [
        "Note that snapshot before is being taken",
        f"Create {HOME}/root.before.qcow2 over {HOME}/root.qcow2",
        f"Create {HOME}/data.before.qcow2 over {HOME}/data.qcow2",
        f"Let domain web write to {HOME}/root.before.qcow2, {HOME}/data.before.qcow2 after the guest agent froze its file systems",
        "Record snapshot before",
    ]
    assert "2026" not in str(plan.diff(view))
    assert plan.diff(view)["after"]["current"] == "before"


def test_a_stopped_guest_is_redefined() -> None:
    plan = plan_snapshot(start("stopped"), take("before"))
    assert not any(isinstance(step, SwitchLive) for step in plan.steps)
    assert plan.actions[3] == f"Redefine domain web with {HOME}/root.before.qcow2, {HOME}/data.before.qcow2"


def test_the_tree() -> None:
    state = run(start("stopped"), take("a"), take("b"), SnapshotRequest("a", "reverted"), take("c"))
    found = describe(state)
    assert [(one["name"], one["parent"], one["children"]) for one in found["snapshots"]] == [
        ("a", None, ["b", "c"]),
        ("b", "a", []),
        ("c", "a", []),
    ]
    assert current(state) == found["current"] == "c"
    assert found["orphans"] == [{"snapshot": "a", "disks": {"root": f"{HOME}/root.b.qcow2", "data": f"{HOME}/data.b.qcow2"}}]
    assert [one["path"] for one in found["disks"][0]["chain"]] == [f"{HOME}/root.{name}.qcow2" for name in ("c", "a-2")] + [
        f"{HOME}/root.qcow2"
    ]


def test_a_branch_keeps_what_it_stands_on() -> None:
    state = run(start("stopped"), take("a"), take("b"), SnapshotRequest("a", "reverted"))
    gone = plan_snapshot(state, SnapshotRequest("a", "absent"))
    assert f"Delete {HOME}/root.b.qcow2" in gone.actions
    assert not any(isinstance(step, Commit) for step in gone.steps)
    alone = plan_snapshot(gone.after, SnapshotRequest("b", "absent"))
    assert [action for action in alone.actions if action.startswith(("Commit", "Delete")) and "root" in action] == [
        f"Delete {HOME}/root.a.qcow2",
        f"Commit {HOME}/root.a-2.qcow2 into {HOME}/root.qcow2",
        f"Delete {HOME}/root.a-2.qcow2",
    ]


def test_discard_leaves_nothing_behind() -> None:
    state = run(start(), take("a"), SnapshotRequest("a", "reverted", discard=True, allow_restart=True))
    assert state.index.orphans == ()
    assert state.file(f"{HOME}/root.a.qcow2") is None


def test_a_revert_starts_the_guest_again_and_one_with_memory_goes_on_where_it_was() -> None:
    state = run(start(), take("a"), take("m", memory=True))
    actions = plan_snapshot(state, SnapshotRequest("a", "reverted", allow_restart=True)).actions
    assert actions[-4:-1] == [
        "Power off domain web",
        f"Redefine domain web with {HOME}/root.a-2.qcow2, {HOME}/data.a-2.qcow2",
        "Start domain web",
    ]
    stopped = replace(state, run="stopped")
    assert f"Start domain web from {HOME}/m.memory" in plan_snapshot(stopped, SnapshotRequest("m", "reverted")).actions
    assert f"Delete {HOME}/m.memory" in plan_snapshot(state, SnapshotRequest("m", "absent")).actions


def test_a_revert_to_where_the_disks_are_is_nothing() -> None:
    state = run(start("stopped"), take("a"))
    assert plan_snapshot(state, SnapshotRequest("a", "reverted")).actions == []
    assert plan_snapshot(replace(state, written=frozenset({f"{HOME}/root.a.qcow2"})), SnapshotRequest("a", "reverted")).changed


def test_a_revert_takes_back_that_a_disk_grew() -> None:
    state = run(start("stopped"), take("a"))
    grown = replace(
        state, files=tuple(replace(one, size=2 * one.size) if one.path == f"{HOME}/data.a.qcow2" else one for one in state.files)
    )
    plan = plan_snapshot(grown, SnapshotRequest("a", "reverted"))
    active = [plan.after.file(disk.active) for disk in plan.after.disks]
    assert [one and one.size for one in active] == [state.file(disk.own).size for disk in start().disks]  # type: ignore[union-attr]
    assert plan_snapshot(plan.after, SnapshotRequest("a", "reverted")).actions == []


def test_an_interrupted_take_is_recorded_where_one_overlay_is_in_use_and_undone_where_none_is() -> None:
    plan = plan_snapshot(start(), take("a"))
    halfway = replace(plan, steps=plan.steps[:3]).after
    undone = plan_snapshot(halfway, SnapshotRequest("a", "absent"))
    assert undone.after == replace(start(), index=replace(SnapshotIndex(), made=halfway.index.made))
    assert undone.actions[-1] == "Forget the take that an earlier run began and did not get to"
    used = replace(halfway, written=frozenset({f"{HOME}/data.a.qcow2"}))
    done = plan_snapshot(used, take("a"))
    assert done.actions[0] == f"Redefine domain web with {HOME}/root.a.qcow2, {HOME}/data.a.qcow2"
    assert done.after.index.snapshot("a") is not None


CASES: list[tuple[SnapshotState, SnapshotRequest, type[EdgeError], str]] = [
    (start(), SnapshotRequest("a", "reverted"), NotFound, "snapshot: domain web has no snapshot a (there: none)"),
    (replace(start(), disks=()), take("a"), InvalidInput, "name: web has no disk"),
    (start("stopped"), take("a", memory=True), InvalidInput, "memory: domain web does not run"),
    (run(start(), take("a")), SnapshotRequest("a", "reverted"), Refused, "state: domain web runs"),
    (replace(start(), files=()), take("a"), NotFound, f"name: {HOME}/root.qcow2, a disk file of web, is gone"),
    (
        replace(run(start("stopped"), take("a")), disks=start().disks[:1]),
        SnapshotRequest("a", "reverted"),
        Conflict,
        "snapshot: snapshot a has the disk data, which domain web has no more",
    ),
]


@pytest.mark.parametrize(("state", "wanted", "kind", "says"), CASES)
def test_what_cannot_be_done_is_an_error(state: SnapshotState, wanted: SnapshotRequest, kind: type[EdgeError], says: str) -> None:
    with pytest.raises(kind) as found:
        plan_snapshot(state, wanted)
    assert found.value.message.startswith(says)


def test_a_detached_disk_is_left_alone() -> None:
    state = run(start("stopped"), take("a"))
    fewer = replace(state, disks=state.disks[:1])
    after = run(fewer, SnapshotRequest("a", "absent"))
    assert {one.path for one in after.files} == {f"{HOME}/root.qcow2", f"{HOME}/data.qcow2", f"{HOME}/data.a.qcow2"}


def test_files_of_others_are_never_deleted_or_merged() -> None:
    stray = VolumeFile(f"{HOME}/root.stray.qcow2", "qcow2", GIB, f"{HOME}/root.qcow2")
    state = replace(start("stopped"), files=(*start().files, stray))
    after = run(state, take("a"), SnapshotRequest("a", "absent"))
    assert after.file(stray.path) == stray
    assert after.active["root"] == f"{HOME}/root.a.qcow2"


def test_keys_of_a_newer_version_stay_where_they_are() -> None:
    state = run(run(start(), take("a")), take("b"))
    data = json.loads(state.index.to_json())
    data["quota"] = {"kept": 1}
    data["snapshots"][0]["labels"] = ["x"]
    data["snapshots"][1]["kept"] = True
    newer = index_from_json(json.dumps(data), "here")
    assert json.loads(newer.to_json()) == data
    after = json.loads(run(replace(state, index=newer), SnapshotRequest("b", "absent")).index.to_json())
    assert (after["quota"], [one["labels"] for one in after["snapshots"]]) == ({"kept": 1}, [["x"]])


def test_a_newer_major_version_asks_for_an_upgrade() -> None:
    with pytest.raises(Unsupported, match=r"here has version 2, and this host knows version 1; upgrade edge\.cloud on this host"):
        index_from_json('{"version": 2}', "here")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0}', '{"version": "2"}', '{"version": 1, "snapshots": 3}'])
def test_a_damaged_ledger_stops_everything(text: str) -> None:
    with pytest.raises(Corrupt, match="nothing was changed"):
        index_from_json(text, "here")
    assert index_from_json(SnapshotIndex().to_json(), "here") == SnapshotIndex()
