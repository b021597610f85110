#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lease addresses to a NIC of a VM."""

from __future__ import annotations

DOCUMENTATION = r"""
module: address
short_description: Lease addresses to a NIC of a VM
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Gives a NIC of a VM an IPv4 address, an IPv6 address and a MAC address in a virtual network, which no other NIC of that network
    gets. The next run with the same names gives the same ones.
  - The leases of all networks are in one file of the Front-end, where this module is to run. Any number of tasks and playbooks
    may use it at once. What a task has answered survives a power cut.
  - It does not configure the VM or DHCP. Pass on what it returns, for example to M(edge.cloud.domain) and
      M(edge.cloud.virtual_network_dhcp).
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.addresses
options:
  vm:
    description:
      - Name of the VM.
    type: str
    required: true
  network:
    description:
      - Name of a network that M(edge.cloud.address_network) declared. A lease needs it.
      - Left out with O(state=absent), the leases of the VM in all networks.
    type: str
  nic:
    description:
      - Name of the NIC, as O(edge.cloud.domain#module:nics[].name). Left out, V(nic0), or with O(state=absent) all NICs.
    type: str
  state:
    description:
      - V(present) leases what is missing and leaves the rest as it is.
      - V(absent) releases the addresses. During the cool-down of the network only the same NIC gets them again.
    type: str
    choices: [present, absent]
    default: present
  ipv4:
    description:
      - A static IPv4 address, in or out of the ranges of the network's subnets.
      - Left out, the NIC keeps the one that it has. A new lease has the lowest free one that is reserved for the VM, else the one
        that the NIC released before and that still cools down, else the lowest free one of the ranges.
    type: str
  ipv6:
    description:
      - A static IPv6 address. Left out, as O(ipv4).
    type: str
  families:
    description:
      - The families that the NIC has addresses of, exactly these.
      - Left out, it keeps what it has, and has an address of each family that the network has ranges of, or reservations for the
        VM.
    type: list
    elements: str
    choices: [ipv4, ipv6]
  mac:
    description:
      - MAC address of the NIC.
      - Left out, the NIC keeps the one that it has. A new lease has one made of the network's prefix and the names of VM and NIC,
        with the default prefix the one that M(edge.cloud.domain) gives the NIC by itself.
    type: str
seealso:
  - module: edge.cloud.address_network
  - module: edge.cloud.address_info
  - module: edge.cloud.domain
"""

EXAMPLES = r"""
- name: Lease addresses for the first NIC of a VM
  edge.cloud.address:
    network: private
    vm: web
  delegate_to: frontend.example
  register: web

- name: Show them
  ansible.builtin.debug:
    msg: "{{ web.lease.mac }} {{ web.lease.ipv4 }} {{ web.lease.ipv6 }}"

- name: Lease a static IPv4 address for another NIC, and no IPv6 address
  edge.cloud.address:
    network: private
    vm: db
    nic: nic1
    ipv4: 192.0.2.200
    families: [ipv4]
  delegate_to: frontend.example

- name: Release all addresses of a VM
  edge.cloud.address:
    vm: web
    state: absent
  delegate_to: frontend.example
"""

RETURN = r"""
lease:
  description: The lease after the run, in check mode as predicted, with the very addresses. Only RV(lease.state) when absent.
  returned: success
  type: dict
  contains:
    state:
      description: V(present) or V(absent).
      type: str
      returned: always
      sample: present
    network:
      description: Name of the network.
      type: str
      returned: when present
      sample: private
    vm:
      description: Name of the VM.
      type: str
      returned: when present
      sample: web
    nic:
      description: Name of the NIC.
      type: str
      returned: when present
      sample: nic0
    mac:
      description: MAC address.
      type: str
      returned: when present
      sample: "52:54:12:34:56:78"
    ipv4:
      description: IPv4 address, or null.
      type: str
      returned: when present
      sample: 192.0.2.2
    ipv6:
      description: IPv6 address, or null.
      type: str
      returned: when present
      sample: 2001:db8:1::2
    addresses:
      description: The addresses with what a VM needs to use them.
      type: list
      elements: dict
      returned: when present
      contains:
        address:
          description: The address.
          type: str
          returned: always
          sample: 192.0.2.2
        cidr:
          description: The address with the prefix length of its subnet.
          type: str
          returned: always
          sample: 192.0.2.2/24
        prefix_length:
          description: Prefix length of its subnet.
          type: int
          returned: always
          sample: 24
        subnet:
          description: Its subnet.
          type: str
          returned: always
          sample: 192.0.2.0/24
        gateway:
          description: The subnet's gateway, or null.
          type: str
          returned: always
          sample: 192.0.2.1
        static:
          description: Whether it was asked for; otherwise it is from a range or reservation.
          type: bool
          returned: always
          sample: false
    dhcp_host:
      description: Name, MAC address and addresses, as an item of O(edge.cloud.virtual_network_dhcp#module:hosts), or null without
        an address.
      type: dict
      returned: when present
      sample: {name: web, mac: "52:54:12:34:56:78", addresses: [192.0.2.2]}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Lease 192.0.2.2 to VM web, NIC nic0, in the network private"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import LeaseRequest, ReleaseRequest, file_path
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import this_moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.lease_plan import only, view
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.leases import lease, release


def run(module: AnsibleModule) -> dict[str, Any]:
    options, now, check = module.params, this_moment(), module.check_mode
    path = file_path(options["path"])
    if options["state"] == "present":
        return plan_result(lease(path, LeaseRequest.checked(options), now, check=check), only, "lease")
    plan = release(path, ReleaseRequest.checked(options), now, check=check)
    return {**plan_result(plan, view, "leases"), "lease": {"state": "absent"}}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/edge/addresses.sqlite3"},
            "vm": {"type": "str", "required": True},
            "network": {"type": "str"},
            "nic": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "ipv4": {"type": "str"},
            "ipv6": {"type": "str"},
            "families": {"type": "list", "elements": "str", "choices": ["ipv4", "ipv6"]},
            "mac": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
