#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a Linux bridge."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Manage a Linux bridge
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Creates, changes in place and removes a bridge of the running kernel, and optionally the files that create it at boot.
  - Only what is given is changed. A field that is left out stays as it is, ports of VMs (tap devices) are never removed,
    and addresses that come from DHCP or router advertisements are left alone.
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  name:
    description:
      - Name of the bridge, 1 to 15 letters, digits, C(_), C(.) or C(-).
    type: str
    required: true
  state:
    description:
      - V(present) creates the bridge and sets it up.
      - V(absent) removes it and its boot files. Its ports stay as links without a bridge, and if it has exactly one, that
        gets its addresses and routes.
        It is refused while VMs are attached or the host's default route leads over it, unless O(allow_disruption=true).
    type: str
    choices: [present, absent]
    default: present
  ports:
    description:
      - The links that are ports of the bridge, exactly these. Ports of VMs do not count.
      - A link that has addresses or routes is refused unless O(allow_disruption=true), and its addresses and routes then
        move to the bridge in one batch, without a moment in which the host lacks them, with all attributes that they have.
      - What cannot move whole is refused before anything is changed, such as a route with several next hops, a rule of policy
        routing that names the link, an address from DHCP, or a macvlan upon the link.
      - Left out, the ports stay as they are.
    type: list
    elements: str
  addresses:
    description:
      - The static addresses of the bridge with prefix length, exactly these, IPv4 or IPv6.
      - Removing the address over which the host's default route leads is refused unless O(allow_disruption=true).
      - Left out, the addresses stay as they are.
    type: list
    elements: str
  mtu:
    description:
      - Largest packet in bytes, 68 to 65535. Without it a new bridge takes the smallest of its ports.
    type: int
  mac:
    description:
      - MAC address of the bridge. Without it a new bridge takes the lowest of its ports, and with O(boot=networkd) keeps it.
    type: str
  stp:
    description:
      - Whether the bridge speaks the Spanning Tree Protocol. Without it a new bridge does not.
    type: bool
  forward_delay:
    description:
      - Seconds that a port listens and learns before it forwards, 0 to 30, with O(stp=true) 2 to 30.
        Without it a new bridge has the kernel's 15.
    type: float
  boot:
    description:
      - V(networkd) writes files for systemd-networkd that create the bridge at boot as it is now, with its ports, static addresses
        and routes, its MAC address, and its MTU if given. This does not touch the running bridge.
      - It is refused where another file in any folder of systemd-networkd, also in C(/run) and C(/usr/lib), matches the bridge or
        a port and comes first by its name, or cannot be read or judged; where systemd-networkd does not start at boot; and where
        ifupdown or NetworkManager configures one of them. Then leave it out and configure the bridge there.
      - Boot waits for the bridge to be online only if the host's default route leads over it.
      - V(none) removes such files.
      - Left out, the files stay as they are.
    type: str
    choices: [networkd, none]
  boot_directory:
    description:
      - The folder of the boot files. Any other folder than the default must exist; use it to prepare an image.
    type: path
    default: /etc/systemd/network
  allow_disruption:
    description:
      - Allow a change that moves or cuts addresses and routes of the host, or cuts off VMs.
    type: bool
    default: false
requirements:
  - iproute2
seealso:
  - module: edge.cloud.bridge_info
  - module: edge.cloud.nat_network
"""

EXAMPLES = r"""
- name: Give VMs a bridge on the second network card, now and after a reboot
  edge.cloud.bridge:
    name: br-private
    ports: [eth1]
    mtu: 9000
    boot: networkd

- name: Move the host's own addresses and routes from its only network card to a bridge
  edge.cloud.bridge:
    name: br-public
    ports: [eth0]
    boot: networkd
    allow_disruption: true

- name: Have a bridge without ports that only this host and its VMs use
  edge.cloud.bridge:
    name: br-local
    ports: []
    addresses: [192.0.2.1/24, 2001:db8:1::1/64]
    forward_delay: 0

- name: Remove it
  edge.cloud.bridge:
    name: br-local
    state: absent
"""

RETURN = r"""
bridge:
  description: The bridge after the run, in check mode as predicted. Only RV(bridge.state) and RV(bridge.boot_files) when absent.
  returned: success
  type: dict
  contains:
    state:
      description: V(present) or V(absent).
      type: str
      returned: always
      sample: present
    name:
      description: Name of the bridge.
      type: str
      returned: when present
      sample: br-private
    up:
      description: Whether the bridge is set up.
      type: bool
      returned: when present
      sample: true
    mtu:
      description: Largest packet in bytes. Null in check mode for a new bridge without the option.
      type: int
      returned: when present
      sample: 9000
    mac:
      description: MAC address. Null in check mode for a new bridge without the option.
      type: str
      returned: when present
      sample: "52:54:00:12:34:56"
    stp:
      description: Whether the bridge speaks the Spanning Tree Protocol.
      type: bool
      returned: when present
      sample: false
    forward_delay:
      description: Seconds before a port forwards.
      type: float
      returned: when present
      sample: 15.0
    vlan_filtering:
      description: Whether the bridge filters VLANs.
      type: bool
      returned: when present
      sample: false
    ports:
      description: Its ports, without those of VMs.
      type: list
      elements: str
      returned: when present
      sample: [eth1]
    vm_ports:
      description: Its ports that belong to VMs.
      type: list
      elements: str
      returned: when present
      sample: [vnet0]
    addresses:
      description: Its static addresses.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.1/24]
    boot_files:
      description: Name and text of its boot files.
      type: dict
      returned: always
      sample: {}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: [Add the bridge br-private, Set the bridge br-private up, Attach eth1 to the bridge br-private]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.managers import Managers
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.networkd import Networkd
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.plan import BridgeRequest
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.steps import BridgeState
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = BridgeRequest.checked(module.params)
    runner = ModuleRunner(module)
    ip, networkd = IpRoute(runner), Networkd(Path(module.params["boot_directory"]), Managers(runner))
    plan, observed = reconcile(ip, networkd, wanted, check=module.check_mode)

    def owned(state: BridgeState) -> dict[str, Any]:
        return {key: value for key, value in state.view().items() if key in wanted.owned or not wanted.present}

    return {**plan_result(plan, owned, "bridge"), "bridge": (observed or plan.after).view()}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "ports": {"type": "list", "elements": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "mtu": {"type": "int"},
            "mac": {"type": "str"},
            "stp": {"type": "bool"},
            "forward_delay": {"type": "float"},
            "boot": {"type": "str", "choices": ["networkd", "none"]},
            "boot_directory": {"type": "path", "default": "/etc/systemd/network"},
            "allow_disruption": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
