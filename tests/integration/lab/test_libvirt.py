# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everything else stands on: in a lab host libvirt runs a guest under TCG, on its NAT network, from a qcow2 overlay."""

from __future__ import annotations

import pytest
from edge_lab.api import Lab, LabHost
from edge_lab.packages import RELEASES
from support.stream_guest import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow]

DOMAIN = """
<domain type='qemu'>
  <name>guest</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type><boot dev='network'/></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='native'/>
      <source file='/var/lib/edge/overlay.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
  </devices>
</domain>
"""


@pytest.mark.parametrize("release", RELEASES)
def test_a_guest_gets_an_address_from_libvirts_network(lab: Lab, release: str) -> None:
    (host,) = lab.up(names=[f"virt-{release}"], release=release, variant="full")
    host.run(["mkdir", "-p", "/var/lib/edge"])
    host.run(["qemu-img", "create", "-f", "qcow2", "/var/lib/edge/base.qcow2", "1G"])
    host.run(["qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "/var/lib/edge/overlay.qcow2"])
    host.run(["virsh", "net-start", "default"])
    host.run(["virsh", "define", "/dev/stdin"], stdin=DOMAIN)
    host.run(["virsh", "start", "guest"])
    assert "192.168.122." in _lease(host)
    assert host.run(["virsh", "domstate", "guest"]).stdout.strip() == "running"
    host.down()


def _lease(host: LabHost) -> str:
    """Return libvirt's DHCP leases as soon as there is one: the guest's firmware asks for an address to boot from."""
    return wait_for(lambda: host.run(["virsh", "net-dhcp-leases", "default"]).stdout, lambda answer: "ipv4" in answer, "a lease")
