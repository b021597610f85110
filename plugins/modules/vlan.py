#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage an 802.1Q link of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vlan
short_description: Manage an 802.1Q link of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Makes one VLAN of a link, without a bridge, for example for an address of this host, as a port of M(edge.cloud.bridge), or to
    carry a VXLAN. For VMs, M(edge.cloud.virtual_network) makes a VLAN with its bridge.
  - It is made now, and at each boot by C(edge-networks.service) from C(/etc/edge/networks.json), as virtual networks are.
  - Addresses and the master of the link are left alone. Have them in the network configuration of the host.
  - The link bears the mark C(edge.cloud network NAME) as its alias. A link without it is never changed or removed.
  - M(edge.cloud.virtual_network_info) lists it.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.virtual_network.link
options:
  vlan_id:
    description:
      - Identifier of the VLAN, 1 to 4094. No other link or network of the host may have it on the same O(underlay).
      - Required with O(state=present).
    type: int
  vlan_protocol:
    description:
      - V(802.1Q), the default, is the tag that switches expect of a trunk. V(802.1ad) is the outer tag of Q-in-Q, to be the
        O(underlay) of other VLANs.
    type: str
    choices: [802.1Q, 802.1ad]
  underlay:
    description:
      - The link that carries the VLAN, set up and with a layer 2, such as a network card, a bond or a bridge.
      - Required with O(state=present).
    type: str
  mtu:
    description:
      - Largest packet in bytes. Left out, it is the MTU of O(underlay), or 4 less if there is a tunnel or a VLAN below already, and
        follows that. More is refused.
    type: int
  allow_disruption:
    description:
      - Allow to remove a link that is used, or to replace it because O(vlan_id), O(vlan_protocol) or O(underlay) is another
        one. Addresses on it and links upon it are then lost.
    type: bool
    default: false
seealso:
  - module: edge.cloud.vxlan
  - module: edge.cloud.virtual_network
  - module: edge.cloud.virtual_network_info
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Have VLAN 20 of a card as a link of its own
  edge.cloud.vlan:
    name: storage0
    vlan_id: 20
    underlay: eth1

- name: Have VLAN 5 within the VLAN 100 of a provider
  edge.cloud.vlan:
    name: "{{ item.name }}"
    vlan_id: "{{ item.vlan_id }}"
    vlan_protocol: "{{ item.vlan_protocol }}"
    underlay: "{{ item.underlay }}"
  loop:
    - {name: provider0, vlan_id: 100, vlan_protocol: 802.1ad, underlay: eth1}
    - {name: inner0, vlan_id: 5, vlan_protocol: 802.1Q, underlay: provider0}

- name: Remove it
  edge.cloud.vlan:
    name: storage0
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
      sample: storage0
    state:
      description: V(present), or V(absent) if the host has neither the link nor a definition of it.
      type: str
      returned: always
      sample: present
    kind:
      description: The kind of the link.
      type: str
      returned: when it is there now
      sample: vlan
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
      sample: 1500
    up:
      description: Whether the link is set up.
      type: bool
      returned: when it is there now
      sample: true
    master:
      description: The bridge or bond of which it is a port. Null if there is none.
      type: str
      returned: when it is there now
      sample: br-storage
    vlan_id:
      description: Identifier of the VLAN.
      type: int
      returned: when it is there now
      sample: 20
    vlan_protocol:
      description: The kind of its tag.
      type: str
      returned: when it is there now
      sample: 802.1Q
    underlay:
      description: The link that carries it.
      type: str
      returned: when it is there now
      sample: eth1
    boot:
      description: The definition by which the link is made at boot. Null if it is not.
      type: dict
      returned: when present
      sample: {"name": "storage0", "type": "vlan", "vlan_id": 20, "vlan_protocol": "802.1Q", "underlay": "eth1", "bare": true}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Add the vlan storage0, Make storage0 at boot]
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
    wanted = Wanted.link("vlan", module.params)
    plan, after = reconcile(Networking(ModuleRunner(module), PLACES), [wanted], check=module.check_mode)

    def view(networks: Networks) -> dict[str, Any]:
        return networks[wanted.name].link_view()

    return plan_result(plan, view, "link", after)


def main() -> None:
    run_module(run, argument_spec=link_options("vlan"), required_if=[("state", "present", ["vlan_id", "underlay"])])


if __name__ == "__main__":
    main()
