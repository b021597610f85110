# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small domains as other tools make them, each with one kind of thing, in the form in which libvirt shows them."""

from __future__ import annotations

WHOLE = """<domain type='kvm'{namespaces}>
<name>theirs</name><uuid>6e6f7420-6f75-4273-8000-0123456789ab</uuid>{title}
<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>1048576</currentMemory>{tuning}
<vcpu placement='static'>2</vcpu>{tuned}
<os>{os}</os>
<features><acpi/><apic/><vmport state='off'/></features>{cpu}
<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>
<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>preserve</on_crash>
<devices><emulator>/usr/local/bin/qemu</emulator>{devices}<memballoon model='none'/></devices>{end}
</domain>"""
OS = "<type arch='x86_64' machine='pc-i440fx-6.2'>hvm</type><boot dev='hd'/><boot dev='network'/>"
RAW = "<driver name='qemu' type='raw'/>"
PARTS = {"namespaces": "", "title": "", "tuning": "", "tuned": "", "os": OS, "cpu": "", "devices": "", "end": ""}


def whole(**parts: str) -> str:
    """Return a domain with these parts, of which ``devices`` is one."""
    return WHOLE.format(**{**PARTS, **parts})


def _disk(source: str, kind: str = "file", place: str = "vda virtio", *, more: str = "", driver: str = RAW) -> str:
    target, bus = place.split()
    return f"<disk type='{kind}' device='disk'>{driver}{source}<target dev='{target}' bus='{bus}'/>{more}</disk>"


def _nic(kind: str, inside: str, more: str = "") -> str:
    return f"<interface type='{kind}'><mac address='52:54:00:ab:00:01'/>{inside}<model type='e1000'/>{more}</interface>"


DISKS = {
    "disk-file-options": _disk(
        "<source file='/srv/a.img' startupPolicy='optional'><seclabel model='dac' relabel='no'/></source>",
        driver="<driver name='qemu' type='qcow2' cache='writethrough' error_policy='report' detect_zeroes='on'/>",
        more="<wwn>5000c50015ea71aa</wwn><serial>ab cd</serial><shareable/>",
    ),
    "disk-chain": _disk(
        "<source file='/srv/top.qcow2'/><backingStore type='file'><format type='qcow2'/><source file='/srv/mid.qcow2'/>"
        "<backingStore type='block'><format type='raw'/><source dev='/dev/vg/base'/><backingStore/></backingStore></backingStore>",
        driver="<driver name='qemu' type='qcow2'/>",
    ),
    "disk-block": _disk("<source dev='/dev/vg/data'/>", "block", "sda scsi")
    + "<controller type='scsi' index='0' model='lsilogic'/>",
    "disk-volume": _disk("<source pool='default' volume='a.img' mode='host'/>", "volume", "hda ide"),
    "disk-ceph": _disk(
        "<auth username='libvirt'><secret type='ceph' usage='client.libvirt secret'/></auth><source protocol='rbd' name='vms/a'>"
        "<host name='mon1.example' port='6789'/><host name='mon2.example' port='6789'/><snapshot name='s'/></source>",
        "network",
    ),
    "disk-iscsi": _disk(
        "<source protocol='iscsi' name='iqn.2013-07.com.example:pool/1'><host name='iscsi.example' port='3260'/>"
        "<initiator><iqn name='iqn.2013-07.com.example:me'/></initiator></source>",
        "network",
    ),
    "disk-https": "<disk type='network' device='cdrom'><driver name='qemu' type='raw'/><source protocol='https' name='a.iso'>"
    "<host name='iso.example' port='443'/><ssl verify='no'/></source><target dev='hda' bus='ide'/><readonly/></disk>",
    "disk-nbd-socket": _disk("<source protocol='nbd'><host transport='unix' socket='/run/nbd.sock'/></source>", "network"),
    "disk-nvme": _disk(
        "<source type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>",
        "nvme",
    ),
    "disk-encrypted": _disk(
        "<source file='/srv/luks.img'><encryption format='luks'>"
        "<secret type='passphrase' uuid='0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f'/></encryption></source>"
    ),
    "disk-floppy-and-empty-drive": "<disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='/srv/f.img'/>"
    "<target dev='fda' bus='fdc'/></disk><disk type='block' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>",
    "disk-lun": "<disk type='block' device='lun' sgio='filtered'><driver name='qemu' type='raw'/><source dev='/dev/sdb'>"
    "<reservations managed='yes'/></source><target dev='sda' bus='scsi'/></disk>",
    "disk-tuned": _disk(
        "<source file='/srv/a.img'/>",
        driver="<driver name='qemu' type='raw' io='threads' iothread='1' queues='2' packed='on'/>",
        more="<iotune><total_bytes_sec>1000000</total_bytes_sec><total_bytes_sec_max>2000000</total_bytes_sec_max></iotune>"
        "<boot order='2'/>",
    ),
}
INTERFACES = {
    "nic-user": _nic("user", "<ip address='172.17.2.0' family='ipv4' prefix='24'/>"),
    "nic-direct": _nic("direct", "<source dev='eth0' mode='bridge'/>"),
    "nic-ethernet": _nic("ethernet", "<target dev='tap9' managed='no'/>", "<script path='/etc/qemu-ifup'/>"),
    "nic-vhostuser": _nic("vhostuser", "<source type='unix' path='/run/v.sock' mode='client'/>"),
    "nic-ovs": _nic(
        "bridge",
        "<vlan trunk='yes'><tag id='42' nativeMode='untagged'/><tag id='47'/></vlan><source bridge='ovsbr'/>"
        "<virtualport type='openvswitch'><parameters interfaceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/></virtualport>",
    ),
    "nic-network": _nic(
        "network",
        "<source network='default' portgroup='blue'/><bandwidth><inbound average='1000' peak='5000' burst='5120'/></bandwidth>",
        "<filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.9'/></filterref><mtu size='1400'/><coalesce/>",
    ),
    "nic-bridge": _nic("bridge", "<source bridge='br0'/>", "<guest dev='myeth'/><boot order='1'/><rom bar='off'/>"),
    "nic-multicast": _nic("mcast", "<source address='239.0.0.1' port='5558'/>"),
    "nic-hostdev": "<interface type='hostdev' managed='yes'><mac address='52:54:00:ab:00:01'/><driver name='vfio'/><source>"
    "<address type='pci' domain='0x0000' bus='0x03' slot='0x07' function='0x1'/></source><vlan><tag id='42'/></vlan></interface>",
    "nic-teaming": "<interface type='network'><mac address='52:54:00:ab:00:01'/><source network='default'/><model type='virtio'/>"
    "<teaming type='persistent'/><alias name='ua-backup0'/></interface><interface type='hostdev' managed='yes'>"
    "<mac address='52:54:00:ab:00:02'/><source><address type='pci' domain='0x0000' bus='0x03' slot='0x07' function='0x1'/></source>"
    "<teaming type='transient' persistent='ua-backup0'/></interface>",
    "nic-vdpa": _nic("vdpa", "<source dev='/dev/vhost-vdpa-0'/>"),
}
DEVICES = {
    "vnc-everywhere": "<graphics type='vnc' port='5901' autoport='no' listen='0.0.0.0' keymap='de' passwd='x'>"
    "<listen type='address' address='0.0.0.0'/></graphics><video><model type='cirrus' vram='16384' heads='1'/></video>",
    "vnc-secret": "<graphics type='vnc' port='-1' autoport='yes' listen='::1' sharePolicy='allow-exclusive' "
    "passwd='a&amp;b&quot;&lt;&apos;' passwdValidTo='2040-01-01T00:00:00' connected='keep'>"
    "<listen type='address' address='::1'/></graphics>",
    "vnc-by-qemu-conf": "<graphics type='vnc' port='-1' autoport='yes' passwd='x'><listen type='address'/></graphics>",
    "vnc-socket": "<graphics type='vnc' socket='/run/v.sock'><listen type='socket' socket='/run/v.sock'/></graphics>",
    "vnc-network": "<graphics type='vnc' port='-1' autoport='yes'><listen type='network' network='default'/></graphics>",
    "vnc-nowhere": "<graphics type='vnc'><listen type='none'/></graphics>",
    "spice-secret": "<graphics type='spice' autoport='yes' passwd='y' connected='fail'><listen type='address'/></graphics>"
    "<audio id='1' type='spice'/>",
    "spice-socket": "<graphics type='spice'><listen type='socket' socket='/run/s.sock'/><image compression='off'/></graphics>"
    "<audio id='1' type='spice'/><video><model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='2' primary='yes'/>"
    "</video>",
    "sdl": "<graphics type='sdl' display=':0.0' xauth='/root/.Xauthority'/><video><model type='none'/></video>",
    "serial-tcp": "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='2445' tls='no'/><protocol type='telnet'/>"
    "<target type='isa-serial' port='0'><model name='isa-serial'/></target></serial><console type='tcp'>"
    "<source mode='bind' host='127.0.0.1' service='2445' tls='no'/><protocol type='telnet'/><target type='serial' port='0'/>"
    "</console>",
    "serial-log": "<serial type='file'><source path='/var/log/theirs' append='on'/><log file='/srv/c.log' append='off'/>"
    "<target type='pci-serial' port='0'><model name='pci-serial'/></target></serial>",
    "consoles": "<console type='pty'><target type='sclp' port='0'/></console><console type='unix'>"
    "<source mode='bind' path='/run/c.sock'/><target type='virtio' port='1'/></console><parallel type='pty'>"
    "<target port='0'/></parallel>",
    "channels": "<channel type='unix'><source mode='bind' path='/run/a.sock'/><target type='virtio' name='org.qemu.guest_agent.0'/>"
    "</channel><channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel><channel type='pipe'>"
    "<source path='/tmp/guestfwd'/><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>",
    "rng": "<rng model='virtio'><rate bytes='1234' period='2000'/><backend model='random'>/dev/random</backend></rng>",
    "rng-egd": "<rng model='virtio'><backend model='egd' type='udp'><source mode='bind' service='1234'/></backend></rng>",
    "tpm": "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
    "tpm-emulated": "<tpm model='tpm-tis'><backend type='emulator' version='1.2' persistent_state='yes'>"
    "<encryption secret='0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f'/></backend></tpm>",
    "watchdog": "<watchdog model='ib700' action='poweroff'/><panic model='isa'><address type='isa' iobase='0x505'/></panic>",
    "inputs-and-sound": "<input type='tablet' bus='usb'/><input type='evdev'><source dev='/dev/input/event1' grab='all'/></input>"
    "<sound model='ich9'><codec type='micro'/><audio id='1'/></sound><hub type='usb'/><redirdev bus='usb' type='spicevmc'/>"
    "<controller type='usb' index='0' model='ich9-ehci1'/><smartcard mode='host'/>",
    "hostdevs": "<hostdev mode='subsystem' type='usb' managed='no'><source startupPolicy='optional'><vendor id='0x1234'/>"
    "<product id='0xbeef'/></source><boot order='1'/></hostdev><hostdev mode='subsystem' type='pci' managed='no'>"
    "<driver name='vfio'/><source><address domain='0x0000' bus='0x06' slot='0x12' function='0x5'/></source><rom file='/srv/rom'/>"
    "</hostdev><hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'>"
    "<source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
    "ivshmem-and-vsock": "<shmem name='s'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>"
    "<vsock model='virtio'><cid auto='no' address='4'/></vsock><iommu model='intel'/>",
}
REST = {
    "folder-9p": whole(
        devices="<filesystem type='mount' accessmode='mapped' multidevs='remap'><driver type='path' wrpolicy='immediate'/>"
        "<source dir='/srv/x'/><target dir='x'/><readonly/></filesystem>"
    ),
    "folder-virtiofs": whole(
        tuning="<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
        devices="<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs' queue='1024'/>"
        "<binary path='/usr/lib/virtiofsd' xattr='on'/><source dir='/srv/y'/><target dir='y'/></filesystem>",
    ),
    "memory-backing": whole(
        tuning="<memoryBacking><hugepages><page size='2048' unit='KiB' nodeset='0'/><page size='1048576' unit='KiB' nodeset='1'/>"
        "</hugepages><nosharepages/><locked/><source type='file'/><allocation mode='immediate' threads='2'/><discard/>"
        "</memoryBacking>"
    ),
    "memory-slots": whole(
        tuning="<maxMemory slots='16' unit='KiB'>4194304</maxMemory>",
        cpu="<cpu><topology sockets='1' dies='1' cores='2' threads='1'/><numa><cell id='0' cpus='0-1' memory='524288' unit='KiB'/>"
        "</numa></cpu>",
        devices="<memory model='dimm'><target><size unit='KiB'>524288</size><node>0</node></target></memory>",
    ),
    "numa": whole(
        cpu="<cpu mode='host-passthrough' check='none' migratable='off'><numa>"
        "<cell id='0' cpus='0' memory='524288' unit='KiB' memAccess='shared'><distances><sibling id='0' value='10'/>"
        "<sibling id='1' value='21'/></distances></cell><cell id='1' cpus='1' memory='524288' unit='KiB'/></numa></cpu>",
        tuned="<numatune><memory mode='strict' nodeset='0-1'/><memnode cellid='0' mode='preferred' nodeset='1'/></numatune>",
    ),
    "cputune": whole(
        tuned="<iothreads>4</iothreads><iothreadids><iothread id='1'/><iothread id='2'/><iothread id='5'/><iothread id='6'/>"
        "</iothreadids><cputune><shares>2048</shares><period>1000000</period><quota>-1</quota><vcpupin vcpu='0' cpuset='1-3,^2'/>"
        "<emulatorpin cpuset='1-2'/><iothreadpin iothread='1' cpuset='4'/>"
        "<vcpusched vcpus='0' scheduler='fifo' priority='1'/></cputune>"
    ),
    "cpu-features": whole(
        cpu="<cpu mode='custom' match='exact' check='partial'>"
        "<model fallback='forbid' vendor_id='KVMKVMKVMKVM'>Skylake-Client</model>"
        "<vendor>Intel</vendor><topology sockets='1' dies='2' cores='1' threads='1'/><cache level='3' mode='emulate'/>"
        "<feature policy='disable' name='hle'/><feature policy='require' name='ssbd'/></cpu>"
    ),
    "firmware": whole(
        os="<type arch='x86_64' machine='pc-q35-6.2'>hvm</type>"
        "<loader readonly='yes' secure='yes' type='pflash'>/srv/CODE.fd</loader>"
        "<nvram template='/srv/VARS.fd'>/srv/vars.fd</nvram><bootmenu enable='yes' timeout='3000'/><smbios mode='sysinfo'/>",
        end="<sysinfo type='smbios'><system><entry name='manufacturer'>Someone</entry></system></sysinfo>",
    ),
    "kernel": whole(
        os="<type arch='x86_64' machine='pc-i440fx-6.2'>hvm</type><kernel>/srv/vmlinuz</kernel><initrd>/srv/initrd</initrd>"
        "<cmdline>console=ttyS0  two  spaces</cmdline><dtb>/srv/dtb</dtb>"
    ),
    "launch-security": whole(
        end="<launchSecurity type='sev' kernelHashes='yes'><cbitpos>47</cbitpos><reducedPhysBits>1</reducedPhysBits>"
        "<policy>0x0001</policy></launchSecurity>"
    ),
    "qemu-commandline": whole(
        namespaces=" xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'",
        end="<qemu:commandline><qemu:arg value='-unknown'/><qemu:env name='NS' value='a'/></qemu:commandline>",
    ),
    "metadata": whole(
        title="<title>Büro &amp; Co</title><description>two\nlines</description><metadata>"
        "<libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
        "<libosinfo:os id='http://os.example/12'/>"
        "</libosinfo:libosinfo><a:note xmlns:a='https://a.example/'>mine</a:note></metadata>"
    ),
    "resource-and-labels": whole(
        tuned="<blkiotune><weight>800</weight></blkiotune><memtune><hard_limit unit='KiB'>4194304</hard_limit></memtune>"
        "<resource><partition>/theirs</partition></resource>",
        end="<seclabel type='static' model='selinux' relabel='yes'><label>system_u:system_r:svirt_t:s0:c1</label></seclabel>",
    ),
    "user-aliases": whole(
        devices=_disk("<source file='/srv/a.img'/>", more="<alias name='ua-mine'/>")
        + _nic("network", "<source network='default'/>", "<alias name='ua-lan'/>")
        + "<rng model='virtio'><backend model='builtin'/><alias name='ua-rng'/></rng>"
    ),
}
FOREIGN = {
    **{name: whole(devices=devices) for group in (DISKS, INTERFACES, DEVICES) for name, devices in group.items()},
    **REST,
}
