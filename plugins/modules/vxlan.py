#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a VXLAN link of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vxlan
short_description: Manage a VXLAN link of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Makes one VXLAN between hosts, without a bridge, for example for an address of this host, or as a port of M(edge.cloud.bridge).
    For VMs, M(edge.cloud.virtual_network) makes a VXLAN with its bridge.
  - It is made now, and at each boot by C(edge-networks.service) from C(/etc/edge/networks.json), as virtual networks are.
  - Addresses and the master of the link are left alone. Have them in the network configuration of the host.
  - The link bears the mark C(edge.cloud network NAME) as its alias. A link without it is never changed or removed.
  - M(edge.cloud.virtual_network_info) lists it.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.virtual_network.link
  - edge.cloud.virtual_network.vxlan
options:
  vni:
    description:
      - Identifier of the VXLAN, 1 to 16777215. No other link or network of the host may have it on the same O(port).
      - Required with O(state=present).
    type: int
  underlay:
    description:
      - The link with this host's address, be it a network card, a VLAN of it, a bridge or WireGuard.
      - Required with O(state=present).
    type: str
  flood:
    description:
      - V(static), the default, sends such frames to each of O(members), and needs no multicast between the hosts.
      - V(multicast) sends them to O(group). It cannot be used over WireGuard.
      - V(evpn) leaves the link's forwarding table to FRR, which learns by BGP EVPN where to send them (role C(evpn)). The
        underlay must be IPv4, and the link is to be a port of a bridge.
    type: str
    choices: [static, multicast, evpn]
  local:
    description:
      - This host's address on O(underlay). Without it, the one in O(members) is taken, or the only one, or the only one in
        the subnet of a member.
    type: str
  mtu:
    description:
      - Largest packet in bytes. Left out, it is the MTU of O(underlay) less 50 over IPv4, 70 over IPv6, and follows that. More is
        refused.
    type: int
  allow_disruption:
    description:
      - Allow to remove a link that is used, or to replace it because O(vni), O(underlay), O(local), O(group) or O(port) is
        another one. Addresses on it and links upon it are then lost.
    type: bool
    default: false
seealso:
  - module: edge.cloud.vlan
  - module: edge.cloud.virtual_network
  - module: edge.cloud.virtual_network_info
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Have a layer 2 between two hosts, with the same task on each
  edge.cloud.vxlan:
    name: cluster0
    vni: 20
    underlay: eth0
    members: [192.0.2.11, 192.0.2.12]

- name: Remove it
  edge.cloud.vxlan:
    name: cluster0
    state: absent
"""

RETURN = r"""
link:
  description: The link after the run, in check mode as predicted. Only C(name) and C(state) when absent.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: always
      sample: cluster0
    state:
      description: V(present), or V(absent) if the host has neither the link nor a definition of it.
      type: str
      returned: always
      sample: present
    kind:
      description: The kind of the link.
      type: str
      returned: when it is there now
      sample: vxlan
    mac:
      description:
        - MAC address of the link, the same at each run and boot, and another one on each host.
        - As a port of a bond it has that of the bond.
      type: str
      returned: when it is there now
      sample: "06:00:5e:00:53:01"
    mtu:
      description: Largest packet in bytes.
      type: int
      returned: when it is there now
      sample: 1450
    up:
      description: Whether the link is set up.
      type: bool
      returned: when it is there now
      sample: true
    master:
      description: The bridge or bond of which it is a port. Null if there is none.
      type: str
      returned: when it is there now
      sample: br-cluster
    vni:
      description: Identifier of the VXLAN.
      type: int
      returned: when it is there now
      sample: 20
    underlay:
      description: The link that carries it.
      type: str
      returned: when it is there now
      sample: eth0
    local:
      description: The address of this host from which it sends.
      type: str
      returned: when it is there now
      sample: 192.0.2.11
    group:
      description: The multicast group to which it floods.
      type: str
      returned: when it is there now and floods to one
      sample: 239.1.2.3
    port:
      description: UDP port.
      type: int
      returned: when it is there now
      sample: 4789
    learning:
      description: Whether it learns behind which host an address is.
      type: bool
      returned: when it is there now
      sample: true
    software_checksums:
      description: Whether this host computes the checksums of what is sent.
      type: bool
      returned: when it is there now
      sample: false
    peers:
      description: The addresses of other hosts to which it floods.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.12]
    boot:
      description: The definition by which the link is made at boot. Null if it is not.
      type: dict
      returned: when present
      sample: {"name": "cluster0", "type": "vxlan", "vni": 20, "underlay": "eth0", "bare": true}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Add the vxlan cluster0, Make cluster0 at boot]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Wanted, link_options
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.state import Networks
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = Wanted.link("vxlan", module.params)
    plan, after = reconcile(Networking(ModuleRunner(module), PLACES), [wanted], check=module.check_mode)

    def view(networks: Networks) -> dict[str, Any]:
        return networks[wanted.name].link_view()

    return plan_result(plan, view, "link", after)


def main() -> None:
    run_module(run, argument_spec=link_options("vxlan"), required_if=[("state", "present", ["vni", "underlay"])])


if __name__ == "__main__":
    main()
