# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a clone: what names one domain is another in it, what others wrote stays, and what would be shared is named."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.model import DiskCopy, Names
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.seeds import with_macs
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.xml import cloned_xml, nvram_of, obstacles

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
<entry name='sku'>7</entry></system></sysinfo>
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
    assert [one.text for one in clone.iterfind("sysinfo/system/entry")] == [UUID, "7"]
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
    ],
)
def test_what_both_would_have_is_named(device: str, why: str) -> None:
    root = whole(device)
    (found,) = obstacles(root, cloned_xml(root, NAMES), NAMES)
    assert why in found


def test_addresses_are_replaced_however_they_are_written() -> None:
    text = "a: 52:54:00:AB:00:01\nb: 52:54:00:ab:00:01\nc: 52:54:00:ab:00:02\n"
    assert with_macs(text, MACS) == "a: 52:54:11:11:11:11\nb: 52:54:11:11:11:11\nc: 52:54:00:ab:00:02\n"
    assert with_macs(text, {}) == text
