#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a virtual network of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network
short_description: Manage a virtual network of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Makes the links of one definition, which all hosts of a cluster can share, on this host. They are a bridge for VMs and, of a
    VXLAN or VLAN, what connects it to the other hosts. They are made now, and at each boot from C(/etc/edge/networks.json).
  - The definition is whole. An option that is left out has its default, and what an earlier run set is undone.
  - Links of the network bear the mark C(edge.cloud network NAME) as their alias. A link without it is never changed or removed.
  - All that can be wrong is found before anything is changed.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.virtual_network
  - edge.cloud.virtual_network.vxlan
seealso:
  - module: edge.cloud.virtual_networks
  - module: edge.cloud.virtual_network_info
  - module: edge.cloud.nat_network
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Have a network between VMs of three hosts, with the same task on each
  edge.cloud.virtual_network:
    name: private
    type: vxlan
    vni: 100
    underlay: eth0
    members: [192.0.2.11, 192.0.2.12, 192.0.2.13]
    subnets: [198.51.100.0/24]
    gateway: [198.51.100.1]

- name: Have one of which FRR tells where its VMs are
  edge.cloud.virtual_network:
    name: tenant
    type: vxlan
    vni: 200
    underlay: eth0
    flood: evpn

- name: Connect VMs to VLAN 20 of the switch
  edge.cloud.virtual_network:
    name: storage
    type: vlan
    vlan_id: 20
    underlay: eth1

- name: Connect them to a bridge that is there
  edge.cloud.virtual_network:
    name: public
    type: bridge
    bridge: br-public

- name: Remove a network
  edge.cloud.virtual_network:
    name: private
    state: absent
"""

RETURN = r"""
network:
  description: The network after the run, in check mode as predicted. Only C(name) and C(state) when absent.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the network.
      type: str
      returned: always
      sample: storage
    state:
      description: V(present), or V(absent) if the host has neither links nor a definition of it.
      type: str
      returned: always
      sample: present
    module:
      description: V(virtual_network).
      type: str
      returned: when present
      sample: virtual_network
    bridge:
      description: The bridge to which VMs are attached. Null if it is not there now.
      type: str
      returned: when present
      sample: evb-storage
    mtu:
      description: Largest packet of the VMs in bytes.
      type: int
      returned: when present
      sample: 1450
    links:
      description:
        - The links of the network, with C(name), C(kind), C(mac), C(mtu), C(up) and C(master); of a VXLAN also C(vni), C(underlay),
          C(local), C(group), C(port) and C(software_checksums), of a VLAN C(vlan_id), C(vlan_protocol) and C(underlay).
        - A bridge has C(vlan_filtering), and a port of one that tells VLANs apart C(vlans), as C(bridge vlan) shows them.
      type: list
      elements: dict
      returned: when present
      sample: [{"name": "evb-storage", "kind": "bridge", "mac": "06:00:5e:00:53:01", "mtu": 1450, "up": true, "master": null}]
    peers:
      description: The addresses of other hosts to which the VXLAN floods.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.12, 192.0.2.13]
    ports:
      description: The ports of the bridge that are no links of the network, such as those of VMs.
      type: list
      elements: str
      returned: when present
      sample: [vnet0]
    boot:
      description: The definition by which the network is made at boot. Null if it is not.
      type: dict
      returned: when present
      sample: {"name": "storage", "type": "vxlan", "vni": 100, "underlay": "eth0"}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Add the bridge evb-storage for the network storage, Add the vxlan evx-storage for the network storage]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual import bridged, evpn
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import NETWORK, Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.state import Networks
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = Wanted.checked(module.params)
    net = Networking(ModuleRunner(module), PLACES)
    plan, after = reconcile(net, [wanted], check=module.check_mode)
    for warning in (*bridged.warnings(net.runner, PLACES.bridge_sysctls), *evpn.warnings([wanted], PLACES.bgpd)):
        module.warn(warning)

    def view(networks: Networks) -> dict[str, Any]:
        return networks[wanted.name].view()

    return plan_result(plan, view, "network", after)


def main() -> None:
    run_module(run, argument_spec=NETWORK, required_if=[("state", "present", ["type"])])


if __name__ == "__main__":
    main()
