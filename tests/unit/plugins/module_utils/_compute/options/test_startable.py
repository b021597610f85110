# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt or QEMU would refuse only at the start is refused before anything is made; what is there stays as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.startable import check_start
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions, read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DiskLimits, DomainSpec, Nic, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.virtual_network import VirtualNetwork
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput
from support.compute import DIGEST, GIB, MIB, host, root_disk, spec

SIZED = {"name": "root", "size": "1GiB"}
NIC = {"network": "edge"}
RBD = {"protocol": "rbd", "name": "vms/web"}


def made(options: dict[str, Any], before: DomainSpec | None = None, **facts: Any) -> DomainSpec:
    return resolve(read_options({"name": "web", **options}), before, (), host(**facts)).spec


BAD: list[tuple[dict[str, Any], str]] = [
    ({"disks": [{**SIZED, "serial": "a" * 21}]}, "disks[0].serial: "),
    ({"disks": [{**SIZED, "serial": "a" * 37, "bus": "scsi"}]}, "disks[0].serial: "),
    *(({"disks": [{**SIZED, "serial": text}]}, "disks[0].serial: ") for text in ("a/b", "a,b", "ä", " a", "a ", "a\tb")),
    *(
        ({"disks": [{**SIZED, "target": target, "bus": bus}]}, f"disks[0].target: {target} is not a name of bus {bus}")
        for target, bus in (("hda", "virtio"), ("sda", "virtio"), ("vda", "scsi"), ("vdb", "sata"), ("hdc", "sata"))
    ),
    ({"disks": [{"name": "cd", "device": "cdrom", "bus": "virtio"}]}, "disks[0].bus: a CD drive is on scsi or sata"),
    ({"disks": [{"name": "cd", "device": "cdrom", "size": "1GiB"}]}, "disks[0].device: a CD drive takes the path"),
    ({"disks": [{"name": "cd", "device": "cdrom", "image": DIGEST}]}, "disks[0].device: a CD drive takes the path"),
    ({"disks": [{**SIZED, "bus": "sata", "read_only": True}]}, "disks[0].read_only: no disk of bus sata"),
    ({"disks": [{"name": "r", "image": DIGEST, "format": "raw"}]}, "disks[0].format: raw was asked of a disk of an image"),
    ({"disks": [{**SIZED, "size": "2PiB"}]}, "disks[0].size: 2PiB is more than a qcow2 disk can have (1PiB)"),
    ({"disks": [{**SIZED, "limits": {"total_iops": 10**15 + 1}}]}, "disks[0].limits.total_iops: "),
    ({"disks": [{"name": "r", "source": {**RBD, "name": "web"}}]}, "disks[0].source.name: "),
    ({"disks": [{"name": "r", "source": {**RBD, "tls": True}}]}, "disks[0].source.tls: "),
    ({"disks": [{"name": "r", "source": {**RBD, "user": "u", "secret": "mine"}}]}, "disks[0].source.secret: 'mine'"),
    (
        {"disks": [{"name": "r", "source": {"protocol": "nbd", "hosts": ["a:1"], "user": "u", "secret": stable_uuid("x")}}]},
        "disks[0].source.user: ",
    ),
    ({"nics": [{**NIC, "mtu": 65522}]}, "nics[0].mtu: "),
    ({"nics": [{**NIC, "mac": "00:00:00:00:00:00"}]}, "nics[0].mac: "),
    ({"nics": [{**NIC, "mac": "fe:54:00:00:00:01"}]}, "nics[0].mac: "),
    ({"nics": [{**NIC, "model": "e1000e", "queues": 2}]}, "nics[0].queues: it needs model virtio"),
    *(
        ({"nics": [{"hostdev": "0000:65:00.1", field: value}]}, f"nics[0].{field}: ")
        for field, value in {"mtu": 1400, "queues": 2, "link": True, "inbound": "1MiB", "outbound": "0", "model": "virtio"}.items()
    ),
    ({"cmdline": "quiet"}, "cmdline: it needs a kernel"),
    ({"initrd": "/i"}, "initrd: it needs a kernel"),
    ({"kernel": "/k", "cmdline": "a\x01b"}, "cmdline: 'a\\x01b' has a control character"),
    ({"kernel": "/k\n"}, "kernel: "),
    ({"disks": [{"name": "a", "path": "/a\x0bb"}]}, "disks[0].path: "),
    ({"filesystems": [{"tag": "a", "path": "/a\nb"}]}, "filesystems[0].path: "),
    ({"cloud_init": {"hostname": "my host"}}, "cloud_init.hostname: "),
    ({"cloud_init": {"hostname": ""}}, "cloud_init.hostname: "),
    ({"timeout": -1}, "timeout: -1 is not between"),
    ({"max_vcpus": 256}, "max_vcpus: more than 255 CPUs"),
    (
        {"memory": "1GiB", "hugepages": "1GiB", "vcpus": 2,
         "numa": [{"cpus": "0", "memory": "512MiB"}, {"cpus": "1", "memory": "512MiB"}]},
        "numa[0].memory: 512MiB is not whole pages of 1GiB",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "says"), BAD)
def test_what_cannot_start_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match="^" + re.escape(says)) as found:
        made(options)
    assert says.startswith(found.value.details["option"])


@pytest.mark.parametrize(
    "options",
    [
        {"disks": [{**SIZED, "serial": "a" * 36, "bus": "scsi"}]},
        {"disks": [{**SIZED, "serial": "A b-_.+1"}]},
        {"disks": [{**SIZED, "read_only": True, "bus": "scsi"}]},
        {"disks": [{"name": "cd", "device": "cdrom", "bus": "scsi"}]},
        {"max_vcpus": 288, "xml_override": "<domain><devices><iommu model='intel'/></devices></domain>"},
        {"cloud_init": {"hostname": "web-1.example"}},
        {"timeout": 0},
    ],
)
def test_what_can_start_passes(options: dict[str, Any]) -> None:
    spec = made(options)
    again = {key: value for key, value in options.items() if key != "disks"}
    assert made(again, spec) == spec


def test_a_domain_that_has_such_a_value_is_left_as_it_is() -> None:
    odd = root_disk(serial="a" * 30, target="hda", limits=DiskLimits(total_iops=10**16))
    nic = Nic("nic0", "fe:54:00:00:00:01", "edge", model="e1000e", queues=2)
    before = spec(disks=(odd,), nics=(nic,), cmdline="quiet", max_vcpus=300)
    assert made({"memory": "2GiB"}, before) == replace(before, memory=2 * GIB, max_memory=2 * GIB)


def test_sizes_are_whole_sectors_and_memory_whole_mebibytes() -> None:
    first = resolve(read_options({"name": "web", "disks": [{"name": "a", "size": "10000001"}]}), None, (), host())
    assert first.volumes[0].size == 10000384
    raw = resolve(read_options({"name": "web", "disks": [{"name": "a", "size": "10000001", "format": "raw"}]}), None, (), host())
    assert raw.volumes[0].size == 10002432  # QEMU opens no less by direct I/O on a disk of 4096-byte sectors
    odd = made({"memory": str(64 * MIB + 1), "max_memory": str(65 * MIB + 1)})
    assert (odd.memory, odd.max_memory) == (65 * MIB, 66 * MIB)
    assert made({"kernel": "/k", "cmdline": " quiet\n"}).cmdline == "quiet"


def start(wanted: DomainSpec, options: dict[str, Any] | None = None, before: DomainSpec | None = None, **facts: Any) -> None:
    check_start(wanted, before, host(**facts), read_options({"name": "web", **(options or {})}))


DATA = {"disks": [{"name": "root", "path": "/d"}]}
PINS = {"cpus": (True, False, True)}


@pytest.mark.parametrize(
    ("wanted", "options", "facts", "says"),
    [
        (spec(), {"kernel": "/k"}, {"kinds": {"/k": "folder"}}, "kernel: /k is not a file (folder found)"),
        (spec(), {"initrd": "/k"}, {"kinds": {"/k": "other"}}, "initrd: /k is not a file (a special file found)"),
        (spec(kernel="/k"), {"kernel": "/k"}, {"no_kernel": True}, "kernel: /k is not a kernel that QEMU can boot"),
        (spec(), DATA, {"kinds": {"/d": "folder"}}, "disks[0].path: /d is not a file or block device (folder found)"),
        (spec(), DATA, {"kinds": {"/d": "other"}}, "disks[0].path: /d is not a file or block device"),
        (
            spec(),
            {"filesystems": [{"tag": "a", "path": "/d"}]},
            {"kinds": {"/d": "file"}},
            "filesystems[0].path: /d is not a folder",
        ),
        (spec(vcpu_pinning=("", "0-900")), {}, PINS, "vcpu_pinning[1]: this host has no CPU 3 (there: 0-2)"),
        (spec(emulator_pinning="7"), {}, PINS, "emulator_pinning: this host has no CPU 7"),
        (spec(vcpu_pinning=("1",)), {}, PINS, "vcpu_pinning[0]: all of 1 are offline"),
        (spec(disks=(root_disk(),)), {"disks": [SIZED]}, {"direct_io": False}, "disks[0].cache: the file system of"),
        (spec(disks=(root_disk(path="/d"),)), DATA, {"kinds": {"/d": "file"}, "no_direct": frozenset({"/d"})}, "disks[0].cache: "),
        (spec(disks=(root_disk(io="io_uring"),)), {"disks": [SIZED]}, {"io_uring": False}, "disks[0].io: this host does not let"),
    ],
)
def test_what_the_kernel_of_the_host_refuses(wanted: DomainSpec, options: dict[str, Any], facts: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgeError, match="^" + re.escape(says)):
        start(wanted, options, **facts)
    start(wanted, before=wanted, **{key: value for key, value in facts.items() if key != "kinds"})


def test_a_limit_that_the_kernel_cannot_keep_is_refused_to_a_guest_that_starts() -> None:
    lacks = {"cannot_limit": {"inbound": ("sch_sfq", "cls_fw")}}
    asked = {"nics": [{**NIC, "inbound": "1MiB", "outbound": "1MiB"}]}
    with pytest.raises(EdgeError, match=r"^nics\[0\]\.inbound: .* it has no sch_sfq and no cls_fw"):
        start(made(asked), asked, **lacks)
    start(made(asked), {**asked, "state": "stopped"}, **lacks)
    for fine in ({"nics": [{**NIC, "outbound": "1MiB"}]}, {"nics": [{**NIC, "inbound": "0"}]}):
        start(made(fine), fine, **lacks)


@pytest.mark.parametrize("place", [{"network": "edge"}, {"bridge": "br-lan"}])
def test_a_vlan_is_of_an_interface_whose_switch_has_them(place: dict[str, str]) -> None:
    asked = {"nics": [{**place, "vlan": 42}]}
    first = made(asked)
    assert first.nics[0].vlan == 42 and parse(emit(first)).spec == first and made({}, first) == first
    with pytest.raises(EdgeError, match=r"^nics\[0\]\.vlan: .* neither on Open vSwitch nor a bridge that filters"):
        start(first, asked)
    start(first, asked, tagging=frozenset(place.values()))
    gone = made({"nics": [{**place, "vlan": 0}]}, first)
    assert gone.nics[0].vlan is None and emit(gone, base=emit(first)).find("devices/interface/vlan") is None
    for bad in (-1, 4095):
        with pytest.raises(InvalidInput, match=r"^nics\[0\]\.vlan: "):
            made({"nics": [{**place, "vlan": bad}]})


def test_an_older_libvirt_gives_no_trunk() -> None:
    networks = {"trunks": VirtualNetwork("trunks", "evb-trunks", 1450, definition={"vlan_filtering": True})}
    asked = {"nics": [{"virtual_network": "trunks", "vlans": ["10"]}]}
    first = made(asked, virtual_networks=networks)
    with pytest.raises(EdgeError, match=r"^nics\[0\]\.vlans: libvirt of this host is older than 11\.0"):
        start(first, asked, tags_bridges=False)
    start(first, asked)


def test_a_vlan_of_a_function_of_the_host_needs_no_switch() -> None:
    asked = {"nics": [{"hostdev": "0000:65:00.1", "vlan": 42}]}
    start(made(asked), asked)


def test_a_secret_that_libvirt_has_not_is_named() -> None:
    key = stable_uuid("key")
    asked = {"disks": [{"name": "r", "source": {**RBD, "user": "edge", "secret": key}}]}
    wanted = made(asked)
    with pytest.raises(EdgeError, match=rf"^disks\[0\]\.source\.secret: libvirt on this host has no secret {key}"):
        start(wanted, asked, missing_secrets=frozenset({key}))
    start(wanted, asked)


def test_a_file_whose_file_system_takes_no_direct_io_gets_another_cache() -> None:
    facts = {"files": {"/d": VolumeFile("/d", "raw", GIB)}, "kinds": {"/d": "file"}}
    assert made(DATA, **facts).disks[0].cache == "none"
    assert made(DATA, **facts, no_direct=frozenset({"/d"})).disks[0].cache == "writeback"
    assert resolve(DomainOptions("web"), None, (), host()).spec.disks == ()
