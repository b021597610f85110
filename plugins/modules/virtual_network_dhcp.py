#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage DHCP, router advertisements and DNS of a virtual network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_dhcp
short_description: Manage DHCP, router advertisements and DNS of a virtual network
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Creates, changes and removes the service that gives the VMs of a virtual network their addresses and names, on one host. Run
    it with the same options on each host of the network.
  - The service is a dnsmasq in a network name space of its own. It has the same MAC address and addresses on all hosts and
    answers only the VMs of its own host, so that a lease is renewed after a migration as before.
  - Only O(hosts) are answered, each with its own address. There is no range from which an unknown VM gets one.
  - The options are the whole definition. What is left out has its default.
  - A change of O(hosts) reaches the running service without a restart. Any other change restarts it, which takes a moment and
    leaves the leases of VMs valid.
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  name:
    description:
      - Name of the network, 1 to 50 letters, digits, C(_), C(.) or C(-).
    type: str
    required: true
  state:
    description:
      - V(present) has the service run, now and after a reboot.
      - V(absent) removes it with all that belongs to it.
    type: str
    choices: [present, absent]
    default: present
  bridge:
    description:
      - The bridge of the network on this host, which must be there. V(present) needs it.
    type: str
  subnets:
    description:
      - The subnets of the network. V(present) needs one.
    type: list
    elements: dict
    suboptions:
      subnet:
        description:
          - The subnet, IPv4 with a prefix length of 8 to 30 or IPv6 with one of 64 to 126.
        type: str
        required: true
      address:
        description:
          - The address of the service in it, on every host. No VM may have it.
        type: str
        required: true
      gateway:
        description:
          - The router. DHCPv4 tells it to VMs; without it they get none. An IPv6 router advertises itself, and the service
            never says that it is one.
        type: str
      routes:
        description:
          - Further routes that DHCPv4 tells to VMs, at most 16.
        type: list
        elements: dict
        default: []
        suboptions:
          to:
            description:
              - The subnet that the route leads to.
            type: str
            required: true
          via:
            description:
              - The router, an address of O(subnets[].subnet).
            type: str
            required: true
  hosts:
    description:
      - The NICs of VMs, on whichever host they run, exactly these. RV(edge.cloud.address_info#module:leases) have each in
        C(dhcp_host).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the VM.
        type: str
        required: true
      hostname:
        description:
          - Its name in O(domain), one DNS label. Left out, it is O(hosts[].name), which must be one then.
        type: str
      mac:
        description:
          - MAC address of the NIC.
        type: str
        required: true
      addresses:
        description:
          - Its addresses, at most one of IPv4 and one of IPv6.
        type: list
        elements: str
        required: true
  dns:
    description:
      - DNS servers that VMs get, at most 8. Left out, it is the service, which knows the names of O(hosts).
    type: list
    elements: str
    default: []
  domain:
    description:
      - DNS domain of the VMs. The service answers names in it and never asks others for them. Without it VMs have no names in DNS.
    type: str
  forwarders:
    description:
      - DNS servers that the service asks for all other names, at most 8. Without them it refuses such questions.
      - They are reached only where the host is a gateway of the network, thus where O(bridge) has one of the addresses
        O(subnets[].gateway). Elsewhere use O(dns).
    type: list
    elements: str
    default: []
  mtu:
    description:
      - Largest packet in bytes that VMs get. Left out, it is what the ports of the bridge take.
    type: int
  lease_seconds:
    description:
      - Duration of a lease in seconds, 120 to 2592000. A VM asks again after half of it.
    type: int
    default: 3600
requirements:
  - dnsmasq-base
  - iproute2
  - nftables
  - systemd
  - edge-dhcp@.service, which the role P(edge.cloud.hypervisor#role) installs
seealso:
  - module: edge.cloud.virtual_network_dhcp_info
  - module: edge.cloud.virtual_network
"""

EXAMPLES = r"""
- name: Give the VMs of a network their addresses and names
  edge.cloud.virtual_network_dhcp:
    name: private
    bridge: evb-private
    domain: private.example
    subnets:
      - subnet: 192.0.2.0/24
        address: 192.0.2.2
        gateway: 192.0.2.1
      - subnet: 2001:db8::/64
        address: 2001:db8::2
    hosts:
      - name: web
        mac: "52:54:00:12:34:56"
        addresses: [192.0.2.10, "2001:db8::10"]

- name: Remove the service
  edge.cloud.virtual_network_dhcp:
    name: private
    state: absent
"""

RETURN = r"""
service:
  description: The service after the run, in check mode as predicted, with the options as they are in effect. Only RV(service.state)
    when absent.
  returned: success
  type: dict
  contains:
    state:
      description: V(present) or V(absent).
      type: str
      returned: always
      sample: present
    link:
      description: Its port of the bridge.
      type: str
      returned: when present
      sample: evd-b7gtdjvuwgo
    mac:
      description: Its MAC address, on every host.
      type: str
      returned: when present
      sample: "0a:dd:ed:b4:43:6c"
    attached_to:
      description: The bridge that the port belongs to and that knows the MAC address there, or null.
      type: str
      returned: when present
      sample: evb-private
    link_mtu:
      description: MTU of the port.
      type: int
      returned: when present
      sample: 1450
    addresses:
      description: Its addresses, the link-local one included.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.2/24]
    separate:
      description: Whether its name space is there and forwards nothing.
      type: bool
      returned: when present
      sample: true
    filtered:
      description: Whether only ports of VMs reach it.
      type: bool
      returned: when present
      sample: true
    running:
      description: Whether it runs.
      type: bool
      returned: when present
      sample: true
    current:
      description: Whether it runs with the files as they are.
      type: bool
      returned: when present
      sample: true
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Write the files of private, Reload edge-dhcp@private.service]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.host import Services
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import Places
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.state import State
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()
TEXT = {"type": "str", "required": True}
TEXTS: dict[str, Any] = {"type": "list", "elements": "str"}
ROUTES = {"type": "list", "elements": "dict", "default": [], "options": {"to": TEXT, "via": TEXT}}
SUBNET = {"subnet": TEXT, "address": TEXT, "gateway": {"type": "str"}, "routes": ROUTES}
HOST = {"name": TEXT, "hostname": {"type": "str"}, "mac": TEXT, "addresses": {**TEXTS, "required": True}}


def run(module: AnsibleModule) -> dict[str, Any]:
    absent = module.params["state"] == "absent"
    wanted = None if absent else Definition.checked(module.params)
    services = Services(ModuleRunner(module), PLACES)
    plan, after = reconcile(services, module.params["name"], wanted, check=module.check_mode)
    return plan_result(plan, State.view, "service", after)


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": TEXT,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "bridge": {"type": "str"},
            "subnets": {"type": "list", "elements": "dict", "options": SUBNET},
            "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
            "dns": {**TEXTS, "default": []},
            "domain": {"type": "str"},
            "forwarders": {**TEXTS, "default": []},
            "mtu": {"type": "int"},
            "lease_seconds": {"type": "int", "default": 3600},
        },
        required_if=[("state", "present", ["bridge", "subnets"])],
    )


if __name__ == "__main__":
    main()
