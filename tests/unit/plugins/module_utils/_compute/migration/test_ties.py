# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ties a domain to its host, kind by kind, and what does not."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.ties import needed_files, secrets, strange_paths, ties
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml

HOME = "/var/lib/edge/vms/web"
QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"


def reasons(devices: str, rest: str = "") -> list[str]:
    root = parse_xml(f"<domain type='kvm' {QEMU}><name>web</name>{rest}<devices>{devices}</devices></domain>")
    return [*ties(root), *strange_paths(root, HOME)]


TIED = {
    "PCI device": "<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source></hostdev>",
    "USB device": "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/></source></hostdev>",
    "mediated device": "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='x'/></source></hostdev>",
    "SCSI LUN": "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/></source></hostdev>",
    "vhost SCSI": "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.1'/></hostdev>",
    "container storage": "<hostdev mode='capabilities' type='storage'><source><block>/dev/sdx</block></source></hostdev>",
    "SR-IOV function": "<interface type='hostdev'><source><address type='pci' bus='1'/></source></interface>",
    "macvtap": "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>",
    "tap of others": "<interface type='ethernet'><target dev='tap7' managed='no'/></interface>",
    "vhost-user": "<interface type='vhostuser'><source type='unix' path='/run/ovs/x.sock' mode='client'/></interface>",
    "vDPA": "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>",
    "socket network": "<interface type='mcast'><source address='192.0.2.1' port='1'/></interface>",
    "passt": "<interface type='user'><backend type='passt' logFile='/tmp/log'/></interface>",
    "script": "<interface type='bridge'><source bridge='br0'/><script path='/etc/up.sh'/></interface>",
    "virtiofs": "<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv'/><target dir='t'/></filesystem>",
    "virtiofs of others": "<filesystem type='mount'><driver type='virtiofs'/><source socket='/run/x'/></filesystem>",
    "9p": "<filesystem type='mount'><source dir='/srv'/><target dir='t'/></filesystem>",
    "TPM": "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
    "TPM of others": "<tpm model='tpm-crb'><backend type='external'><source type='unix' path='/run/t'/></backend></tpm>",
    "serial device": "<serial type='dev'><source path='/dev/ttyS0'/></serial>",
    "serial TCP": "<serial type='tcp'><source mode='bind' host='192.0.2.1' service='1'/></serial>",
    "serial pipe": "<serial type='pipe'><source path='/run/pipe'/></serial>",
    "serial file": "<serial type='file'><source path='/var/log/web.log'/></serial>",
    "log file": "<console type='pty'><log file='/var/log/web.log'/></console>",
    "channel socket": "<channel type='unix'><source mode='bind' path='/srv/x.sock'/><target type='virtio' name='a'/></channel>",
    "USB by network": "<redirdev bus='usb' type='tcp'><source mode='connect' host='192.0.2.1' service='4000'/></redirdev>",
    "smart card": "<smartcard mode='host'/>",
    "input": "<input type='evdev'><source dev='/dev/input/event1'/></input>",
    "window": "<graphics type='sdl' display=':0'/>",
    "GPU": "<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD128'/></graphics>",
    "SPICE with GPU": "<graphics type='spice'><gl enable='yes'/></graphics>",
    "address": "<graphics type='vnc' listen='192.0.2.7'><listen type='address' address='192.0.2.7'/></graphics>",
    "display socket": "<graphics type='vnc'><listen type='socket' socket='/srv/vnc.sock'/></graphics>",
    "sound": "<audio id='1' type='alsa'/>",
    "accelerated video": "<video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
    "random numbers": "<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>",
    "entropy daemon": "<rng model='virtio'><backend model='egd' type='udp'><source/></backend></rng>",
    "NVDIMM": "<memory model='nvdimm'><source><path>/dev/dax0.0</path></source></memory>",
    "shared memory": "<shmem name='x'><model type='ivshmem-plain'/></shmem>",
    "lock": "<lease><lockspace>x</lockspace><key>y</key><target path='/x'/></lease>",
    "crypto": "<crypto model='virtio' type='qemu'><backend model='lkcf'/></crypto>",
    "pstore": "<pstore backend='acpi-erst'><path>/srv/x</path></pstore>",
    "shared disk": "<disk type='file'><shareable/><target dev='vda'/></disk>",
    "transient disk": "<disk type='file'><transient/><target dev='vda'/></disk>",
    "disk by socket": "<disk type='network'><source protocol='nbd'><host transport='unix' socket='/x'/></source></disk>",
    "emulator": "<emulator>/opt/qemu/bin/qemu-system-x86_64</emulator>",
    "a kind of tomorrow": "<teleporter model='virtio'/>",
}
FREE = """
<emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file'><source file='/somewhere/else'/><target dev='vda'/></disk>
<disk type='network'><shareable/><source protocol='rbd' name='x'><host name='192.0.2.1'/></source><target dev='vdb'/></disk>
<controller type='usb'/><controller type='pci' model='pcie-root'/>
<interface type='network'><source network='default'/></interface>
<interface type='bridge'><source bridge='br0'/><backend tap='/dev/net/tun' vhost='/dev/vhost-net'/></interface>
<interface type='user'/>
<serial type='pty'><source path='/dev/pts/3'/><log file='/var/lib/edge/vms/web/console.log' append='on'/></serial>
<console type='pty' tty='/dev/pts/3'/>
<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-1-web/a'/></channel>
<channel type='spicevmc'/><redirdev bus='usb' type='spicevmc'/>
<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
<input type='tablet' bus='usb'/><input type='mouse' bus='ps2'/>
<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
<graphics type='spice' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>
<graphics type='vnc'><listen type='socket' socket='/var/lib/libvirt/qemu/domain-1-web/vnc.sock'/></graphics>
<sound model='ich9'/><audio id='1' type='none'/><audio id='2' type='spice'/>
<video><model type='virtio' heads='1'/></video>
<watchdog model='i6300esb' action='reset'/><memballoon model='virtio'/><panic model='pvpanic'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<memory model='dimm'><target><size>1</size></target></memory>
<vsock model='virtio'><cid auto='yes'/></vsock><iommu model='intel'/><hub type='usb'/>
"""


@pytest.mark.parametrize("kind", TIED)
def test_what_only_this_host_has_does_not_move(kind: str) -> None:
    assert reasons(TIED[kind]), "a device of its host was overlooked"


def test_everyday_devices_move() -> None:
    live_paths = "/dev/pts/"  # only the live XML, which is not searched for paths, has them
    assert [reason for reason in reasons(FREE) if live_paths not in reason] == []


@pytest.mark.parametrize(
    "rest",
    [
        "<launchSecurity type='sev'/>",
        "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=01:00.0'/></qemu:commandline>",
        "<qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='file=/srv/x.raw'/></qemu:commandline>",
        "<sysinfo type='fwcfg'><entry name='opt/x' file='/srv/x.ign'/></sysinfo>",
        "<memoryBacking><source type='file'/><path>/srv/x</path></memoryBacking>",
    ],
)
def test_the_rest_of_the_xml_can_name_things_of_the_host_too(rest: str) -> None:
    assert reasons("", rest)


@pytest.mark.parametrize(
    "rest",
    [
        "<metadata><x path='/srv/x'/></metadata>",
        "<qemu:commandline><qemu:arg value='-global'/><qemu:arg value='virtio-net-pci.x=1'/></qemu:commandline>",
        "<description>/not/a/path</description>",
        "<resource><partition>/machine</partition></resource>",
        "<os><nvram>/var/lib/libvirt/qemu/nvram/web.fd</nvram></os>",
    ],
)
def test_and_what_is_no_thing_of_the_host_does_not_tie(rest: str) -> None:
    assert reasons("", rest) == []


def test_secrets_are_needed_there() -> None:
    root = parse_xml(
        "<domain><devices><disk><source><auth username='x'><secret type='ceph' uuid='u1'/></auth></source></disk>"
        "<disk><source><encryption format='luks'><secret type='passphrase' uuid='u2'/></encryption></source></disk>"
        "<disk><auth username='x'><secret type='iscsi' usage='target'/></auth></disk>"
        "<tpm><backend type='emulator'><encryption secret='u3'/></backend></tpm></devices></domain>"
    )
    assert secrets(root) == [("iscsi", "target"), ("uuid", "u1"), ("uuid", "u2"), ("uuid", "u3")]


def test_firmware_and_kernels_are_needed_there() -> None:
    root = parse_xml(
        "<domain><os firmware='efi'><type>hvm</type><loader>/usr/share/OVMF/CODE.fd</loader>"
        f"<nvram template='/usr/share/OVMF/VARS.fd'>{HOME}/nvram.fd</nvram><kernel>/boot/k</kernel></os></domain>"
    )
    assert needed_files(root) == ["/boot/k", "/usr/share/OVMF/CODE.fd", "/usr/share/OVMF/VARS.fd"]
