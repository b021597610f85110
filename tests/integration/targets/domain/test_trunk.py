# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that tags its frames itself: what Debian 13's libvirt and kernel let pass its port, in a VM that is the hypervisor.

The kernel of this machine may lack bridges that tell VLANs apart, so the domain is defined in a VM, by our XML.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from xml.etree.ElementTree import tostring

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.virtual_network import VirtualNetwork
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._vlans import DEFAULT, of_port
from support import appliance
from support.compute import host

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="building an appliance needs root"),
]
PACKAGES = ("libvirt-daemon-system", "libvirt-clients", "qemu-system-x86")
TENANTS = VirtualNetwork("tenants", "evb-tenants", 1450, definition={"vlan_filtering": True})
ASKED = {
    "name": "router",
    "virt_type": "qemu",
    "memory": "64MiB",
    "nics": [{"name": "lan", "virtual_network": "tenants", "vlans": ["20-29", "10"]}],
}
# As the role hypervisor has it, networkd leaves what is named like ours alone: it would take the port off its bridge.
SCRIPT = """set -e
printf '[Match]\\nName=evt-* evb-*\\n[Link]\\nUnmanaged=yes\\n' > /etc/systemd/network/00-edge.network
networkctl reload
mkdir -p /var/lib/edge/vms/router
ip link add evb-tenants mtu 1450 type bridge vlan_filtering 1
ip link set evb-tenants up
virsh define /tmp/router.xml >&2
virsh start router >&2
bridge -json -compressvlans vlan show
"""


def test_the_port_of_a_guest_lets_pass_what_its_interface_says(tmp_path: Path) -> None:
    more = [word for package in PACKAGES for word in ("--extra-package", package)]
    done = appliance.build(tmp_path, "--size", "3G", *more)
    assert done.returncode == 0, done.stderr
    wanted = resolve(read_options(ASKED), None, (), host(virtual_networks={"tenants": TENANTS})).spec
    xml = tostring(emit(wanted, Record(wanted)), encoding="unicode")
    script = f"cat > /tmp/router.xml <<'END-OF-XML'\n{xml}\nEND-OF-XML\n{SCRIPT}"
    with appliance.booted(appliance.Image(tmp_path, done.stdout), tmp_path) as vm:
        vm.until("SSH", lambda: vm.ssh("hostname"))
        encoded = base64.b64encode(script.encode()).decode()
        shown = vm.ssh(f"echo {encoded} | base64 -d | sudo sh 2>&1")
        found = re.search(r"^\[\{.*$", shown or "", re.MULTILINE)
        assert found, shown
        (port,) = [one["vlans"] for one in json.loads(found[0]) if one["ifname"] == wanted.nics[0].tap]
        assert of_port(port) == (*DEFAULT, "10", "20-29")
        kept = vm.ssh("sudo virsh dumpxml --inactive router")
        assert kept is not None and parse(parse_xml(kept)).spec.nics[0].vlans == ("10", "20-29")
