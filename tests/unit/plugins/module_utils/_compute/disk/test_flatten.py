# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flattening a disk: cut off after any step, the next plan ends at the same chain; what others need stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.disk.export import Export, ExportState, export_view, plan_export
from ansible_collections.edge.cloud.plugins.module_utils._compute.disk.flatten import (
    Flatten,
    chain_view,
    own_files,
    plan_flatten,
    require_disk,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.index import Orphan, Snapshot, SnapshotIndex
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.recovery import predict
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.state import DiskNow, SnapshotState
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.steps import Commit, Drop
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Conflict, NotFound, Refused

HOME = "/var/lib/edge/vms/web"
IMAGE = "/var/lib/edge/images/ab.qcow2"
OWN = f"{HOME}/data.qcow2"
GIB = 2**30


def state(*overlays: str, run: str = "running", own: str = OWN, below: str | None = IMAGE) -> SnapshotState:
    """Return a VM whose disk has overlays, the lowest first."""
    paths = [own, *(f"{HOME}/data.{overlay}.qcow2" for overlay in overlays)]
    files = [VolumeFile(path, "qcow2", GIB, under) for path, under in zip(paths, [below, *paths], strict=False)]
    return SnapshotState(
        "web", HOME, run, (DiskNow("data", "vda", paths[-1], own),), tuple(sorted(files, key=lambda one: one.path))
    )


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("overlays", [(), ("a",), ("a", "b"), ("c", "b", "a")])
def test_cut_off_anywhere_it_ends_the_same(overlays: tuple[str, ...], alone: bool) -> None:
    begun = state(*overlays)
    whole = plan_flatten(begun, "data", alone=alone)
    wanted = {"chain": [OWN] if alone else [OWN, IMAGE], "interrupted": None}
    assert chain_view(whole.after, "data") == wanted
    assert [one.path for one in whole.after.files] == [OWN]
    for done in range(len(whole.steps) + 1):
        found = predict(begun, whole.steps[:done])
        rest = plan_flatten(found, "data", alone=alone)
        assert chain_view(rest.after, "data") == wanted and [one.path for one in rest.after.files] == [OWN], done
    assert not plan_flatten(whole.after, "data", alone=alone).changed


def test_each_block_is_copied_once() -> None:
    """Every overlay goes straight into the disk's own file, the lowest first, and is deleted only after that was noted."""
    steps = plan_flatten(state("a", "b"), "data", alone=True).steps
    assert [(PurePosixPath(one.top).name, one.base) for one in steps if isinstance(one, Commit)] == [
        ("data.a.qcow2", OWN),
        ("data.b.qcow2", OWN),
    ]
    assert [type(one).__name__ for one in steps] == [*["Note", "Commit", "Note", "Drop"] * 2, "Flatten"]
    assert isinstance(steps[-1], Flatten) and (steps[-1].path, steps[-1].below) == (OWN, IMAGE)


def test_what_a_snapshot_needs_is_refused_by_its_name() -> None:
    top, own = f"{HOME}/data.a.qcow2", OWN
    for index in (
        SnapshotIndex(snapshots=(Snapshot("precious", (("data", own),)),)),
        SnapshotIndex(orphans=(Orphan("precious", (("data", top),)),)),
    ):
        with pytest.raises(Refused, match="precious") as caught:
            plan_flatten(replace(state("a"), index=index), "data", alone=False)
        assert caught.value.details["snapshots"] == ["precious"]
    other = SnapshotIndex(snapshots=(Snapshot("other", (("root", f"{HOME}/root.qcow2"),)),))
    assert plan_flatten(replace(state("a"), index=other), "data", alone=False).changed


def test_what_others_stand_on_is_not_merged() -> None:
    found = state("a")
    users = {OWN: [f"{HOME}/data.a.qcow2"]}
    assert plan_flatten(found, "data", alone=False, users=users).changed
    with pytest.raises(Busy, match=r"/srv/other\.qcow2"):
        plan_flatten(found, "data", alone=False, users={OWN: ["/srv/other.qcow2", *users[OWN]]})
    assert plan_flatten(state(), "data", alone=True, users={OWN: ["/srv/other.qcow2"]}).changed, "its content stays the same"


def test_a_disk_that_was_given_by_path_keeps_what_it_stands_on() -> None:
    given = state("a", own="/srv/data.qcow2", below="/srv/base.qcow2")
    found = plan_flatten(given, "data", alone=False)
    assert chain_view(found.after, "data")["chain"] == ["/srv/data.qcow2", "/srv/base.qcow2"]
    assert not any(isinstance(one, Drop) and one.path.startswith("/srv") for one in found.steps)
    assert [one.path for one in own_files(given, require_disk(given, "data"))] == [f"{HOME}/data.a.qcow2", "/srv/data.qcow2"]


def test_disks_that_cannot_be_worked_on() -> None:
    with pytest.raises(NotFound, match="there: data"):
        require_disk(state(), "root")
    remote = replace(state(), disks=(DiskNow("data", "vda", "", ""),))
    with pytest.raises(Conflict, match="elsewhere"):
        require_disk(remote, "data")


def test_an_export_is_made_once_and_nothing_else_is_overwritten() -> None:
    wanted = Export("web", "data", "vda", VolumeFile(OWN, "qcow2", GIB, IMAGE), "/srv/out.qcow2", live=True, quiesce="auto")
    plan = plan_export(ExportState("/srv/out.qcow2"), wanted)
    assert plan.actions == [
        "Copy disk data of domain web to /srv/out.qcow2 while it runs, after the guest agent froze its file systems"
    ]
    assert export_view(plan.after) == {"path": "/srv/out.qcow2", "format": "qcow2", "virtual_size": GIB}
    assert not plan_export(plan.after, wanted).changed
    for other in (("raw", GIB, None), ("qcow2", 2 * GIB, None), ("qcow2", GIB, IMAGE)):
        with pytest.raises(Conflict, match="left alone"):
            plan_export(ExportState("/srv/out.qcow2", VolumeFile("/srv/out.qcow2", *other)), wanted)
