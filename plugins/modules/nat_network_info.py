#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the libvirt NAT networks of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nat_network_info
short_description: List the libvirt NAT networks of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the NAT networks of libvirt, with the VMs that are attached and the leases that DHCP gave out.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.libvirt
options:
  name:
    description:
      - Only the network of this name. Left out, all NAT networks.
    type: str
seealso:
  - module: edge.cloud.nat_network
"""

EXAMPLES = r"""
- name: Read the leases of one network
  edge.cloud.nat_network_info:
    name: edge-default
  register: found

- name: Show the addresses of its VMs
  ansible.builtin.debug:
    msg: "{{ found.networks[0].leases | map(attribute='address') | list }}"
"""

RETURN = r"""
networks:
  description: The NAT networks, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    state:
      description: V(active), or V(present) when it does not run.
      type: str
      returned: always
      sample: active
    name:
      description: Name of the network.
      type: str
      returned: always
      sample: edge-default
    bridge:
      description: Name of its bridge.
      type: str
      returned: always
      sample: edge-nat0
    subnet:
      description: Its subnet.
      type: str
      returned: always
      sample: 192.0.2.0/24
    address:
      description: The host's address on it.
      type: str
      returned: always
      sample: 192.0.2.1
    dhcp_range:
      description: First and last address that DHCP gives out, or null without DHCP.
      type: list
      elements: str
      returned: always
      sample: [192.0.2.26, 192.0.2.254]
    domain:
      description: DNS domain of the VMs, or null.
      type: str
      returned: always
      sample: vms.example
    mtu:
      description: Largest packet in bytes, or null for the kernel's.
      type: int
      returned: always
      sample: 1400
    hosts:
      description: VMs with a fixed address, by address. What an entry that another program made lacks is null.
      type: list
      elements: dict
      returned: always
      sample: [{name: web, mac: "52:54:00:12:34:56", address: 192.0.2.10}]
    autostart:
      description: Whether it starts with the host.
      type: bool
      returned: always
      sample: true
    managed:
      description: Whether M(edge.cloud.nat_network) created or adopted it.
      type: bool
      returned: always
      sample: true
    pending_restart:
      description: Fields that differ between the running network and its definition, until it is restarted.
      type: list
      elements: str
      returned: always
      sample: []
    vms:
      description: Names of the running VMs attached to it.
      type: list
      elements: str
      returned: always
      sample: [web]
    leases:
      description: The DHCP leases, by address; the name is null if the VM sent none.
      type: list
      elements: dict
      returned: always
      sample: [{address: 192.0.2.10, mac: "52:54:00:12:34:56", name: web}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.libvirt_networks import LibvirtNetworks


def run(module: AnsibleModule) -> dict[str, Any]:
    with connection(module.params["uri"]) as opened:
        return {"changed": False, "networks": LibvirtNetworks(opened).listing(module.params["name"])}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "uri": {"type": "str", "default": "qemu:///system"},
            "name": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
