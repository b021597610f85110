#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a public address of a VM on its host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: public_address
short_description: Manage a public address of a VM on its host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Has this host pass a public address on to a NIC of one of its VMs, now and at each boot. The VM may be in any virtual network,
    also in one that reaches no other host.
  - On the uplink the host answers ARP or neighbour solicitations for the address, and says by gratuitous ARP or an unsolicited
    neighbour advertisement that it is here. So an address moves to another host with one task on each, V(absent) on the old one
    and V(present) on the new one.
  - Only the NIC that an address belongs to can send from it. Frames of others with the address are dropped before the bridge
    learns from them, and nothing is forwarded from the bridge whose sender is not known to be there.
  - The guest uses C(169.254.1.1), or C(fe80::a9fe:101) for IPv6, as its gateway. Each host answers its own guests for it.
  - Routes and neighbours bear the protocol number C(219), and the tables of nftables are called C(edge_public) and
    C(edge_public_nat). Nothing else is ever changed.
  - All that can be wrong is found before anything is changed.
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  address:
    description:
      - The public address, IPv4 or IPv6.
    type: str
    required: true
  state:
    description:
      - V(present) has the host pass it on, V(absent) takes all of it away.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(routed) routes the address to the guest, which has it on its NIC as a C(/32) or C(/128).
      - V(nat) translates it one to one to O(private_address), which the guest has. That is for clouds that only give further
        addresses to a card of the host, and for guests that know nothing of public addresses.
    type: str
    choices: [routed, nat]
    default: routed
  bridge:
    description:
      - The bridge that the NIC is on, RV(edge.cloud.virtual_network#module:network.bridge). V(present) needs it.
    type: str
  tap:
    description:
      - The tap device of the NIC, which need not be there yet. V(present) needs it.
    type: str
  mac:
    description:
      - The MAC address of the NIC. V(present) needs it.
    type: str
  private_address:
    description:
      - The address that the guest has in its network. O(mode=nat) needs it.
    type: str
  uplink:
    description:
      - The link by which the host reaches the others that use the address. Left out, it is that of the default route.
    type: str
  vm:
    description:
      - The name of the VM, for messages and lists only.
    type: str
notes:
  - The host must forward packets. IPv4 needs C(net.ipv4.ip_forward), IPv6 needs C(net.ipv6.conf.all.forwarding). The module does
    not switch them on, since that concerns the whole host.
  - For an IPv6 address the module switches C(proxy_ndp) of the uplink on, now and by
    C(/etc/sysctl.d/80-edge-public-addresses.conf), and off again with the last one.
  - Connections that O(mode=nat) translates already are translated until they end.
requirements:
  - iproute2
  - nftables
  - procps
seealso:
  - module: edge.cloud.public_address_info
  - module: edge.cloud.virtual_network
"""

EXAMPLES = r"""
- name: Have a VM answer at a public address
  edge.cloud.public_address:
    address: 203.0.113.10
    bridge: evb-private
    tap: evt-jlr4xa2mzqe
    mac: "52:54:00:12:34:56"
    vm: web

- name: Translate a further address of the card to the address that a VM has
  edge.cloud.public_address:
    address: 203.0.113.11
    mode: nat
    private_address: 198.51.100.20
    bridge: evb-private
    tap: evt-5ayq3dtb2ko
    mac: "52:54:00:12:34:57"
    vm: mail

- name: Take an address away
  edge.cloud.public_address:
    address: 203.0.113.10
    state: absent
"""

RETURN = r"""
public_address:
  description: The address after the run, in check mode as predicted. Only C(address) and C(state) when absent.
  returned: success
  type: dict
  contains:
    address:
      description: The public address.
      type: str
      returned: always
      sample: 203.0.113.10
    state:
      description: V(present) or V(absent).
      type: str
      returned: always
      sample: present
    mode:
      description: V(routed) or V(nat).
      type: str
      returned: when present
      sample: routed
    bridge:
      description: The bridge of the NIC.
      type: str
      returned: when present
      sample: evb-private
    tap:
      description: Its tap device.
      type: str
      returned: when present
      sample: evt-jlr4xa2mzqe
    mac:
      description: Its MAC address.
      type: str
      returned: when present
      sample: "52:54:00:12:34:56"
    private_address:
      description: The address of the guest in its network, null when routed.
      type: str
      returned: when present
      sample: 198.51.100.20
    uplink:
      description: The link on which the host answers for the address, null where none is known now.
      type: str
      returned: when present
      sample: eth0
    vm:
      description: The name of the VM, or null.
      type: str
      returned: when present
      sample: web
    in_effect:
      description: Whether the host has all that it needs for it now.
      type: bool
      returned: when present
      sample: true
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Change the filter of 203.0.113.10, Have 203.0.113.10 at boot]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.public.definition import SPEC, Definition, public
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Addresses, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.public.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.public.state import State
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.bridged import warnings
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    address = str(public(module.params["address"]))
    wanted = None if module.params["state"] == "absent" else Definition.checked(module.params)
    host = Addresses(ModuleRunner(module), PLACES)
    plan, after = reconcile(host, address, wanted, check=module.check_mode)
    for warning in warnings(host.runner, PLACES.bridge_sysctls) if wanted else ():
        module.warn(warning)
    return plan_result(plan, State.view, "public_address", after)


def main() -> None:
    run_module(
        run,
        argument_spec=SPEC,
        required_if=[("state", "present", ["bridge", "tap", "mac"])],
    )


if __name__ == "__main__":
    main()
