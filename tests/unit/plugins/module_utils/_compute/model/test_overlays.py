# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk's active file may be an overlay over its own: nothing may put the own one back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.host import check_wanted
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.plan import Goal, plan_absent, plan_goal
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders, VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.overlays import (
    chain,
    is_ours,
    kept_files,
    overlay_of,
    with_kept_overlays,
    with_own_files,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    NOTHING_FOREIGN,
    DomainSpec,
    Foreign,
    Record,
    Volume,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import ResolvedDomain, resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from hypothesis import given
from hypothesis import strategies as st
from support.compute import DIGEST, GIB, host, record, root_disk, root_volume, spec, specs

HOME = "/var/lib/edge/vms/web"
OWN, OVERLAY = f"{HOME}/root.qcow2", f"{HOME}/root.before.qcow2"
IMAGE = str(root_volume().backing)
FILES = (VolumeFile(OWN, "qcow2", 20 * GIB, IMAGE), VolumeFile(OVERLAY, "qcow2", 20 * GIB, OWN))
ON_OVERLAY = spec(disks=(root_disk(overlay=OVERLAY),))


def state(**changes: Any) -> VmState:
    values: dict[str, Any] = {
        "name": "web", "run": "running", "config": ON_OVERLAY, "live": ON_OVERLAY, "record": record(), "marked": True,
        "volumes": FILES, "folder": (OWN, OVERLAY),
    }  # fmt: skip
    return VmState(**{**values, **changes})


def goal(volume: Volume | None = None, active: Any = ON_OVERLAY, **changes: Any) -> Goal:
    kept = replace(record(), volumes=(volume or root_volume(),))
    return Goal(**{"run": "running", "record": kept, "spec": active, **changes})


def test_names() -> None:
    assert overlay_of(OVERLAY, "root", HOME) == "before"
    for path in (OWN, "/elsewhere/root.before.qcow2", f"{HOME}/data.before.qcow2", f"{HOME}/root.a.b.qcow2"):
        assert overlay_of(path, "root", HOME) is None
    assert [name for name in ("root.qcow2", "root.x.qcow2", "seed.iso", "notes.txt", "my.big.disk.qcow2") if is_ours(name)] == [
        "root.qcow2",
        "root.x.qcow2",
        "seed.iso",
    ]


def observed(wanted: DomainSpec, known: Record | None) -> DomainSpec:
    """Return what is read back from the XML of a spec."""
    return with_own_files(parse(emit(wanted)).spec, HOME, known)


@given(specs, st.sets(st.integers(0, 3)))
def test_the_xml_names_active_files_and_reading_it_finds_the_own_ones(wanted: DomainSpec, laid_over: set[int]) -> None:
    disks = [
        replace(disk, overlay=f"{HOME}/{disk.name}.a.qcow2") if place in laid_over and disk.source is None else disk
        for place, disk in enumerate(wanted.disks)
    ]
    over = replace(wanted, disks=tuple(disks), xml_override=None)
    sources = emit(over).findall("devices/disk/source")
    paths = [source.get("file") or source.get("dev") for source in sources if source.get("protocol") is None]
    assert all(source.get("dev") is None for source in sources if source.get("file"))
    assert sorted(str(path) for path in paths) == sorted(disk.active for disk in over.disks if disk.active)
    assert observed(over, Record(over)) == over
    assert [disk.overlay for disk in Record(over).spec.disks] == [None for disk in over.disks]


def test_the_active_file_stays_whatever_the_options_say() -> None:
    assert observed(ON_OVERLAY, record()) == observed(ON_OVERLAY, None) == ON_OVERLAY
    asked = read_options({"name": "web", "memory": "2GiB", "disks": [{"name": "root", "cache": "writeback"}]})
    (disk,) = resolve(asked, ON_OVERLAY, record().volumes, host(), NOTHING_FOREIGN).spec.disks
    assert (disk.path, disk.overlay, disk.cache) == (OWN, OVERLAY, "writeback")
    assert plan_goal(state(), goal()).actions == []


def test_a_disk_given_by_path_keeps_its_overlay_until_another_path_is_asked() -> None:
    given_by_path = root_disk(path="/srv/a.qcow2", overlay=OVERLAY)
    known = Record(spec(disks=(given_by_path,)))
    assert observed(ON_OVERLAY, known).disks == (given_by_path,)
    files = {path: VolumeFile(path, "qcow2", GIB) for path in ("/srv/a.qcow2", "/srv/b.qcow2")}
    for path, overlay in (("/srv/a.qcow2", OVERLAY), ("/srv/b.qcow2", None)):
        asked = read_options({"name": "web", "disks": [{"name": "root", "path": path}]})
        (disk,) = resolve(asked, spec(disks=(given_by_path,)), (), host(files=files), NOTHING_FOREIGN).spec.disks
        assert (disk.path, disk.overlay) == (path, overlay)
        assert with_kept_overlays(spec(disks=(disk,)), state(), HOME).disks == (disk,)


def test_a_overlay_over_a_raw_file_is_qcow2_and_the_file_stays_raw() -> None:
    raw = root_disk(path="/srv/a.raw", format="raw")
    known = Record(spec(disks=(raw,)))
    assert observed(ON_OVERLAY, known).disks == (replace(raw, overlay=OVERLAY),)
    driver = emit(observed(ON_OVERLAY, known)).find("devices/disk/driver")
    assert driver is not None and driver.get("type") == "qcow2"


def test_a_disk_that_no_domain_has_goes_on_with_the_top_of_its_chain() -> None:
    gone = VmState("web", volumes=FILES, folder=(OWN, OVERLAY))
    assert with_kept_overlays(record().spec, gone, HOME) == ON_OVERLAY
    detached = state(config=spec(), live=spec())
    assert with_kept_overlays(record().spec, detached, HOME) == ON_OVERLAY
    twice = (*FILES, VolumeFile(f"{HOME}/root.other.qcow2", "qcow2", GIB, OWN))
    with pytest.raises(Conflict, match=r"root\.before\.qcow2, .*root\.other\.qcow2"):
        with_kept_overlays(record().spec, VmState("web", volumes=twice), HOME)


def test_a_new_disk_has_its_own_file() -> None:
    assert with_kept_overlays(record().spec, VmState("web"), HOME) == record().spec


def test_grow_grows_the_active_file() -> None:
    bigger = root_volume(size=30 * GIB)
    assert plan_goal(state(), goal(bigger)).actions[0] == f"Grow {OVERLAY} to 30GiB while it is in use"
    stopped = state(run="stopped", live=None)
    plan = plan_goal(stopped, goal(bigger, run="stopped"))
    assert plan.actions == [f"Grow {OVERLAY} to 30GiB", "Redefine domain web"]
    assert plan.after.config == ON_OVERLAY
    assert plan.after.record is not None and plan.after.record.spec.disks[0].path == OWN
    assert [one.size for one in plan.after.volumes] == [20 * GIB, 30 * GIB]


def check(volume: Volume, now: VmState, active: Any = ON_OVERLAY) -> None:
    check_wanted(ResolvedDomain(active, (volume,)), now, host(), read_options({"name": "web", "disks": [{"name": "root"}]}))


def test_the_image_is_compared_with_the_bottom_and_the_size_with_the_top() -> None:
    check(root_volume(), state())
    grown = (FILES[0], replace(FILES[1], size=30 * GIB))
    check(root_volume(size=30 * GIB), state(volumes=grown))
    with pytest.raises(EdgeError, match=r"root\.before\.qcow2 has 30GiB, 20GiB was asked; a disk never shrinks"):
        check(root_volume(), state(volumes=grown))
    with pytest.raises(EdgeError, match=r"root\.qcow2 exists with backing file .*a disk is never recreated"):
        check(root_volume(image="sha256:" + "cd" * 32, backing="/other.qcow2"), state())


@pytest.mark.parametrize(
    "files",
    [
        (VolumeFile(f"{HOME}/root.arriving.qcow2", "qcow2", 20 * GIB, "nbd://replica.example/image"),),
        (VolumeFile(f"{HOME}/root.arriving.qcow2", "qcow2", 20 * GIB, 'json:{"driver":"nbd"}'),),
        (VolumeFile(OVERLAY, "qcow2", 20 * GIB, None),),
        (VolumeFile(OVERLAY, "qcow2", 20 * GIB, IMAGE),),
    ],
)
def test_an_image_on_its_way_and_a_flattened_disk_are_no_other_image(files: tuple[VolumeFile, ...]) -> None:
    """The own file may be missing then; what counts is that the active one is there."""
    active = spec(disks=(root_disk(overlay=files[0].path),))
    now = state(config=active, live=active, volumes=files)
    check(root_volume(), now, active)
    assert plan_goal(now, goal(active=active)).actions == []
    if files[0].backing != IMAGE:
        with pytest.raises(EdgeError, match="a disk is never recreated"):
            check(root_volume(image="sha256:" + "cd" * 32, backing="/other.qcow2"), now, active)


def test_a_lost_active_file_is_an_error_though_the_own_one_is_there() -> None:
    for known in (record(), None):
        with pytest.raises(EdgeError, match=r"root\.before\.qcow2 was made for this domain and is gone"):
            check(root_volume(), state(volumes=FILES[:1], record=known))


@given(st.permutations(range(5)), st.integers(0, 5))
def test_a_chain_ends_also_where_files_name_each_other(order: list[int], last: int) -> None:
    files = [VolumeFile(f"/{one}", "qcow2", 1, f"/{below}") for one, below in zip(order, [*order[1:], last], strict=True)]
    found = chain(f"/{order[0]}", files)
    assert [one.path for one in found] == [f"/{one}" for one in order]


def absent(now: VmState) -> tuple[str, ...]:
    after = plan_absent(now, False, True, kept_files(now, HOME, Folders())).after
    assert plan_absent(after, False, True, kept_files(now, HOME, Folders())).actions == []
    return after.folder


def test_absent_deletes_every_overlay_of_ours() -> None:
    assert absent(state()) == ()
    assert absent(VmState("web", volumes=FILES[1:], folder=(OWN, OVERLAY))) == ()
    arriving = VolumeFile(f"{HOME}/root.arriving.qcow2", "qcow2", GIB, "nbd://replica.example/x")
    assert absent(VmState("web", volumes=(arriving,), folder=(arriving.path,))) == ()


def test_absent_keeps_what_others_attached_whatever_it_is_called_and_what_is_below() -> None:
    below, top = f"{HOME}/data.qcow2", f"{HOME}/data.before.qcow2"
    files = (VolumeFile(below, "qcow2", GIB), VolumeFile(top, "qcow2", GIB, below))
    theirs = Foreign(disks=(root_disk(name="vdb", path=top, target="vdb", foreign="vdb"),))
    now = state(volumes=(*FILES, *files), folder=(OWN, OVERLAY, below, top), foreign=theirs)
    assert absent(now) == (below, top)
    adopted = VmState("web", config=spec(disks=()), volumes=files, folder=(below, top), foreign=theirs)
    assert absent(adopted) == (below, top)
    lost_alias = Foreign(disks=(root_disk(name="vda", foreign="vda"),))
    assert absent(state(config=spec(disks=()), foreign=lost_alias, volumes=FILES[:1], folder=(OWN,))) == ()


def test_absent_keeps_files_given_by_path_and_what_stands_on_them() -> None:
    own = f"{HOME}/data.qcow2"
    overlay = VolumeFile(f"{HOME}/data.before.qcow2", "qcow2", GIB, own)
    data = root_disk(name="data", path=own, target="vdb")
    known = Record(spec(disks=(root_disk(), data)), (root_volume(),))
    config = spec(disks=(root_disk(overlay=OVERLAY), replace(data, overlay=overlay.path)))
    now = state(config=config, record=known, volumes=(*FILES, overlay), folder=(OWN, OVERLAY, own, overlay.path))
    assert absent(now) == (own, overlay.path)
    index = f"{HOME}/snapshots.json"
    assert absent(replace(now, folder=(*now.folder, index))) == (own, overlay.path, index)
    assert absent(replace(state(), folder=(OWN, OVERLAY, index, f"{HOME}/a.memory"))) == ()
    elsewhere = replace(overlay, backing="/srv/data.qcow2")
    assert absent(VmState("web", volumes=(*FILES, elsewhere), folder=(OWN, OVERLAY, overlay.path))) == (overlay.path,)


def test_an_image_of_the_host_cache_under_an_overlay_is_no_foreign_file() -> None:
    flat = replace(FILES[1], backing=f"/var/lib/edge/images/{DIGEST.removeprefix('sha256:')}.qcow2")
    assert absent(VmState("web", volumes=(flat,), folder=(OVERLAY,))) == ()
