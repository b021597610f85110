#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare the addresses of a virtual network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: address_network
short_description: Declare the addresses of a virtual network
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Declares from which subnets and ranges M(edge.cloud.address) gives addresses of a network, and which it never gives, or gives to
    one VM only. It makes no links; other modules do that, with the same subnets.
  - Only what is given is changed. A change that some lease no longer fits is refused, with the names of its VMs.
  - Network and broadcast address, the gateway, and the subnet-router anycast address of IPv6 are never given to a VM.
  - The networks of the cloud are in one file of the Front-end, where this module is to run.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.addresses
options:
  name:
    description:
      - Name of the network, 1 to 50 letters, digits, C(_), C(.) or C(-).
    type: str
    required: true
  state:
    description:
      - V(present) declares the network or changes it.
      - V(absent) removes it with all that cools down. It is refused while there are leases.
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - Type of the network. A new network needs it.
      - Hosts route the subnets of V(nat) and V(routed), so that those must not overlap each other. The subnets of other types may
        overlap those of any network.
    type: str
    choices: [bridge, vlan, vxlan, nat, routed, isolated]
  cluster:
    description:
      - The cluster on whose hosts the network is. Networks of different clusters may overlap, whatever their type.
      - Left out, a new network may be on any host. Empty, it may be so again.
    type: str
  subnets:
    description:
      - The subnets of the network, IPv4 and IPv6, exactly these; they must not overlap. A new network needs them.
      - A network with an empty list has leases of MAC addresses only.
    type: list
    elements: str
  gateway:
    description:
      - The gateways, one of each subnet at most, exactly these.
      - Left out, they stay as they are. A subnet that gets none has none, but with O(type=nat) and O(type=routed) its first address
        of a host.
    type: list
    elements: str
  ranges:
    description:
      - The addresses that leases get by themselves, exactly these. In a subnet without any of them, leases have static addresses
        only.
      - Left out, they stay as they are, and a new subnet is given whole.
    type: list
    elements: dict
    suboptions:
      start:
        description:
          - First address. Each item has it or O(ranges[].subnet).
        type: str
      end:
        description:
          - Last address. Left out, the first is the only one.
        type: str
      subnet:
        description:
          - All addresses of a subnet, instead of first and last.
        type: str
  holds:
    description:
      - Addresses that no VM gets, exactly these. Use it for what has an address without a lease, such as a router.
    type: list
    elements: dict
    suboptions:
      start:
        description:
          - First address. Each item has it or O(holds[].subnet).
        type: str
      end:
        description:
          - Last address. Left out, the first is the only one.
        type: str
      subnet:
        description:
          - All addresses of a subnet, instead of first and last.
        type: str
  reservations:
    description:
      - Addresses that only one VM gets, exactly these, in or out of the ranges. That VM gets them before others.
    type: list
    elements: dict
    suboptions:
      start:
        description:
          - First address. Each item has it or O(reservations[].subnet).
        type: str
      end:
        description:
          - Last address. Left out, the first is the only one.
        type: str
      subnet:
        description:
          - All addresses of a subnet, instead of first and last.
        type: str
      vm:
        description:
          - Name of the VM.
        type: str
        required: true
  mac_prefix:
    description:
      - The one to three octets that MAC addresses of new leases begin with, of locally administered addresses. Put it in quotes.
      - Without it a new network has V(52:54).
    type: str
  cool_down:
    description:
      - For how many seconds a released address is given to no other NIC, 0 to 31622400. It should be longer than a DHCP lease.
      - Time goes on while the host is off, and a wall clock that is set does not change it. Without it a new network has V(3600).
    type: int
seealso:
  - module: edge.cloud.address
  - module: edge.cloud.address_info
  - module: edge.cloud.virtual_network
"""

EXAMPLES = r"""
- name: Declare a network with ranges, a router of others, and an address for one VM
  edge.cloud.address_network:
    name: private
    type: vxlan
    subnets: [192.0.2.0/24, "2001:db8:1::/64"]
    gateway: [192.0.2.1, "2001:db8:1::1"]
    ranges:
      - start: 192.0.2.20
        end: 192.0.2.199
      - subnet: "2001:db8:1::/64"
    holds:
      - start: 192.0.2.2
        end: 192.0.2.9
    reservations:
      - start: 192.0.2.10
        vm: db

- name: Give released addresses to other VMs after a day
  edge.cloud.address_network:
    name: private
    cool_down: 86400

- name: Remove it, when it has no leases
  edge.cloud.address_network:
    name: private
    state: absent
"""

RETURN = r"""
network:
  description: The network after the run, in check mode as predicted. Only RV(network.state) when absent.
  returned: success
  type: dict
  contains:
    state:
      description: V(present) or V(absent).
      type: str
      returned: always
      sample: present
    name:
      description: Name of the network.
      type: str
      returned: when present
      sample: private
    type:
      description: Type of the network.
      type: str
      returned: when present
      sample: vxlan
    cluster:
      description: The cluster on whose hosts it is, or null.
      type: str
      returned: when present
      sample: edge1
    subnets:
      description: Its subnets in order.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.0/24]
    gateway:
      description: Its gateways.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.1]
    ranges:
      description: The addresses that leases get by themselves, in order.
      type: list
      elements: dict
      returned: when present
      sample: [{start: 192.0.2.20, end: 192.0.2.199}]
    holds:
      description: Addresses that no VM gets, in order.
      type: list
      elements: dict
      returned: when present
      sample: [{start: 192.0.2.2, end: 192.0.2.9}]
    reservations:
      description: Addresses that only one VM gets, in order.
      type: list
      elements: dict
      returned: when present
      sample: [{start: 192.0.2.10, end: 192.0.2.10, vm: db}]
    mac_prefix:
      description: What MAC addresses of new leases begin with.
      type: str
      returned: when present
      sample: "52:54"
    cool_down:
      description: Seconds before a released address is given to another NIC.
      type: int
      returned: when present
      sample: 3600
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Set the holds of the network private]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.asked import NetworkRequest, file_path
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import this_moment
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.definition import Network
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.networks import reconcile

TEXT = {"type": "str", "required": True}
TEXTS = {"type": "list", "elements": "str"}
SPAN = {"start": {"type": "str"}, "end": {"type": "str"}, "subnet": {"type": "str"}}
SPANS = {"type": "list", "elements": "dict", "options": SPAN}


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = NetworkRequest.checked(module.params)
    plan = reconcile(file_path(module.params["path"]), wanted, this_moment(), check=module.check_mode)
    return plan_result(plan, Network.view, "network")


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/edge/addresses.sqlite3"},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "type": {"type": "str", "choices": ["bridge", "vlan", "vxlan", "nat", "routed", "isolated"]},
            "cluster": {"type": "str"},
            "subnets": TEXTS,
            "gateway": TEXTS,
            "ranges": SPANS,
            "holds": SPANS,
            "reservations": {"type": "list", "elements": "dict", "options": {**SPAN, "vm": TEXT}},
            "mac_prefix": {"type": "str"},
            "cool_down": {"type": "int"},
        },
    )


if __name__ == "__main__":
    main()
