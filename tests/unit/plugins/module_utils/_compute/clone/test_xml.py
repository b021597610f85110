# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a clone: what names one domain is another in it, what others wrote stays, and what would be shared is named."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.model import DiskCopy, Names
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.seeds import with_macs
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.xml import (
    cloned_xml,
    nvram_of,
    obstacles,
    override_obstacles,
)

OLD, NEW = "/var/lib/edge/vms/old", "/var/lib/edge/vms/new"
UUID = "5b0b6d0e-6f1b-5a0e-9a52-3f4d8f6a1c2b"
COPY = DiskCopy(
    "vda", "root", (f"{OLD}/root.a.qcow2", f"{OLD}/root.raw"), f"{OLD}/root.a.qcow2", "qcow2", f"{NEW}/root.qcow2", 1, 1
)
MACS = {"52:54:00:ab:00:01": "52:54:11:11:11:11"}
NAMES = Names("old", "new", UUID, OLD, NEW, {"vda": COPY}, MACS, f"{NEW}/nvram.fd")
WHOLE = f"""<domain type='kvm'><name>old</name><uuid>6e6f7420-6f75-4273-8000-0123456789ab</uuid>
<genid>6e6f7420-6f75-4273-8000-0123456789ac</genid><title>made of {OLD}/x</title>
<metadata><a:b xmlns:a='urn:a'>{OLD}/x</a:b>
<m:arrival xmlns:m='https://edge.cloud/xmlns/arrival/1' source='hv1' when='then'/></metadata>
<sysinfo type='smbios'><system><entry name='uuid'>6e6f7420-6f75-4273-8000-0123456789ab</entry>
<entry name='sku'>7</entry>
<entry name='serial'>6E6F7420-6f75-4273-8000-0123456789ab</entry></system></sysinfo>
<os><type>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/CODE.fd</loader>{{nvram}}</os>
<devices>
<disk type='file'><driver name='qemu' type='qcow2'/><source file='{OLD}/root.a.qcow2'/>
<backingStore type='file'><format type='raw'/><source file='{OLD}/root.raw'/></backingStore><target dev='vda'/></disk>
<disk type='file'><driver type='raw'/><source file='{OLD}/seed.iso'/><target dev='vdz'/><readonly/></disk>
<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
<interface type='bridge'><mac address='52:54:00:AB:00:01'/><source bridge='b'/><target dev='tap7'/><model type='e1000'/></interface>
<serial type='pty'><log file='{OLD}/console.log'/></serial>
<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-1-old/org.qemu.guest_agent.0'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>{{device}}</devices></domain>"""


def whole(device: str = "", nvram: str = "") -> ET.Element:
    return ET.fromstring(WHOLE.format(device=device, nvram=nvram))


def test_what_names_one_domain_is_another() -> None:
    root = whole()
    before = ET.tostring(root)
    clone = cloned_xml(root, NAMES)
    assert ET.tostring(root) == before
    assert (clone.findtext("name"), clone.findtext("uuid")) == ("new", UUID)
    assert not clone.findtext("genid")
    assert [one.text for one in clone.iterfind("sysinfo/system/entry")] == [UUID, "7", UUID]
    assert [one.tag for one in clone.find("metadata") or ()] == ["{urn:a}b"]
    assert [one.get("file") for one in clone.iterfind("devices/disk/source")] == [f"{NEW}/root.qcow2", f"{NEW}/seed.iso"]
    assert clone.find("devices/disk/backingStore") is None
    nic = clone.find("devices/interface")
    assert nic is not None
    assert [child.tag for child in nic] == ["mac", "source", "model"]
    assert nic.find("mac").get("address") == "52:54:11:11:11:11"  # type: ignore[union-attr]
    assert clone.find("devices/serial/log").get("file") == f"{NEW}/console.log"  # type: ignore[union-attr]
    assert clone.find("devices/channel/source") is None
    assert list(obstacles(root, clone, NAMES)) == []


@pytest.mark.parametrize(
    "nvram",
    [
        "<nvram template='/usr/share/OVMF/VARS.fd'>/var/lib/libvirt/qemu/nvram/old_VARS.fd</nvram>",
        "<nvram type='file'><source file='/var/lib/libvirt/qemu/nvram/old_VARS.fd'/></nvram>",
    ],
)
def test_the_firmware_has_variables_of_its_own(nvram: str) -> None:
    root = whole(nvram=nvram)
    assert nvram_of(root) == "/var/lib/libvirt/qemu/nvram/old_VARS.fd"
    assert nvram_of(cloned_xml(root, NAMES)) == f"{NEW}/nvram.fd"


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("<console type='unix'><source mode='bind' path='/run/mine.sock'/></console>", "console is of type unix (/run/mine.sock)"),
        ("<serial type='pty'><log file='/var/log/old.log'/></serial>", "serial is logged to /var/log/old.log"),
        ("<interface type='vhostuser'><mac address='52:54:00:00:00:09'/></interface>", "52:54:00:00:00:09 is of type vhostuser"),
        ("<memory model='nvdimm'><source><path>/tmp/nvdimm</path></source></memory>", "memory device is the file /tmp/nvdimm"),
        ("<tpm model='tpm-tis'><backend type='passthrough'/></tpm>", "it has a TPM of this host"),
        (f"<filesystem><source dir='{OLD}/share'/><target dir='t'/></filesystem>", f"source names {OLD}/share"),
        ("<graphics type='vnc'><listen type='socket' socket='/tmp/vnc'/></graphics>", "display listens on /tmp/vnc"),
        ("<tpm model='tpm-crb'><backend type='emulator'><source type='dir' path='/srv/tpm'/></backend></tpm>", "state in /srv/tpm"),
        ("<pstore backend='acpi-erst'><path>/srv/erst</path></pstore>", "its pstore uses /srv/erst"),
        ("<lease><lockspace>a</lockspace><key>k</key><target path='/srv/l'/></lease>", "its lease uses /srv/l"),
        ("<rng model='virtio'><backend model='egd'><source mode='bind' path='/run/egd'/></backend></rng>", "its rng uses /run/egd"),
        (
            "<smartcard mode='passthrough' type='tcp'><source mode='bind' host='::1' service='1'/></smartcard>",
            "smartcard uses ::1 1",
        ),
        ("<redirdev bus='usb' type='tcp'><source mode='bind' host='::1' service='1'/></redirdev>", "its redirdev uses ::1 1"),
        ("<input type='evdev'><source dev='/dev/input/event1'/></input>", "its input uses /dev/input/event1"),
        ("<input type='passthrough'><source evdev='/dev/input/event1'/></input>", "its input uses /dev/input/event1"),
        ("<audio id='1' type='file' path='/srv/a.wav'/>", "its audio uses /srv/a.wav"),
        ("<shmem name='52:54:00:AB:00:01'/>", "shmem names 52:54:00:AB:00:01"),
    ],
)
def test_what_both_would_have_is_named(device: str, why: str) -> None:
    root = whole(device)
    (found,) = obstacles(root, cloned_xml(root, NAMES), NAMES)
    assert why in found


@pytest.mark.parametrize(
    "device",
    [
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "<redirdev bus='usb' type='spicevmc'/>",
        "<input type='tablet' bus='usb'/>",
        "<audio id='1' type='spice'/>",
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
        f"<disk type='file' device='cdrom'><source file='{OLD}x/root.raw'/><target dev='sdb'/></disk>",
        "<disk type='file' device='cdrom'><source file='/srv/web.img.iso'/><target dev='sdb'/></disk>",
    ],
)
def test_what_several_domains_can_have_is_not(device: str) -> None:
    other = DiskCopy("vdb", "b", ("/srv/web.img",), "/srv/web.img", "raw", f"{NEW}/b.raw", 1, 1)
    root, names = whole(device), replace(NAMES, disks={"vda": COPY, "vdb": other})
    assert list(obstacles(root, cloned_xml(root, names), names)) == []


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (("-drive", "file=/srv/x.raw,format=raw"), True),
        (("-blockdev", '{"driver":"file","filename":"/srv/x.raw"}'), True),
        (("-chardev", "socket,id=a,path=/run/a.sock,server=on"), True),
        (("-device", "e1000,mac=52:54:00:ab:00:01"), True),
        (("-fw_cfg", f"name=opt/x,file={OLD}/x.ign"), True),
        (("-fw_cfg", "name=opt/x,file=/srv/x.ign"), False),
        (("-drive", "file=/srv/x.iso,readonly=on"), False),
        (("-cpu", "host"), False),
    ],
)
def test_what_qemu_is_told_itself(arguments: tuple[str, ...], refused: bool) -> None:
    root = whole()
    line = ET.SubElement(root, "{http://libvirt.org/schemas/domain/qemu/1.0}commandline")
    for one in arguments:
        ET.SubElement(line, "{http://libvirt.org/schemas/domain/qemu/1.0}arg", {"value": one})
    found = list(obstacles(root, cloned_xml(root, NAMES), NAMES))
    assert bool(found) is refused
    assert arguments[1] not in "".join(found), "it can have secrets"


def test_a_filter_and_a_socket_have_another_address() -> None:
    rule = (
        "<filterref filter='f'><parameter name='MAC' value='52:54:00:AB:00:01'/><parameter name='IP' value='10.0.0.1'/></filterref>"
    )
    nic = f"<interface type='bridge'><mac address='52:54:00:ab:00:01'/><source bridge='b'/>{rule}</interface>"
    root = whole(f"{nic}<vsock model='virtio'><cid auto='no' address='5'/></vsock>")
    clone = cloned_xml(root, NAMES)
    assert [one.get("value") for one in clone.iter("parameter")] == ["52:54:11:11:11:11", "10.0.0.1"]
    assert clone.find("devices/vsock/cid").attrib == {"auto": "yes"}  # type: ignore[union-attr]
    assert list(obstacles(root, clone, NAMES)) == []


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("<interface><mac address='52:54:00:AB:00:01'/><driver queues='2'/></interface>", "52:54:00:ab:00:01"),
        (f"<disk><source file='{OLD}/root.a.qcow2'/><target dev='vda'/></disk>", f"{OLD}/"),
        ("<disk><source file='/srv/a&amp;b.img'/><target dev='vdb'/></disk>", "/srv/a&b.img"),
        ("<disk><source file='/srv/a&amp;b.img.iso'/><target dev='vdc'/></disk>", None),
        ("<memballoon model='virtio'/>", None),
    ],
)
def test_an_override_that_names_what_is_the_source_s(override: str, word: str | None) -> None:
    other = DiskCopy("vdb", "b", ("/srv/a&b.img",), "/srv/a&b.img", "raw", f"{NEW}/b.raw", 1, 1)
    names = replace(NAMES, disks={"vda": COPY, "vdb": other})
    found = list(override_obstacles(f"<domain><devices>{override}</devices></domain>", whole(), names))
    assert bool(found) is (word is not None)
    assert word is None or found[0].startswith(f"its xml_override names {word}, ")


def test_addresses_are_replaced_however_they_are_written() -> None:
    text = "a: 52:54:00:AB:00:01\nb: 52:54:00:ab:00:01\nc: 52:54:00:ab:00:02\n"
    assert with_macs(text, MACS) == "a: 52:54:11:11:11:11\nb: 52:54:11:11:11:11\nc: 52:54:00:ab:00:02\n"
    assert with_macs(text, {}) == text
