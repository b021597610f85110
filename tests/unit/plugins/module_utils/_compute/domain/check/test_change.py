# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.change import check_change
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.hardware import (
    check_hardware,
    check_memory,
    memory_needed,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Filesystem, Nic
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import ResolvedDomain
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, NoSpace, Refused
from support.compute import GIB, host, root_volume, spec

STOPPED = VmState("web", config=spec())


@pytest.mark.parametrize("asked", ["paused", "saved"])
@pytest.mark.parametrize(("state", "found"), [(VmState("web"), "absent"), (STOPPED, "stopped")])
def test_only_what_runs_can_be_halted(asked: str, state: VmState, found: str) -> None:
    with pytest.raises(Refused, match=f"^state: domain web is {found} and cannot become {asked}"):
        check_change(ResolvedDomain(spec()), state, asked)


@pytest.mark.parametrize("run", ["running", "paused", "saved"])
def test_every_other_state_can_be_reached(run: str) -> None:
    for asked in ("running", "stopped", "paused", "saved"):
        check_change(ResolvedDomain(spec()), VmState("web", run=run, config=spec(), live=spec()), asked)
    check_change(ResolvedDomain(spec()), VmState("web"), "running")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"arch": "aarch64"}, "arch: domain web has x86_64, aarch64 was asked; only a new domain can have it"),
        ({"machine": "pc-i440fx-7.2"}, "machine: domain web has pc-q35, pc-i440fx was asked; "),
        ({"firmware": "uefi"}, "firmware: domain web has bios, uefi was asked; "),
    ],
)
def test_what_only_a_new_domain_can_have_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused) as found:
        check_change(ResolvedDomain(spec(**changes)), STOPPED, "running")
    assert found.value.message.startswith(says)
    check_change(ResolvedDomain(spec(machine="pc-q35-9.0")), STOPPED, "running")


def test_the_disks_of_a_saved_guest_do_not_grow() -> None:
    volume = root_volume()
    saved = VmState("web", run="saved", config=spec(), volumes=(VolumeFile(volume.path, "qcow2", GIB),))
    with pytest.raises(Refused, match=r"^disks: disk root of saved domain web cannot grow"):
        check_change(ResolvedDomain(spec(), (volume,)), saved, "saved")
    check_change(ResolvedDomain(spec(), (volume,)), saved, "running")


PCI = "0000:03:10.1"
NO_PCI = {"missing": frozenset({f"/sys/bus/pci/devices/{PCI}"})}
LACKS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"max_memory": 65 * GIB}, {}, "invalid_input", "max_memory: 65GiB is more than this host has (64GiB)"),
    ({"firmware": "uefi"}, {"lacks": frozenset({"firmware"})}, "unsupported", "firmware: libvirt on this host finds no UEFI"),
    ({"tpm": True}, {"lacks": frozenset({"tpm"})}, "unsupported", "tpm: libvirt on this host finds no TPM emulator"),
    ({"spice": "tls"}, {"unset": ("spice_password",)}, "unsupported", "spice: tls opens the display to the network"),
    ({"filesystems": (Filesystem("a", "/no"),)}, {"missing": frozenset({"/no"})}, "not_found", "filesystems[0].path: this host"),
    ({"pci_devices": (PCI,)}, NO_PCI, "not_found", "pci_devices[0]: this host has no"),
    ({"pci_devices": (PCI,)}, {"ungrouped": frozenset({PCI})}, "unsupported", "pci_devices[0]: no IOMMU of this host"),
    ({"nics": (Nic("n", "52:54:00:00:00:01", hostdev=PCI),)}, NO_PCI, "not_found", "nics[0].hostdev: "),
    ({"nics": (Nic("n", "52:54:00:00:00:01", hostdev=PCI),), "pci_devices": (PCI,)}, {}, "invalid_input", "pci_devices[0]: 0000:0"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "facts", "code", "says"), LACKS)
def test_hardware_that_the_host_lacks_is_named(changes: dict[str, Any], facts: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(EdgeError) as found:
        check_hardware(spec(**changes), None, host(**facts))
    assert found.value.code == code
    assert found.value.message.startswith(says)
    assert says.startswith(found.value.details["option"])
    check_hardware(spec(), None, host())
    had = spec(pci_devices=(PCI,))
    check_hardware(had, had, host(ungrouped=frozenset({PCI})))


@pytest.mark.parametrize(
    ("run", "asked", "facts", "changes", "refused"),
    [
        ("stopped", "running", {"free": GIB - 1}, {}, True),
        ("saved", "paused", {"free": 0}, {}, True),
        ("stopped", "running", {"free": GIB}, {}, False),
        ("stopped", "running", {"free": None}, {}, False),
        ("stopped", "stopped", {"free": 0}, {}, False),
        ("running", "running", {"free": 0}, {}, False),
        ("stopped", "running", {"free": 0}, {"hugepages": 2**21}, False),
    ],
)
def test_no_guest_starts_where_no_memory_is_left(
    run: str, asked: str, facts: dict[str, Any], changes: dict[str, Any], refused: bool
) -> None:
    def check() -> None:
        check_memory(spec(**changes), VmState("web", run=run), asked, host(**facts))

    if not refused:
        check()
        return
    with pytest.raises(NoSpace, match=r"^memory: 1GiB is more than this host has left") as found:
        check()
    assert found.value.details["option"] == "memory" and found.value.details["value"] == GIB


@pytest.mark.parametrize(
    ("run", "asked", "restart", "gib", "needed"),
    [
        ("running", "running", True, (1, 1, 3), 2),
        ("running", "running", False, (1, 3, 3), 2),
        ("running", "running", False, (1, 1, 3), 0),
        ("paused", "paused", False, (1, 3, 3), 0),
        ("running", "running", True, (3, 3, 1), 0),
        ("running", "stopped", True, (1, 1, 3), 0),
        ("saved", "running", False, (1, 1, 1), 1),
    ],
)
def test_a_guest_that_grows_needs_what_it_grows_by(
    run: str, asked: str, restart: bool, gib: tuple[int, int, int], needed: int
) -> None:
    """The sizes are what it has, how far its balloon lets it grow, and what it is to have."""
    now, wanted = spec(memory=gib[0] * GIB, max_memory=gib[1] * GIB), spec(memory=gib[2] * GIB)
    state = VmState("web", run=run, config=now, live=now)
    assert memory_needed(wanted, state, asked, restart=restart) == needed * GIB
    if needed:
        with pytest.raises(NoSpace, match=r"^memory: "):
            check_memory(wanted, state, asked, host(free=needed * GIB - 1), restart=restart)
    check_memory(wanted, state, asked, host(free=needed * GIB), restart=restart)


@pytest.mark.parametrize(
    ("size", "run", "code"),
    [(2**21, "stopped", "no_space"), (2**30, "stopped", None), (2**21, "running", None), (2**22, "stopped", "invalid_input")],
)
def test_no_guest_starts_where_its_huge_pages_are_not_free(size: int, run: str, code: str | None) -> None:
    pages = {4096: 999, 2**21: 511, 2**30: 1}
    raises = pytest.raises(EdgeError, match=r"^hugepages: ") if code else contextlib.nullcontext()
    with raises as found:
        check_memory(spec(hugepages=size), VmState("web", run=run), "running", host(free_pages=pages))
    assert found is None or (found.value.code, found.value.details["option"]) == (code, "hugepages")
    check_memory(spec(hugepages=size), VmState("web", run=run), "running", host())
