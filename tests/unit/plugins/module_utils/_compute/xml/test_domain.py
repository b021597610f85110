# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DiskLimits,
    DomainSpec,
    Filesystem,
    NetworkSource,
    Nic,
    NumaCell,
    Record,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.override import parse_override
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from hypothesis import given
from support.adoption import differences
from support.compute import GIB, record, root_disk, spec, specs

GOLDEN = Path(__file__).parent / "golden"
SECRET = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"
OVERRIDE = """<domain xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"><on_crash>preserve</on_crash>
<devices><disk><alias name="ua-edge-disk-root"/><driver error_policy="report"/></disk><input type="tablet" bus="virtio"/></devices>
<qemu:commandline><qemu:arg value="-global"/><qemu:arg value="virtio-blk-pci.x-disable-pcie=off"/></qemu:commandline></domain>"""
FULL = spec(
    cpu=Cpu("custom", "Skylake-Server"),
    kernel="/boot/vmlinuz",
    initrd="/boot/initrd.img",
    cmdline="console=ttyS0 root=/dev/vda1",
    disks=(
        Disk("data", "/srv/data.raw", "raw", "sda", "scsi", "writeback", "threads", "unmap"),
        root_disk(),
        Disk("seed", "/var/lib/edge/vms/web/seed.iso", "raw", "vdz", "virtio", serial="seed", read_only=True),
    ),
    nics=(Nic("nic0", "52:54:00:00:00:01", network="edge"), Nic("nic1", "52:54:00:00:00:02", bridge="br-lan", mtu=1400)),
    console_log="/var/lib/edge/vms/web/console.log",
    vnc=True,
)
WIDE = spec(
    virt_type="qemu",
    cpu=Cpu("maximum", sockets=2, cores=2, threads=1),
    memory=GIB,
    max_memory=2 * GIB,
    vcpus=2,
    max_vcpus=4,
    numa=(NumaCell("0-1", GIB), NumaCell("2-3", GIB)),
    hugepages=2 * 2**20,
    vcpu_pinning=("0", "", "0-1"),
    emulator_pinning="0-1",
    iothreads=2,
    firmware="uefi",
    secure_boot=True,
    nvram="/var/lib/edge/vms/web/nvram.fd",
    tpm=True,
    spice="loopback",
    virtio_console=True,
    watchdog="reset",
    filesystems=(Filesystem("home", "/srv/home"),),
    pci_devices=("0000:65:00.1",),
    disks=(
        Disk("cd", "", "raw", "sda", "sata", device="cdrom", read_only=True),
        root_disk(iothread=1, queues=2, limits=DiskLimits(total_iops=500, read_bytes=50 * 2**20)),
        Disk(
            "ceph",
            "",
            "raw",
            "vdb",
            "virtio",
            source=NetworkSource("rbd", "pool/web", ("192.0.2.7:6789", "[2001:db8::7]:6789"), "edge", SECRET),
        ),
        Disk("far", "", "raw", "vdc", "virtio", source=NetworkSource("nbd", "web", ("store.example:10809",), tls=True)),
    ),
    nics=(
        Nic("nic0", "52:54:00:00:00:01", network="edge", queues=2, link=False, inbound=10 * 2**20, outbound=2**20, boot=2),
        Nic("fast", "52:54:00:00:00:02", hostdev="0000:03:10.1"),
    ),
    xml_override=OVERRIDE,
)


def through_text(root: ET.Element) -> ET.Element:
    return parse_xml(to_text(root))


@given(specs)
def test_parse_undoes_emit(wanted: DomainSpec) -> None:
    assert parse(through_text(emit(wanted))).spec == wanted


@given(specs, specs)
def test_emitting_over_another_spec_leaves_nothing_of_it(old: DomainSpec, new: DomainSpec) -> None:
    assert parse(through_text(emit(new, base=emit(old)))).spec == new


@given(specs)
def test_emitting_again_changes_no_byte(wanted: DomainSpec) -> None:
    once = to_text(emit(wanted))
    assert to_text(emit(wanted, base=parse_xml(once))) == once


@given(specs)
def test_the_record_comes_back(wanted: DomainSpec) -> None:
    kept = Record(wanted, seed="sha256:00")
    found = parse(through_text(emit(wanted, kept)))
    assert found.record == kept
    assert found.marked


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("minimal", spec()),
        ("full", FULL),
        ("wide", WIDE),
        ("emulated", spec(virt_type="qemu", cpu=Cpu("maximum"), agent=False, rng=False)),
    ],
)
def test_golden(name: str, wanted: DomainSpec) -> None:
    assert to_text(emit(wanted, Record(wanted))) == (GOLDEN / f"{name}.xml").read_text()


@pytest.mark.parametrize("name", ["written_by_libvirt", "wide_written_by_libvirt"])
def test_what_libvirt_made_of_it_reads_as_the_same_spec(name: str) -> None:
    """libvirt (9.0; the wide one 11.3) adds addresses, controllers, a console, an emulator; none of it is ours."""
    written = (GOLDEN / f"{name}.xml").read_text()
    found = parse(parse_xml(written))
    assert found.record is not None
    assert found.spec == found.record.spec
    assert to_text(emit(found.spec, found.record, parse_xml(written))).count("<address ") == written.count("<address ")


OTHERS = """<domain xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0" type="kvm"><name>web</name>
<metadata><app:note xmlns:app="https://app.example/">hello</app:note></metadata>
<memory unit="MiB">512</memory><vcpu>2</vcpu><os><type arch="x86_64" machine="q35">hvm</type><bootmenu enable="yes"/></os>
<devices>
<disk type="file" device="disk"><source file="/a.img"/><target dev="vda" bus="virtio"/></disk>
<disk type="network" device="disk"><source protocol="rbd" name="pool/x"/><target dev="vdb" bus="virtio"/></disk>
<interface type="bridge"><mac address="52:54:00:AA:BB:CC"/><source bridge="br0"/><model type="virtio"/></interface>
<watchdog model="itco" action="reset"/></devices>
<qemu:commandline><qemu:arg value="-foo"/></qemu:commandline></domain>"""


def test_what_others_made_is_not_ours_but_stays() -> None:
    found = parse(parse_xml(OTHERS))
    assert (found.spec.disks, found.spec.nics, found.marked, found.record) == ((), (), False, None)
    assert found.foreign.targets == {"vda", "vdb"}
    assert found.spec.memory == 512 * 2**20
    wanted = spec(disks=(root_disk(target="vdc"),))
    text = to_text(emit(wanted, Record(wanted), parse_xml(OTHERS)))
    for kept in ("app:note", "<bootmenu", 'name="pool/x"', "/a.img", "br0", "<watchdog", '<qemu:arg value="-foo"'):
        assert kept in text
    assert parse(parse_xml(text)).spec == wanted


def test_ipv6_servers_are_written_without_brackets_and_read_with_them() -> None:
    source = NetworkSource("nbd", "web", ("[2001:db8::7]:10809",))
    wanted = spec(disks=(Disk("far", "", "raw", "vda", "virtio", source=source),))
    root = emit(wanted)
    assert [host.attrib for host in root.iterfind("devices/disk/source/host")] == [{"name": "2001:db8::7", "port": "10809"}]
    assert parse(through_text(root)).spec == wanted
    for host in root.iterfind("devices/disk/source/host"):
        del host.attrib["port"]
    (without,) = parse(root).spec.disks
    assert without.source == replace(source, hosts=("[2001:db8::7]",))
    assert [host.attrib for host in emit(spec(disks=(without,))).iterfind("devices/disk/source/host")] == [{"name": "2001:db8::7"}]


def test_devices_of_others_are_read_and_taken_over_in_place() -> None:
    found = parse(parse_xml(OTHERS))
    assert [(disk.name, disk.path) for disk in found.foreign.disks] == [("vda", "/a.img"), ("vdb", "")]
    assert found.foreign.disks[1].source == NetworkSource("rbd", "pool/x")
    assert [(nic.name, nic.mac, nic.bridge) for nic in found.foreign.nics] == [("nic0", "52:54:00:aa:bb:cc", "br0")]
    taken = replace(found.spec, disks=(replace(found.foreign.disks[0], name="root"),), nics=found.foreign.nics)
    root = emit(taken, Record(taken), parse_xml(OTHERS))
    assert differences(parse_xml(OTHERS), root) == []
    again = parse(through_text(root))
    assert again.spec == taken
    assert again.foreign.targets == {"vdb"}
    without = replace(taken, disks=())
    assert parse(through_text(emit(without, Record(without), root))).foreign.targets == {"vdb"}


def test_a_disk_that_is_not_wanted_any_more_goes_and_one_of_others_stays() -> None:
    kept = root_disk(name="data", target="vdb", path="/b", boot=None)
    root = emit(spec(disks=(root_disk(), kept)))
    foreign = ET.SubElement(root.find("devices"), "disk", {"type": "file"})  # type: ignore[arg-type]
    ET.SubElement(foreign, "target", {"dev": "vdx"})
    after = emit(spec(disks=(kept,)), base=root)
    assert [target.get("dev") for target in after.iterfind("devices/disk/target")] == ["vdb", "vdx"]


def test_a_nic_moves_from_a_network_to_a_bridge_without_a_trace() -> None:
    before = emit(spec(nics=(Nic("nic0", "52:54:00:00:00:01", network="edge"),)))
    after = emit(spec(nics=(Nic("nic0", "52:54:00:00:00:01", bridge="br-lan"),)), base=before)
    assert [(one.get("type"), one.find("source").attrib) for one in after.iterfind("devices/interface")] == [  # type: ignore[union-attr]
        ("bridge", {"bridge": "br-lan"})
    ]


def test_a_damaged_mark_is_still_ours() -> None:
    root = emit(spec(), record())
    root.find("metadata")[0].text = "{"  # type: ignore[index]
    found = parse(root)
    assert (found.marked, found.record) == (True, None)


def test_an_override_comes_and_goes_without_a_trace() -> None:
    bare, over = spec(disks=(root_disk(),)), spec(disks=(root_disk(),), xml_override=OVERRIDE)
    with_it = emit(over, Record(over), emit(bare, Record(bare)))
    assert with_it.findtext("on_crash") == "preserve"
    assert [one.get("type") for one in with_it.iterfind("devices/input")] == ["tablet"]
    assert parse(through_text(with_it)).spec == over
    again = emit(over, Record(over), with_it)
    assert to_text(again) == to_text(with_it)
    without = to_text(emit(bare, Record(bare), through_text(with_it)))
    for gone in ("preserve", "tablet", "qemu:arg", "error_policy"):
        assert gone not in without
    assert "<on_crash>restart</on_crash>" in without
    assert parse(parse_xml(without)).spec == bare


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<domain>", "it is not well-formed XML"),
        ("<devices/>", "its outermost element must be <domain>"),
        ("<domain><name>x</name></domain>", "<name> is not allowed"),
        ('<!DOCTYPE d [<!ENTITY a "b">]><domain/>', "comments, document types"),
    ],
)
def test_an_override_that_cannot_be_one_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"^xml_override: {re.escape(says)}"):
        parse_override(text)


def test_free_ports_are_those_without_a_device() -> None:
    assert parse(parse_xml((GOLDEN / "wide_written_by_libvirt.xml").read_text())).free_ports == 5
    assert parse(emit(spec(machine="pc-i440fx-7.2"))).free_ports is None


class Driver:
    """libvirt's own parser and writer, by its test driver."""

    def __init__(self) -> None:
        self.connection = libvirt.open("test:///default")

    def __call__(self, root: ET.Element) -> ET.Element:
        domain = self.connection.defineXML(to_text(root))
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        domain.undefine()
        return parse_xml(text)


def test_libvirt_reads_and_writes_every_field() -> None:
    through_libvirt = Driver()
    for given_spec in (FULL, WIDE, spec()):
        wanted = replace(given_spec, virt_type="test", machine="", arch="i686", name="roundtrip", uuid=SECRET)
        found = parse(through_libvirt(emit(wanted, Record(wanted))))
        assert found.spec == wanted
        over = emit(
            spec(virt_type="test", machine="", arch="i686", name="roundtrip", uuid=SECRET), base=through_libvirt(emit(wanted))
        )
        assert parse(through_libvirt(over)).spec == replace(parse(over).spec)
