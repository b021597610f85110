# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk whose image has not arrived: which files it has at each moment, and what leads from one to the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.plan import Goal, plan_goal
from ansible_collections.edge.cloud.plugins.module_utils._compute.lazy.plan import arriving_images, left_over, with_arrivals
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import HostFacts, VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.overlays import with_kept_overlays, with_own_files
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.remote_image import RemoteImage, from_url, on_server
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.remote_backing import write_remote
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan
from support.compute import DIGEST, GIB, host, root_disk, root_volume, spec

HOME = "/var/lib/edge/vms/web"
OWN, ARRIVING = f"{HOME}/root.qcow2", f"{HOME}/root.arriving.qcow2"
IMAGE = RemoteImage("replica1.example", 10809, DIGEST, 2 * GIB)
REMOTE = root_disk(overlay=ARRIVING, remote=IMAGE.url)
WANTED = Record(spec(disks=(root_disk(),)), (root_volume(),))
AWAY = host(images={}, remote_images={DIGEST: IMAGE})
HERE = host()


def waiting(run: str = "running", **changes: object) -> VmState:
    now = spec(disks=(REMOTE,))
    state = VmState(
        "web",
        run=run,
        config=now,
        live=now if run != "stopped" else None,
        record=WANTED,
        marked=True,
        volumes=(VolumeFile(ARRIVING, "qcow2", 20 * GIB, IMAGE.backing),),
        folder=(ARRIVING,),
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def wanted_on(state: VmState, record: Record) -> DomainSpec:
    """Return what a request that asks for nothing new wants."""
    return with_kept_overlays(state.config or record.spec, state, HOME)


def planned(state: VmState, facts: HostFacts, run: str = "running") -> Plan[VmState]:
    active = with_arrivals(wanted_on(state, WANTED), WANTED.volumes, state, facts)
    return plan_goal(state, Goal(run=run, record=WANTED, spec=active, sizes=tuple(facts.image_sizes().items())))


def test_a_new_disk_begins_over_the_remote_image() -> None:
    plan = planned(VmState("web"), AWAY)
    assert plan.actions[0].startswith(f"Create {ARRIVING} (20GiB) as an overlay of {DIGEST}, read from {IMAGE.url}")
    assert plan.actions[1:] == ["Define domain web", "Start domain web"]
    assert plan.after.config == plan.after.live == spec(disks=(REMOTE,))
    assert arriving_images(plan.after) == (DIGEST,)
    assert not planned(plan.after, AWAY).changed


def test_without_a_size_it_is_as_large_as_the_remote_image() -> None:
    record = Record(WANTED.spec, (root_volume(size=None),))
    active = with_arrivals(WANTED.spec, record.volumes, VmState("web"), AWAY)
    plan = plan_goal(VmState("web"), Goal(run="running", record=record, spec=active, sizes=tuple(AWAY.image_sizes().items())))
    assert plan.after.volume(ARRIVING) == VolumeFile(ARRIVING, "qcow2", 2 * GIB, IMAGE.backing)


def test_an_image_that_is_here_is_used_at_once() -> None:
    both = host(remote_images={DIGEST: IMAGE})
    assert planned(VmState("web"), both).after.config == WANTED.spec


@pytest.mark.parametrize("run", ["running", "paused"])
def test_a_guest_that_runs_is_moved_while_it_runs(run: str) -> None:
    plan = planned(waiting(run), HERE, run)
    assert plan.actions == [
        f"Move disk root of domain web onto the local image {DIGEST} while it runs",
        "Redefine domain web",
        f"Remove {ARRIVING}",
    ]
    after = plan.after
    assert after.config == after.live == WANTED.spec
    assert after.volumes == (VolumeFile(OWN, "qcow2", 20 * GIB, root_volume().backing),)
    assert after.folder == (OWN,)
    assert not planned(after, HERE, run).changed


def test_a_stopped_guest_is_moved_by_names() -> None:
    plan = planned(waiting("stopped"), HERE, "stopped")
    assert plan.actions[0] == f"Move disk root of domain web onto the local image {DIGEST}"
    assert plan.after.config == WANTED.spec
    assert not planned(plan.after, HERE, "stopped").changed


def test_a_move_that_was_killed_after_the_switch_is_finished() -> None:
    switched = spec(disks=(root_disk(),))
    state = waiting(
        config=switched,
        live=switched,
        volumes=(VolumeFile(OWN, "qcow2", 20 * GIB, root_volume().backing), *waiting().volumes),
        folder=(ARRIVING, OWN),
    )
    assert left_over(state) == (ARRIVING,)
    plan = planned(state, HERE)
    assert plan.actions == [f"Remove {ARRIVING}"]
    assert not planned(plan.after, HERE).changed


def test_a_copy_that_was_never_switched_to_is_made_anew() -> None:
    state = waiting(volumes=(*waiting().volumes, VolumeFile(OWN, "qcow2", 20 * GIB, root_volume().backing)), folder=(ARRIVING, OWN))
    assert left_over(state) == ()
    assert planned(state, HERE).actions[0].startswith("Move disk root")


def test_while_the_image_is_away_nothing_changes_and_growing_works() -> None:
    assert not planned(waiting(), AWAY).changed
    assert not planned(waiting(), host(images={})).changed
    larger = Record(WANTED.spec, (root_volume(size=30 * GIB),))
    state = waiting(record=larger)
    active = with_arrivals(wanted_on(state, larger), larger.volumes, state, AWAY)
    plan = plan_goal(state, Goal(run="running", record=larger, spec=active))
    assert plan.actions == [f"Grow {ARRIVING} to 30GiB while it is in use"]


def test_a_kept_disk_of_a_removed_domain_is_defined_with_its_remote_image() -> None:
    state = VmState("web", volumes=waiting().volumes, folder=(ARRIVING,))
    plan = planned(state, host(images={}))
    assert plan.actions == ["Define domain web", "Start domain web"]
    assert plan.after.config == spec(disks=(REMOTE,))


def test_xml_says_where_the_image_is_and_forgets_it() -> None:
    wanted = spec(disks=(REMOTE,))
    tree = emit(wanted)
    assert with_own_files(parse(tree).spec, HOME, WANTED) == wanted
    disk = tree.find("devices/disk")
    assert disk is not None
    driver, source = disk.find("driver"), disk.find("backingStore/source")
    assert driver is not None and source is not None
    assert (driver.get("rerror_policy"), driver.get("error_policy"), source.get("tls")) == ("stop", "stop", "yes")
    moved = emit(WANTED.spec, base=tree)
    assert moved.find("devices/disk/backingStore") is None
    assert parse(moved).spec == WANTED.spec
    write_remote(disk, None)
    assert driver.get("rerror_policy") is None


def test_addresses_of_servers() -> None:
    assert on_server("replica1.example", DIGEST, "x") == RemoteImage("replica1.example", 10809, DIGEST)
    assert on_server("nbds://[2001:db8::7]:4000", DIGEST, "x") == RemoteImage("[2001:db8::7]", 4000, DIGEST)
    assert from_url(IMAGE.url) == from_url(IMAGE.backing) == RemoteImage("replica1.example", 10809, DIGEST)
    assert from_url("nbds://replica1.example:10809/other") is None
    for wrong in ("http://replica1.example", "replica 1", "replica1.example:0", "replica1.example:70000", "a,tls-creds=x", ""):
        with pytest.raises(InvalidInput, match=r"image_servers\[0\]"):
            on_server(wrong, DIGEST, "image_servers[0]")
