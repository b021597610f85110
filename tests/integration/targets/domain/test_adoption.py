# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that others made and that runs is taken over: nothing of it changes, and then each option changes what it says, at once."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from edge_lab.api import unusable
from support.adoption import differences
from support.small_host import SmallHost

pytestmark = [pytest.mark.integration, pytest.mark.lab]
PORTS = "".join(f"<controller type='pci' index='{number}' model='pcie-root-port'/>" for number in range(1, 12))
THEIRS = f"""<domain type='qemu'><name>theirs</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><features><acpi/></features><on_crash>preserve</on_crash>
<devices><disk type='file' device='disk'><driver name='qemu' type='raw' cache='writeback' detect_zeroes='on'/>
<source file='/srv/a.img'/><target dev='vda' bus='virtio'/><serial>theirs-a</serial></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/b.qcow2'/><target dev='vdb' bus='virtio'/>
<iotune><read_iops_sec>100</read_iops_sec><read_iops_sec_max>200</read_iops_sec_max><read_iops_sec_max_length>3</read_iops_sec_max_length>
</iotune><alias name='ua-mine'/></disk>
<interface type='user'><mac address='52:54:00:ab:00:01'/><model type='virtio'/></interface>
<interface type='network'><mac address='52:54:00:ab:00:02'/><source network='default'/><model type='e1000e'/></interface>
<serial type='null'/><rng model='virtio'><backend model='random'>/dev/random</backend></rng>
<graphics type='vnc' autoport='yes' listen='127.0.0.2'/><video><model type='cirrus'/></video>
{PORTS}</devices></domain>"""
MAKE = f"""
set -e
truncate -s 16M /srv/a.img
qemu-img create -q -f qcow2 /srv/b.qcow2 16M
chown libvirt-qemu /srv/a.img /srv/b.qcow2 2>/dev/null || true
cat > /root/theirs.xml <<'XML'
{THEIRS}
XML
virsh -q define /root/theirs.xml && virsh -q start theirs
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"adop-{request.param[:4]}"
    with SmallHost.up(name, request.param, tmp_path_factory.mktemp(name)) as made:
        yield made


def xml(host: SmallHost, *words: str) -> ET.Element:
    return ET.fromstring(host.run("virsh", "dumpxml", "--security-info", *words, "theirs"))


def test_a_running_vm_of_others_is_taken_over_as_it_is(host: SmallHost) -> None:
    host.run("sh", "-c", MAKE)
    config, live = xml(host, "--inactive"), xml(host)
    planned = host.domain("theirs", adopt=True, check=True)
    taken = host.domain("theirs", adopt=True)
    assert planned["actions"] == taken["actions"] == ["Take over domain theirs"]
    assert planned["diff"] == taken["diff"] == {"before": {"managed": False}, "after": {"managed": True}}
    assert host.domain("theirs")["changed"] is False
    assert differences(config, xml(host, "--inactive")) == []
    assert differences(live, xml(host)) == []
    shown = host.module("domain_info", name="theirs")["domains"][0]
    assert [(disk["name"], disk["path"], disk["foreign"]) for disk in shown["disks"]] == [
        ("vda", "/srv/a.img", "vda"),
        ("vdb", "/srv/b.qcow2", "vdb"),
    ]
    assert [(nic["name"], nic["other"], nic["network"]) for nic in shown["nics"]] == [
        ("nic0", "user", None),
        ("nic1", None, "default"),
    ]


@pytest.mark.slow
def test_options_change_it_while_it_runs(host: SmallHost) -> None:
    config, live, process = xml(host, "--inactive"), xml(host), host.run("cat", "/run/libvirt/qemu/theirs.pid")
    asked = {"disks": [{"name": "vda", "limits": {"total_iops": 500}}, {"name": "b", "path": "/srv/b.qcow2"}],
             "nics": [{"name": "nic1", "link": False}]}  # fmt: skip
    changed = host.domain("theirs", **asked)
    assert changed["actions"] == [
        "Redefine domain theirs: disks.vda (taken over), disks.vda.limits, disks.b (taken over), nics.nic1 (taken over), "
        "nics.nic1.link",
        "Set the limits of disk vda of running domain theirs",
        "Change interface nic1 of running domain theirs",
    ]
    assert changed["domain"]["pending_restart"] == []
    expected = ["devices/disk/iotune: new", "devices/interface[2]/link: new"]
    assert sorted(differences(config, xml(host, "--inactive"))) == expected
    assert [line for line in differences(live, xml(host)) if "portid" not in line] == expected  # a port of the network is again
    assert host.domain("theirs", **asked)["changed"] is False

    asked["disks"][1]["limits"] = {"read_iops": 1000}  # above the burst that others allowed
    host.domain("theirs", **asked)
    for tree, more in ((xml(host, "--inactive"), {}), (xml(host), {"read_iops_sec_max_length": "1"})):  # QEMU's own value
        tune = {one.tag: one.text for one in tree.iterfind("devices/disk[2]/iotune/*")}
        assert tune == {"read_iops_sec": "1000", **more}
    assert host.domain("theirs", **asked)["changed"] is False

    more = {**asked, "disks": [*asked["disks"], {"name": "new", "size": "8MiB"}]}
    assert "Attach disk new to running domain theirs as vdc" in host.domain("theirs", **more)["actions"]
    assert host.domain("theirs", **more)["changed"] is False
    assert host.run("cat", "/run/libvirt/qemu/theirs.pid") == process
    host.domain("theirs", state="stopped", force_stop=True, timeout=1)
    again = host.domain("theirs", **more)
    assert (again["actions"], again["domain"]["pending_restart"]) == (["Start domain theirs"], [])
    assert [one.attrib["dev"] for one in xml(host).iterfind("devices/disk/target")] == ["vda", "vdb", "vdc"]
    assert host.domain("theirs", **more)["changed"] is False
    host.domain("theirs", state="absent", force_stop=True, timeout=1)
    assert host.run("ls", "/srv/a.img", "/srv/b.qcow2").split() == ["/srv/a.img", "/srv/b.qcow2"]
