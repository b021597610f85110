# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec, Nic, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml, to_text
from support.compute import root_disk, spec

BARE = spec(
    virt_type="test", machine="", arch="i686", disks=(root_disk(),), nics=(Nic("nic0", "52:54:00:aa:00:01", network="default"),),
    vnc=True, watchdog="reset", console_log="/tmp/console.log",
)  # fmt: skip
QEMU = 'xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"'
DEVICES = {
    "no balloon": '<memballoon model="none"/>',
    "USB": '<controller type="usb" index="0" model="qemu-xhci" ports="15"/>',
    "USB without its number": '<controller type="usb" model="qemu-xhci"/>',
    "USB with companions": '<controller type="usb" index="0" model="ich9-ehci1"/><controller type="usb" index="0" '
    'model="ich9-uhci1"><master startport="0"/></controller>',
    "video": '<video><model type="virtio"/></video>',
    "a second video": '<video><alias name="ua-second"/><model type="qxl"/></video>',
    "VNC for all": '<graphics type="vnc" listen="0.0.0.0" passwd="x"/>',
    "a random number generator": '<rng model="virtio"><rate bytes="1024"/><backend model="random">/dev/random</backend></rng>',
    "another watchdog action": '<watchdog model="i6300esb" action="none"/>',
    "the interface, by MAC address": '<interface><mac address="52:54:00:AA:00:01"/><target dev="tap7"/><model type="e1000"/>'
    "</interface>",
    "the disk": '<disk><target dev="vda"/><driver cache="unsafe" error_policy="report"/></disk>',
    "more": '<input type="tablet" bus="virtio"/><sound model="ich9"/><controller type="pci" model="dmi-to-pci-bridge"/>',
}  # fmt: skip
OTHERS = {
    "clock": '<clock offset="localtime"><timer name="hpet" present="yes"/></clock>',
    "a new timer": '<clock><timer name="kvmclock" present="yes"/></clock>',
    "events": "<on_crash>preserve</on_crash><on_reboot>destroy</on_reboot>",
    "features": '<features><hyperv><relaxed state="on"/></hyperv></features>',
    "memory": '<memory unit="MiB">512</memory><currentMemory unit="MiB">256</currentMemory>',
    "CPU": '<cpu mode="custom" match="exact"><model>Nehalem</model><feature policy="disable" name="vmx"/></cpu>',
    "QEMU": '<qemu:commandline><qemu:arg value="-global"/><qemu:env name="A" value="b"/></qemu:commandline>',
    "what is so already": '<on_crash>restart</on_crash><clock offset="utc"/>',
    "title": "<title>Web</title><description>of the shop</description>",
}
ALL = {**{name: f"<domain><devices>{text}</devices></domain>" for name, text in DEVICES.items()},
       **{name: f"<domain {QEMU}>{text}</domain>" for name, text in OTHERS.items()}}  # fmt: skip


class Driver:
    """libvirt's own parser and writer, by its test driver."""

    def __init__(self) -> None:
        self.connection = libvirt.open("test:///default")

    def __call__(self, root: ET.Element) -> ET.Element:
        domain = self.connection.defineXML(to_text(root))
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        domain.undefine()
        return parse_xml(text)


def emitted(wanted: DomainSpec, base: ET.Element | None = None) -> ET.Element:
    return emit(wanted, Record(wanted), base)


def same(one: ET.Element, other: ET.Element) -> bool:
    """Compare without our mark, the order of elements, and the places that libvirt gives to devices."""

    def plain(element: ET.Element) -> object:
        children = sorted((plain(child) for child in element if child.tag not in ("metadata", "address")), key=repr)
        return element.tag, sorted(element.attrib.items()), (element.text or "").strip(), children

    return plain(one) == plain(other)


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_override_replaces_what_is_ours_and_taking_it_away_brings_that_back(name: str) -> None:
    libvirt_writes = Driver()
    over = replace(BARE, xml_override=ALL[name])
    before = libvirt_writes(emitted(BARE))
    with_it = libvirt_writes(emitted(over, before))
    assert parse(with_it).spec == over, "the override became ours"
    again = libvirt_writes(emitted(over, with_it))
    assert same(again, with_it)
    assert same(libvirt_writes(emitted(BARE, again)), before)
    fresh = libvirt_writes(emitted(BARE, libvirt_writes(emitted(over))))
    assert same(fresh, before)


@pytest.mark.parametrize("name", sorted(ALL))
def test_another_override_takes_the_place_of_the_first(name: str) -> None:
    libvirt_writes = Driver()
    first, second = (replace(BARE, xml_override=ALL[one]) for one in (name, "no balloon"))
    changed = libvirt_writes(emitted(second, libvirt_writes(emitted(first))))
    assert same(changed, libvirt_writes(emitted(second)))
    assert same(libvirt_writes(emitted(BARE, changed)), libvirt_writes(emitted(BARE)))


def test_a_device_of_which_there_is_one_is_replaced() -> None:
    balloons = emitted(replace(BARE, xml_override=ALL["no balloon"])).findall("devices/memballoon")
    assert [one.attrib for one in balloons] == [{"model": "none"}]
    usb = emitted(replace(BARE, xml_override=ALL["USB with companions"])).findall("devices/controller[@type='usb']")
    assert [one.get("model") for one in usb] == ["ich9-ehci1", "ich9-uhci1"]
    assert len(emitted(replace(BARE, xml_override=ALL["a second video"])).findall("devices/video")) == 2


def test_what_the_spec_changes_meanwhile_holds_when_the_override_goes() -> None:
    over = replace(BARE, xml_override=ALL["the disk"])
    grown = replace(over, memory=2 * BARE.memory, max_memory=2 * BARE.memory, disks=(root_disk(cache="writeback", io="threads"),))
    there = emitted(grown, emitted(over))
    assert there.find("devices/disk/driver").get("cache") == "unsafe"  # type: ignore[union-attr]
    assert same(emitted(replace(grown, xml_override=None), there), emitted(replace(grown, xml_override=None)))


def test_a_disk_of_an_override_has_its_target() -> None:
    over = replace(
        BARE, xml_override="<domain><devices><disk type='file'><source file='/b'/><target dev='vdb'/></disk></devices></domain>"
    )
    found = parse(emitted(over))
    assert (found.spec, found.foreign.targets) == (over, {"vdb"})


def test_places_of_devices_stay_while_an_override_stays() -> None:
    over = replace(BARE, xml_override=ALL["more"])
    there = emitted(over)
    sound = there.find("devices/sound")
    assert sound is not None
    ET.SubElement(sound, "address", {"type": "pci", "bus": "0x05", "slot": "0x00"})
    assert to_text(emitted(replace(over, rng=False), there)).count('bus="0x05"') == 1


def test_a_domain_without_a_note_of_what_was_replaced_loses_only_what_equals_the_override() -> None:
    golden = parse_xml((Path(__file__).parent / "golden" / "wide_written_by_libvirt.xml").read_text())
    found = parse(golden)
    assert found.record is not None
    assert found.spec == found.record.spec
    without = emit(replace(found.spec, xml_override=None), Record(replace(found.spec, xml_override=None)), golden)
    assert without.find("devices/input[@type='tablet']") is None
