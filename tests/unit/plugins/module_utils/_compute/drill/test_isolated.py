# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a VM has, its drill has the disks of the point and nothing that leads out."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill.isolated import (
    drill_home,
    drill_spec,
    drill_uuid,
    drill_xml,
    left_out,
    require_isolated,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.public_address import PublicAddress
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DomainSpec,
    Filesystem,
    NetworkSource,
    Nic,
    NumaCell,
    Record,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import Refused
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk as PointDisk
from ansible_collections.edge.cloud.plugins.module_utils._generation import File, Generation, Vm
from ansible_collections.edge.cloud.plugins.module_utils._sizes import GIB, MIB

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
FOLDERS = Folders("/vms", "/images", "/locks", "/recovery")
OWN = ("/vms/web/", "52:54:00:00:00:01", UUID, "br0", "web-tap", "0000:01:00.0", "/srv/shared", "secret")
SPEC = DomainSpec(
    "web", UUID, "qemu", "x86_64", "pc-q35-7.2", 8 * GIB, 4, Cpu("custom", "qemu64", sockets=1, cores=4, threads=1),
    disks=(
        Disk("root", "/vms/web/root.qcow2", "qcow2", "vda", "virtio", iothread=1, serial="r1"),
        Disk("seed", "/vms/web/seed.iso", "raw", "sda", "sata", read_only=True, device="cdrom"),
        Disk("data", "/srv/data.raw", "raw", "vdb", "virtio"),
        Disk("block", "/dev/vg/data", "raw", "vdc", "virtio", block=True),
        Disk("rbd", "", "raw", "vdd", "virtio", source=NetworkSource("rbd", "pool/secret")),
        Disk("drive", "", "raw", "sdb", "sata", device="cdrom"),
    ),
    nics=(
        Nic("lan", "52:54:00:00:00:01", bridge="br0", tap="web-tap"),
        Nic("pci", "52:54:00:00:00:02", hostdev="0000:01:00.0", public_address=()),
    ),
    console_log="/vms/web/console.log",
    vnc=True, vnc_listen="0.0.0.0", vnc_password="secret", spice="unix", hugepages=2 * MIB,
    numa=(NumaCell("0-3", 8 * GIB),), vcpu_pinning=("0-3:0-3",), emulator_pinning="0", iothreads=1,
    max_memory=16 * GIB, max_vcpus=4, nvram="/vms/web/nvram.fd", firmware="uefi", tpm=True, watchdog="reset",
    filesystems=(Filesystem("share", "/srv/shared"),), pci_devices=("0000:01:00.0",),
    xml_override="<domain><devices><hostdev mode='subsystem' type='usb'><source/></hostdev></devices></domain>",
)  # fmt: skip


def generation(record: Record, **files: File) -> Generation:
    disk = PointDisk("vda", None, GIB).begun_again(File("sha256:" + "ab" * 32, 1), (1, 1), GIB)
    return Generation(
        Vm("web", UUID), 0, 1, "2026-01-01T00:00:00Z", True, False, json.loads(record.to_json()), dict(files), (disk,)
    )


def test_a_vm_with_everything_has_only_its_disks() -> None:
    record, file = Record(SPEC), File("sha256:" + "cd" * 32, 1)
    found = generation(record, seed=file, nvram=file)
    spec = drill_spec(record, found, FOLDERS, 2 * GIB)
    root = drill_xml(spec, FOLDERS, UUID)
    text, home = to_text(root), drill_home(FOLDERS, UUID)
    assert home == f"/vms/.drill-{UUID}"
    assert [one.find("source").get("file") for one in root.iterfind("devices/disk")] == [f"{home}/root.qcow2", f"{home}/seed.iso"]  # type: ignore[union-attr]
    assert root.findtext("os/nvram") == f"{home}/nvram.fd"
    for own in OWN:
        assert own not in text.replace(home, "").replace(spec.name, ""), own
    assert root.findtext("uuid") == drill_uuid(UUID) != UUID
    assert (spec.memory, spec.max_memory, spec.vcpus) == (2 * GIB, 2 * GIB, 4)
    for tag in ("interface", "hostdev", "filesystem", "graphics", "watchdog", "tpm"):
        assert root.find(f"devices/{tag}") is None, tag
    assert root.find("metadata") is None
    assert left_out(record, spec) == ("sdb", "vdb", "vdc", "vdd")


def test_a_small_vm_keeps_its_memory() -> None:
    record = Record(replace(SPEC, memory=GIB, max_memory=GIB))
    assert drill_spec(record, generation(record), FOLDERS, 2 * GIB).memory == GIB


def test_what_is_taken_over_is_listed_here_too() -> None:
    """A new field of a VM is left at its default in a drill until someone decides; then this list says so."""
    record = Record(SPEC)
    spec = drill_spec(record, generation(record), FOLDERS, GIB)
    plain = {"nics", "hugepages", "numa", "vcpu_pinning", "emulator_pinning", "iothreads", "spice", "watchdog", "filesystems",
             "pci_devices", "xml_override", "video", "usb", "tablet", "keyboard", "title", "description", "vnc", "vnc_listen",
             "vnc_password", "tpm"}  # fmt: skip
    taken = {"name", "uuid", "virt_type", "arch", "machine", "memory", "vcpus", "cpu", "kernel", "initrd", "cmdline", "disks",
             "console_log", "agent", "rng", "max_memory", "max_vcpus", "firmware", "secure_boot", "nvram", "virtio_console", "os",
             "cpu_features"}  # fmt: skip
    known = {one.name: one.default for one in fields(DomainSpec)}
    assert taken | plain == set(known)
    assert {name for name in plain if getattr(spec, name) != known[name]} == set()


def with_device(tag: str, below: str, **attributes: str) -> Element:
    record = Record(SPEC)
    root = parse_xml(to_text(drill_xml(drill_spec(record, generation(record), FOLDERS, GIB), FOLDERS, UUID)))
    element = SubElement(root.find("devices"), tag, {"type": "file"})  # type: ignore[arg-type]
    if below:
        SubElement(element, below, attributes)
    return root


@pytest.mark.parametrize(
    ("tag", "below", "attributes"),
    [
        ("interface", "", {}),
        ("hostdev", "", {}),
        ("filesystem", "", {}),
        ("shmem", "", {}),
        ("vsock", "", {}),
        ("graphics", "", {}),
        ("disk", "source", {"file": "/vms/web/root.qcow2"}),
        ("disk", "source", {"file": f"/vms/.drill-{UUID}/../web/root.qcow2"}),
        ("disk", "source", {"dev": "/dev/sda"}),
        ("disk", "source", {"protocol": "rbd", "name": "pool/data"}),
        ("serial", "source", {"path": "/dev/ttyS0"}),
        ("serial", "log", {"file": "/vms/web/console.log"}),
        ("channel", "source", {"path": "/run/web.sock"}),
    ],
)
def test_what_leads_out_is_refused(tag: str, below: str, attributes: dict[str, str]) -> None:
    with pytest.raises(Refused, match="not be isolated"):
        require_isolated(with_device(tag, below, **attributes), drill_home(FOLDERS, UUID))


def test_arguments_of_qemu_are_refused() -> None:
    root = with_device("video", "")
    SubElement(root, "{http://libvirt.org/schemas/domain/qemu/1.0}commandline")
    with pytest.raises(Refused, match="arguments"):
        require_isolated(root, drill_home(FOLDERS, UUID))


def test_a_public_address_is_no_part_of_it() -> None:
    nic: Any = replace(SPEC.nics[0], public_address=(PublicAddress("192.0.2.7"),))
    record = Record(replace(SPEC, nics=(nic,)))
    assert drill_spec(record, generation(record), FOLDERS, GIB).nics == ()


def test_no_disk_of_a_drill_takes_all_that_the_disks_of_the_host_can_write() -> None:
    record = Record(SPEC)
    root = drill_xml(drill_spec(record, generation(record), FOLDERS, GIB), FOLDERS, UUID)
    limits = [disk.findtext("iotune/write_bytes_sec") for disk in root.iterfind("devices/disk[@device='disk']")]
    assert limits and set(limits) == {str(64 * MIB)}
