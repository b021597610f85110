#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage the bridge over the link that carries the host's own address."""

from __future__ import annotations

DOCUMENTATION = r"""
module: uplink
short_description: Manage the bridge over the link that carries the host's own address
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Makes a bridge whose port is the link that the host is reached by, so that VMs get addresses of that network, now and at boot,
    in the files of the program that configures the link. A wrong step cannot lock you out.
  - The change is first tried in the running system only, while a timer of systemd on the host waits to undo it. It is confirmed
    over a fresh connection from the controller; the gateway has to answer as before, and all addresses have to be there. Only then
    boot files are written, each whole, the one that counts last. Without a confirmation the host undoes the change by itself.
  - A power cut or reboot before the confirmation boots the old network.
  - The bridge takes the MAC address of its port, so that a DHCP server gives it the same lease.
  - ifupdown, systemd-networkd and netplan with systemd-networkd are supported, over network cards, bonds and VLANs.
    NetworkManager is refused.
  - It is refused over a card of Amazon EC2, Microsoft Azure, DigitalOcean or Hetzner Cloud, whose networks have no layer 2 and drop
    what comes from the addresses of VMs. The firmware tells which cloud a host is in; C(/etc/edge/cloud) overrides it, with
    V(none) or the name of a cloud without layer 2 as its only line.
extends_documentation_fragment:
  - edge.cloud.attributes
attributes:
  action:
    support: full
    description: The controller confirms a change over a fresh connection.
options:
  name:
    description:
      - Name of the bridge, 1 to 15 letters, digits, C(_), C(.) or C(-).
    type: str
    required: true
  state:
    description:
      - V(present) has the bridge.
      - V(absent) gives addresses and routes back to its port, puts the boot files back as they were, and removes the bridge, on
        trial as well. It is refused while VMs are attached, and where someone edited what this module wrote.
    type: str
    choices: [present, absent]
    default: present
  port:
    description:
      - The link that becomes the port. Left out, that of the host's default route.
    type: str
  rollback_after:
    description:
      - Seconds after which a change that was not confirmed is undone, 10 to 600.
    type: int
    default: 60
  allow_disruption:
    description:
      - Allow the change. The host's connections stay, but with DHCP they pause for some seconds.
    type: bool
    default: false
  fresh:
    description:
      - Whether the connection is one that can be made again. The controller sets it; what a playbook gives is ignored.
    type: bool
    default: true
  token:
    description:
      - Confirms the change that is on trial. The controller sets it; what a playbook gives is ignored.
    type: str
requirements:
  - iproute2
  - systemd
  - python3-yaml, where netplan configures the link
seealso:
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Give VMs the network that the host itself is in
  edge.cloud.uplink:
    name: br-public
    allow_disruption: true

- name: The same over a bond, with more time for a slow switch
  edge.cloud.uplink:
    name: br-public
    port: bond0
    rollback_after: 120
    allow_disruption: true

- name: Give the card its address back
  edge.cloud.uplink:
    name: br-public
    state: absent
    allow_disruption: true
"""

RETURN = r"""
uplink:
  description: The bridge after the run, in check mode as predicted. Only RV(uplink.state) and RV(uplink.boot_files) when absent.
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
      sample: br-public
    port:
      description: The link that is its port.
      type: str
      returned: when present
      sample: eth0
    manager:
      description: The program that configures it at boot, V(ifupdown), V(networkd) or V(netplan).
      type: str
      returned: when present
      sample: ifupdown
    mac:
      description: Its MAC address.
      type: str
      returned: when present
      sample: "52:54:00:12:34:56"
    addresses:
      description: Its static and leased addresses.
      type: list
      elements: str
      returned: when present
      sample: [192.0.2.10/24]
    boot_files:
      description:
        - Path and text of the files with the bridge. Values of settings that may be passwords or keys are hidden, here and in the
          diff, by the names of the settings.
      type: dict
      returned: always
      sample: {}
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Move 192.0.2.10/24 from eth0 to the bridge br-public, on trial"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.model import UplinkRequest, UplinkState
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.reconcile import Uplink
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner


def run(module: AnsibleModule) -> dict[str, Any]:
    wanted = UplinkRequest.checked(module.params)
    uplink = Uplink(ModuleRunner(module))
    if module.params["token"]:
        return {"changed": True, "uplink": uplink.confirm(module.params["token"]).view()}
    plan, token = uplink.run(wanted, check=module.check_mode, fresh=module.params["fresh"])
    result = plan_result(plan, UplinkState.view, "uplink")
    return {**result, "token": token, "seconds": wanted.rollback_after} if token else result


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "port": {"type": "str"},
            "rollback_after": {"type": "int", "default": 60},
            "allow_disruption": {"type": "bool", "default": False},
            "fresh": {"type": "bool", "default": True},
            "token": {"type": "str", "no_log": False},
        },
    )


if __name__ == "__main__":
    main()
