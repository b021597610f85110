# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.host import check_wanted
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.domains import check_ownership
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions, read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Nic
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import ResolvedDomain
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from support.compute import DIGEST, GIB, host, record, root_disk, root_volume, spec

ASKED = [{"name": "root", "image": DIGEST, "size": "20GiB"}]
MAC = "52:54:00:00:00:01"


def check(wanted: ResolvedDomain, state: VmState | None = None, asked: Any = (), **facts: Any) -> None:
    check_wanted(wanted, state or VmState("web"), host(**facts), read_options({"name": "web", "disks": asked}))


def file(**changes: Any) -> VolumeFile:
    return replace(VolumeFile(root_disk().path, "qcow2", 20 * GIB, root_volume().backing), **changes)


def test_what_the_host_has_passes() -> None:
    nics = (Nic("nic0", MAC, network="edge"), Nic("nic1", "52:54:00:00:00:02", bridge="br-lan"))
    check(ResolvedDomain(spec(nics=nics), (root_volume(),)), asked=ASKED)
    check(ResolvedDomain(spec(), (root_volume(),)), VmState("web", volumes=(file(),)), ASKED, images={})


def want(*parts: Any) -> ResolvedDomain:
    """Return a request of a spec and its volumes."""
    return ResolvedDomain(*parts)


CASES: list[tuple[ResolvedDomain, dict[str, Any], str, str]] = [
    (want(spec()), {"domains": {"other": spec().uuid}}, "conflict", f"uuid: {spec().uuid} belongs to domain other"),
    (want(spec(virt_type="kvm")), {"virt_types": ("qemu",)}, "unsupported", "virt_type: libvirt on this host does not offer kvm"),
    (want(spec(memory=65 * GIB)), {}, "invalid_input", "memory: 65GiB is more than this host has (64GiB)"),
    (want(spec(machine="pc-q35-99")), {}, "unsupported", "machine: QEMU on this host does not have pc-q35-99"),
    (want(spec(cpu=Cpu("custom", "Z80"))), {"cpu_models": ("qemu64",)}, "unsupported", "cpu.model: this host cannot run Z80"),
    (want(spec(nics=(Nic("n", MAC, "no"),))), {}, "not_found", "nics[0].network: libvirt has no network no (there: asleep, edge)."),
    (want(spec(nics=(Nic("n", MAC, "asleep"),))), {}, "invalid_input", "nics[0].network: network asleep is not active"),
    (want(spec(nics=(Nic("n", MAC, bridge="no"),))), {}, "not_found", "nics[0].bridge: this host has no bridge no (there:"),
    (want(spec(nics=(Nic("n", MAC, "edge"),))), {"macs": {MAC: "other"}}, "conflict", f"nics[0].mac: {MAC} is used by domain"),
    (want(spec(kernel="/k")), {"missing": frozenset({"/k"})}, "not_found", "kernel: this host has no file /k"),
    (want(spec(), (root_volume(),)), {"images": {}}, "not_found", f"disks[0].image: image {DIGEST} is not in the host cache"),
    (want(spec(), (root_volume(size=GIB),)), {}, "invalid_input", "disks[0].size: 1GiB is smaller than the image (2GiB)"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "facts", "code", "says"), CASES)
def test_what_the_host_lacks_is_named(wanted: ResolvedDomain, facts: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(EdgeError) as found:
        check(wanted, asked=ASKED, **facts)
    assert found.value.code == code
    assert found.value.message.startswith(says)
    assert says.startswith(found.value.details["option"])


@pytest.mark.parametrize(
    ("state", "wanted", "says"),
    [
        (VmState("web", volumes=(file(backing="/other"),)), root_volume(), "disks[0].image: "),
        (VmState("web", volumes=(file(backing=None),)), root_volume(), "disks[0].image: "),
        (VmState("web", volumes=(file(),)), root_volume(size=10 * GIB), "disks[0].size: "),
        (VmState("web", record=record()), root_volume(), "disks[0]: /var/lib/edge/vms/web/root.qcow2 was made for"),
    ],
)
def test_a_disk_is_never_made_again_nor_shrunk(state: VmState, wanted: Any, says: str) -> None:
    with pytest.raises(EdgeError) as found:
        check(want(spec(), (wanted,)), state, ASKED)
    assert found.value.message.startswith(says)


def test_files_of_others_are_looked_at() -> None:
    asked = [{"name": "data", "path": "/d", "format": "raw"}]
    with pytest.raises(EdgeError, match=r"^disks\[0\]\.path: this host has no file /d"):
        check(ResolvedDomain(spec()), asked=asked, missing=frozenset({"/d"}))
    check(ResolvedDomain(spec()), asked=asked, files={"/d": VolumeFile("/d", "raw", 1)})


@pytest.mark.parametrize(
    "backing", ["/etc/shadow", "/srv/x.qcow2", 'json:{"driver":"raw","file.filename":"/etc/shadow"}', "nbd://x/y"]
)
def test_a_kept_file_that_stands_on_a_file_of_the_host_is_not_taken_for_a_disk_of_ours(backing: str) -> None:
    volume = root_volume(image=None, backing=None)
    taken = VmState("web", volumes=(file(backing=backing),))
    with pytest.raises(EdgeError, match=r"^disks\[0\]: .* exists with the backing file .*format: qcow2"):
        check(want(spec(), (volume,)), taken, ASKED)
    for ours in (None, root_volume().backing, "/var/lib/edge/vms/web/other.qcow2"):
        check(want(spec(), (volume,)), VmState("web", volumes=(file(backing=ours),)), ASKED)


def test_what_the_domain_already_has_is_not_asked_again() -> None:
    """An upgrade of the host must not make every run fail."""
    before = spec(memory=65 * GIB, machine="pc-q35-5.2", nics=(Nic("n", MAC, "edge"),))
    check(ResolvedDomain(before), VmState("web", config=before), macs={MAC: "web"})


def test_networks_are_checked_where_they_are_asked_or_needed_to_start() -> None:
    """A running guest takes other memory whatever became of its network."""
    there = spec(nics=(Nic("n", MAC, "asleep"),))
    runs = VmState("web", run="running", config=there, live=there)
    check_wanted(ResolvedDomain(there), runs, host(), DomainOptions("web"))
    check_wanted(ResolvedDomain(there), replace(runs, run="stopped"), host(), DomainOptions("web", state="stopped"))
    asked = read_options({"name": "web", "nics": [{"name": "n", "network": "asleep"}]})
    for state, options in (
        (runs, asked),
        (runs, DomainOptions("web", allow_restart=True)),
        (replace(runs, run="stopped"), DomainOptions("web")),
    ):
        with pytest.raises(EdgeError, match=r"^nics\[0\]\.network: network asleep is not active"):
            check_wanted(ResolvedDomain(there), state, host(), options)


def test_foreign_domains_need_adopt() -> None:
    foreign = VmState("web", config=spec())
    with pytest.raises(Conflict, match="adopt"):
        check_ownership(foreign, adopt=False)
    check_ownership(foreign, adopt=True)
    check_ownership(replace(foreign, marked=True), adopt=False)
    check_ownership(VmState("web"), adopt=False)
