# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.apply_live import io_tune
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.hotplug import live_steps
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DiskLimits,
    DomainSpec,
    Foreign,
    Nic,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState, pending
from hypothesis import given
from hypothesis import strategies as st
from support.compute import GIB, root_disk, spec, specs

DATA = root_disk(name="data", path="/data.qcow2", target="vdb", boot=None)
DRIVE = Disk("cd", "/a.iso", "raw", "sda", "sata", device="cdrom", read_only=True)
NIC = Nic("nic0", "52:54:00:00:00:01", "edge")
BLUE = Nic("blue", "52:54:00:00:00:02", bridge="evb-blue", mtu=1450, virtual_network="blue", tap="evt-x", mtu_of_network=True)
RED = replace(BLUE, bridge="evb-red", virtual_network="red", isolated=True)
NOW = spec(max_vcpus=4, max_memory=4 * GIB, disks=(DRIVE, root_disk()), nics=(NIC,), vnc=True, vnc_password="s3cret")


def state(config: DomainSpec, live: DomainSpec = NOW, **changes: Any) -> VmState:
    return VmState("web", run="running", config=config, live=live, **changes)


def disks(*found: Disk) -> DomainSpec:
    return replace(NOW, disks=tuple(sorted(found, key=lambda disk: disk.target)))


LIVE: list[tuple[DomainSpec, list[str]]] = [
    (NOW, []),
    (replace(NOW, vcpus=4), ["Give running domain web 4 vCPUs"]),
    (replace(NOW, memory=3 * GIB), ["Set the memory of running domain web to 3GiB"]),
    (replace(NOW, vcpu_pinning=("2-3",), emulator_pinning="0"), ["Pin the CPUs of running domain web"]),
    (disks(*NOW.disks, DATA), ["Attach disk data to running domain web as vdb"]),
    (disks(root_disk(limits=DiskLimits(read_iops=9)), DRIVE), ["Set the limits of disk root of running domain web"]),
    (disks(root_disk(), replace(DRIVE, path="/b.iso")), ["Put /b.iso into drive cd of running domain web"]),
    (disks(root_disk(), replace(DRIVE, path="")), ["Empty drive cd of running domain web"]),
    (replace(NOW, vnc_password="other"), ["Change the VNC password of running domain web"]),
    (replace(NOW, nics=()), ["Detach interface nic0 from running domain web"]),
    (replace(NOW, nics=(replace(NIC, link=False, inbound=2**20),)), ["Change interface nic0 of running domain web"]),
    (replace(NOW, nics=(replace(NIC, network=None, bridge="br-lan"),)), ["Change interface nic0 of running domain web"]),
    (replace(NOW, nics=(NIC, Nic("b", "52:54:00:00:00:02", "edge"))), ["Attach interface b to running domain web"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "actions"), LIVE)
def test_what_a_running_guest_takes(wanted: DomainSpec, actions: list[str]) -> None:
    steps = live_steps(state(wanted))
    assert [step.sentence for step in steps] == actions
    after = state(wanted)
    for step in steps:
        after = step.predict(after)
    assert pending(after) == []


@pytest.mark.parametrize(
    ("now", "then", "waits"),
    [
        (BLUE, RED, []),
        (RED, BLUE, []),
        (BLUE, replace(RED, mtu=1400), ["nics.blue"]),
        (RED, replace(BLUE, bridge="br0", virtual_network=None, tap=None), ["nics.blue"]),
        (replace(BLUE, bridge="br0", virtual_network=None, tap=None), BLUE, ["nics.blue"]),
    ],
)
def test_an_interface_that_runs_changes_its_virtual_network_at_once_and_its_name_and_mtu_later(
    now: Nic, then: Nic, waits: list[str]
) -> None:
    before = state(replace(NOW, nics=(then,)), replace(NOW, nics=(now,)))
    (step,) = live_steps(before)
    after = step.predict(before)
    assert step.sentence == "Change interface blue of running domain web"
    assert after.live is not None
    (nic,) = after.live.nics
    assert (nic.bridge, nic.virtual_network, nic.isolated) == (then.bridge, then.virtual_network, then.isolated)
    assert (nic.tap, nic.mtu) == (now.tap, now.mtu)
    assert pending(after) == waits
    assert live_steps(after) == ()


WAITS: list[tuple[DomainSpec, list[str]]] = [
    (replace(NOW, vcpus=5, max_vcpus=5), ["vcpus", "max_vcpus"]),
    (replace(NOW, memory=5 * GIB, max_memory=5 * GIB), ["memory", "max_memory"]),
    (disks(DRIVE), ["disks.root"]),
    (disks(root_disk(), DRIVE, replace(DATA, bus="sata", target="sdb")), ["disks.data"]),
    (disks(root_disk(), DRIVE, replace(DATA, bus="scsi", target="sdb")), ["disks.data"]),
    (disks(root_disk(), DRIVE, replace(DATA, iothread=1)), ["disks.data"]),
    (disks(root_disk(cache="writeback"), DRIVE), ["disks.root"]),
    (disks(root_disk(path="/other.qcow2"), DRIVE), ["disks.root"]),
    (disks(root_disk()), ["disks.cd"]),
    (replace(NOW, vnc_password=None), ["vnc_password"]),
    (replace(NOW, vnc_listen="0.0.0.0"), ["vnc_listen"]),
    (replace(NOW, vnc=False), ["vnc", "vnc_password"]),
    (replace(NOW, nics=(replace(NIC, mtu=1400),)), ["nics.nic0"]),
    (replace(NOW, nics=(NIC, Nic("vf", "52:54:00:00:00:03", hostdev="0000:03:10.1"))), ["nics.vf"]),
    (replace(NOW, nics=(NIC, Nic("again", NIC.mac, "edge"))), ["nics.again"]),
    (replace(NOW, cpu=Cpu("maximum"), tpm=True, watchdog="reset"), ["cpu", "tpm", "watchdog"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "paths"), WAITS)
def test_what_waits_for_the_next_start(wanted: DomainSpec, paths: list[str]) -> None:
    assert live_steps(state(wanted)) == ()
    assert pending(state(wanted)) == paths


def test_devices_wait_where_no_port_is_free_and_one_that_goes_makes_room() -> None:
    both = replace(disks(*NOW.disks, DATA), nics=(NIC, Nic("b", "52:54:00:00:00:02", "edge")))
    assert [step.sentence for step in live_steps(state(both, free_ports=1))] == ["Attach disk data to running domain web as vdb"]
    assert live_steps(state(both, free_ports=0)) == ()
    moved = replace(NOW, nics=(Nic("b", "52:54:00:00:00:02", "edge"),))
    assert len(live_steps(state(moved, free_ports=0))) == 2


def test_fewer_vcpus_and_lost_pins_wait() -> None:
    more = replace(NOW, vcpus=3, vcpu_pinning=("0", "1"), emulator_pinning="0")
    assert live_steps(state(NOW, more)) == ()
    assert pending(state(NOW, more)) == ["vcpus", "vcpu_pinning", "emulator_pinning"]


def test_a_target_that_is_still_taken_is_not_given_to_another_disk() -> None:
    booted_from = root_disk(name="old", boot=1)
    wanted = disks(root_disk(name="new", path="/new.qcow2"))
    assert live_steps(state(wanted, disks(booted_from))) == ()
    assert live_steps(state(disks(*NOW.disks, DATA), live_foreign=Foreign(disks=(DATA,)))) == ()


@given(specs, specs, st.none() | st.integers(0, 3))
def test_steps_done_leave_no_step_and_touch_nothing_else(live: DomainSpec, config: DomainSpec, ports: int | None) -> None:
    before = state(config, live, free_ports=ports)
    after = before
    for step in live_steps(before):
        after = step.predict(after)
    assert live_steps(after) == ()
    assert set(pending(after)) <= set(pending(before))
    assert after.config == config
    assert after.free_ports is None or after.free_ports >= 0


def test_a_burst_ends_where_its_limit_goes_or_rises_above_it() -> None:
    now = {"total_iops_sec": 100, "total_iops_sec_max": 500, "total_iops_sec_max_length": 3, "read_bytes_sec_max": 0}
    kept = io_tune(DiskLimits(total_iops=500, read_bytes=7), now)
    assert (kept["total_iops_sec"], kept["read_bytes_sec"]) == (500, 7) and not [key for key in kept if "max" in key]
    for value in (0, 501):
        gone = io_tune(DiskLimits(total_iops=value), now)
        assert {key: gone[key] for key in gone if "max" in key} == {"total_iops_sec_max": 0, "total_iops_sec_max_length": 0}


def test_a_display_that_was_started_without_a_password_takes_none_while_it_runs() -> None:
    """QEMU refuses to set one there; until the next start the state says that it waits."""
    open_display = replace(NOW, vnc_password=None)
    assert live_steps(state(NOW, open_display)) == ()
    assert pending(state(NOW, open_display)) == ["vnc_password"]
