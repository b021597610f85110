#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the leases and the usage of virtual networks' addresses."""

from __future__ import annotations

DOCUMENTATION = r"""
module: address_info
short_description: List leases, and how much of each network's addresses is used
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads who has which address, what is free, and what cools down, all of one instant.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.addresses
options:
  network:
    description:
      - Only this network. Left out, all.
    type: str
  vm:
    description:
      - Only leases of this VM.
    type: str
  address:
    description:
      - Only leases with this IPv4 or IPv6 address, and where it cools down.
    type: str
seealso:
  - module: edge.cloud.address
  - module: edge.cloud.address_network
"""

EXAMPLES = r"""
- name: Read all leases and networks
  edge.cloud.address_info:
  delegate_to: frontend.example
  register: found

- name: Show how many IPv4 addresses are free
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.usage.ipv4.free }} of {{ item.usage.ipv4.size }}"
  loop: "{{ found.networks | selectattr('usage.ipv4', 'defined') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Find out who has an address
  edge.cloud.address_info:
    address: 192.0.2.20
  delegate_to: frontend.example
"""

RETURN = r"""
networks:
  description: The networks, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    state:
      description: Always V(present).
      type: str
      returned: always
      sample: present
    name:
      description: Name of the network.
      type: str
      returned: always
      sample: private
    type:
      description: Type of the network.
      type: str
      returned: always
      sample: vxlan
    cluster:
      description: The cluster on whose hosts it is, or null.
      type: str
      returned: always
      sample: edge1
    subnets:
      description: Its subnets.
      type: list
      elements: str
      returned: always
      sample: [192.0.2.0/24]
    gateway:
      description: Its gateways.
      type: list
      elements: str
      returned: always
      sample: [192.0.2.1]
    ranges:
      description: The addresses that leases get by themselves.
      type: list
      elements: dict
      returned: always
      sample: [{start: 192.0.2.20, end: 192.0.2.199}]
    holds:
      description: Addresses that no VM gets.
      type: list
      elements: dict
      returned: always
      sample: [{start: 192.0.2.2, end: 192.0.2.9}]
    reservations:
      description: Addresses that only one VM gets.
      type: list
      elements: dict
      returned: always
      sample: [{start: 192.0.2.10, end: 192.0.2.10, vm: db}]
    mac_prefix:
      description: What MAC addresses of new leases begin with.
      type: str
      returned: always
      sample: "52:54"
    cool_down:
      description: Seconds before a released address is given to another NIC.
      type: int
      returned: always
      sample: 3600
    usage:
      description:
        - Of each family that the network has, numbers of addresses. C(size) is what its ranges and reservations have and the sum of
          C(leased), C(held), C(reserved) (for a VM that does not have it), C(cooling) and C(free). C(outside) are static ones that
          are leased outside of them.
      type: dict
      returned: always
      sample: {ipv4: {size: 181, leased: 1, held: 0, reserved: 1, cooling: 0, free: 179, outside: 0}}
    next_free:
      description: Of each family, the address that a new NIC would get, or null.
      type: dict
      returned: always
      sample: {ipv4: 192.0.2.21}
leases:
  description: The leases, sorted by network, VM and NIC, as RV(edge.cloud.address#module:lease).
  returned: success
  type: list
  elements: dict
  sample:
    - state: present
      network: private
      vm: web
      nic: nic0
      mac: "52:54:12:34:56:78"
      ipv4: 192.0.2.20
      ipv6: null
      addresses:
        - {address: 192.0.2.20, cidr: 192.0.2.20/24, prefix_length: 24, subnet: 192.0.2.0/24, gateway: 192.0.2.1, static: false}
      dhcp_host: {name: web, mac: "52:54:12:34:56:78", addresses: [192.0.2.20]}
cooling:
  description: Released addresses that no other NIC gets yet, with the NIC that had them and the seconds that are left.
  returned: success
  type: list
  elements: dict
  sample: [{network: private, address: 192.0.2.22, vm: old, nic: nic0, seconds: 1800}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import file_path
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import this_moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.listing import Listed, listing


def run(module: AnsibleModule) -> dict[str, Any]:
    asked = Listed.checked(module.params)
    return {"changed": False, **listing(file_path(module.params["path"]), asked, this_moment())}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/edge/addresses.sqlite3"},
            "network": {"type": "str"},
            "vm": {"type": "str"},
            "address": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
