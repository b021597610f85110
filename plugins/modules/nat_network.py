#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a libvirt NAT network with DHCP and DNS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nat_network
short_description: Manage a libvirt NAT network with DHCP and DNS
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Creates, changes and removes a virtual network behind network address translation, on which libvirt's dnsmasq gives VMs
    addresses and names.
  - Only what is given is changed. A field that is left out stays as it is, and so does all else in the network's XML.
  - O(hosts), O(dhcp_range) and O(autostart) change while the network runs. O(bridge), O(subnet), O(domain) and O(mtu) need a
    restart of the network, which is refused without O(allow_restart) and always while VMs are attached.
  - Before anything is changed, a subnet that overlaps an address or route of the host or another libvirt network is refused,
    and so is a bridge name that exists.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - Name of the network, 1 to 50 letters, digits, C(_), C(.) or C(-).
    type: str
    required: true
  state:
    description:
      - V(active) defines the network and starts it.
      - V(present) defines it and does not start or stop it. A new one does not run.
      - V(absent) stops and removes it. It is refused while VMs are attached.
    type: str
    choices: [active, present, absent]
    default: active
  bridge:
    description:
      - Name of the bridge that libvirt creates for the network, 1 to 15 letters. A new network needs it.
    type: str
  subnet:
    description:
      - IPv4 subnet of the network, /8 to /30. Its first address is the host's. A new network needs it.
    type: str
  dhcp_range:
    description:
      - The addresses that DHCP gives out. Without it a new network uses the whole subnet except its first tenth,
        which stays free for static addresses. Its lease time and further ranges that another program made stay.
    type: dict
    suboptions:
      start:
        description:
          - First address.
        type: str
        required: true
      end:
        description:
          - Last address.
        type: str
        required: true
  domain:
    description:
      - DNS domain of the VMs. Names in it are answered by this network only and never looked up elsewhere.
    type: str
  hosts:
    description:
      - VMs with a fixed address and a DNS name, exactly these. Left out, they stay as they are, also those that another program
        made. One that stays keeps what else its entry has, such as a lease time.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Host name, one DNS label.
        type: str
        required: true
      mac:
        description:
          - MAC address of the VM's network card.
        type: str
        required: true
      address:
        description:
          - IPv4 address in O(subnet), in or out of O(dhcp_range).
        type: str
        required: true
  mtu:
    description:
      - Largest packet in bytes, 68 to 65535. Left out, a new network has the kernel's 1500.
    type: int
  autostart:
    description:
      - Whether the network starts with the host. Without it a new network does.
    type: bool
  adopt:
    description:
      - Take over, or with O(state=absent) remove, a NAT network of that name that this module did not create.
    type: bool
    default: false
  allow_restart:
    description:
      - Allow a restart of the running network if a change needs it. No VM may be attached.
    type: bool
    default: false
requirements:
  - iproute2
  - dnsmasq-base
seealso:
  - module: edge.cloud.nat_network_info
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Have a network for VMs, with one fixed address
  edge.cloud.nat_network:
    name: edge-default
    bridge: edge-nat0
    subnet: 192.0.2.0/24
    domain: vms.example
    hosts:
      - name: web
        mac: "52:54:00:12:34:56"
        address: 192.0.2.10

- name: Change its MTU, which restarts it, when no VM is attached
  edge.cloud.nat_network:
    name: edge-default
    mtu: 1400
    allow_restart: true

- name: Remove it
  edge.cloud.nat_network:
    name: edge-default
    state: absent
"""

RETURN = r"""
network:
  description: The network after the run, in check mode as predicted. Only RV(network.state) when absent.
  returned: success
  type: dict
  contains:
    state:
      description: V(active), V(present) when it does not run, or V(absent).
      type: str
      returned: always
      sample: active
    name:
      description: Name of the network.
      type: str
      returned: when present
      sample: edge-default
    bridge:
      description: Name of its bridge.
      type: str
      returned: when present
      sample: edge-nat0
    subnet:
      description: Its subnet.
      type: str
      returned: when present
      sample: 192.0.2.0/24
    address:
      description: The host's address on it, which is gateway and DNS server of the VMs.
      type: str
      returned: when present
      sample: 192.0.2.1
    dhcp_range:
      description: First and last address that DHCP gives out, or null without DHCP.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.26, 192.0.2.254]
    domain:
      description: DNS domain of the VMs, or null.
      type: str
      returned: when present
      sample: vms.example
    mtu:
      description: Largest packet in bytes, or null for the kernel's.
      type: int
      returned: when present
      sample: 1400
    hosts:
      description: VMs with a fixed address, by address. What an entry that another program made lacks is null.
      type: list
      elements: dict
      returned: when present
      sample: [{name: web, mac: "52:54:00:12:34:56", address: 192.0.2.10}]
    autostart:
      description: Whether it starts with the host.
      type: bool
      returned: when present
      sample: true
    managed:
      description: Whether the network carries the mark of this module.
      type: bool
      returned: when present
      sample: true
    pending_restart:
      description: Fields that differ between the running network and its definition, until it is restarted.
      type: list
      elements: str
      returned: when present
      sample: []
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Define the network edge-default, Start the network edge-default]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.libvirt_networks import LibvirtNetworks
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.plan import NatRequest, view
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

TEXT = {"type": "str", "required": True}


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = NatRequest.checked(module.params)
    with connection(module.params["uri"]) as opened:
        ip = IpRoute(ModuleRunner(module))
        plan, state = reconcile(LibvirtNetworks(opened), ip, wanted, check=module.check_mode)
    return {**plan_result(plan, view, "network"), "network": view(state)}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "uri": {"type": "str", "default": "qemu:///system"},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["active", "present", "absent"], "default": "active"},
            "bridge": {"type": "str"},
            "subnet": {"type": "str"},
            "dhcp_range": {"type": "dict", "options": {"start": TEXT, "end": TEXT}},
            "domain": {"type": "str"},
            "hosts": {"type": "list", "elements": "dict", "options": {"name": TEXT, "mac": TEXT, "address": TEXT}},
            "mtu": {"type": "int"},
            "autostart": {"type": "bool"},
            "adopt": {"type": "bool", "default": False},
            "allow_restart": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
