#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the bridges of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_info
short_description: List the bridges of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the bridges of the running kernel with their ports, addresses and boot files.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  name:
    description:
      - Only the bridge of this name. Left out, all bridges.
    type: str
  boot_directory:
    description:
      - The folder of the boot files.
    type: path
    default: /etc/systemd/network
requirements:
  - iproute2
seealso:
  - module: edge.cloud.bridge
"""

EXAMPLES = r"""
- name: Read all bridges
  edge.cloud.bridge_info:
  register: found

- name: Show which VMs' ports each one has
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.vm_ports | join(', ') }}"
  loop: "{{ found.bridges }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
bridges:
  description: The bridges, sorted by name.
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
      description: Name of the bridge.
      type: str
      returned: always
      sample: br-private
    up:
      description: Whether the bridge is set up.
      type: bool
      returned: always
      sample: true
    mtu:
      description: Largest packet in bytes.
      type: int
      returned: always
      sample: 1500
    mac:
      description: MAC address.
      type: str
      returned: always
      sample: "52:54:00:12:34:56"
    stp:
      description: Whether the bridge speaks the Spanning Tree Protocol.
      type: bool
      returned: always
      sample: false
    forward_delay:
      description: Seconds before a port forwards.
      type: float
      returned: always
      sample: 15.0
    vlan_filtering:
      description: Whether the bridge filters VLANs.
      type: bool
      returned: always
      sample: false
    ports:
      description: Its ports, without those of VMs.
      type: list
      elements: str
      returned: always
      sample: [eth1]
    vm_ports:
      description: Its ports that belong to VMs.
      type: list
      elements: str
      returned: always
      sample: [vnet0]
    addresses:
      description: Its static addresses.
      type: list
      elements: str
      returned: always
      sample: [192.0.2.1/24]
    boot_files:
      description: Name and text of its boot files that M(edge.cloud.bridge) wrote.
      type: dict
      returned: always
      sample: {}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.networkd import Networkd
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.reconcile import listing
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner


def run(module: AnsibleModule) -> dict[str, Any]:
    ip, networkd = IpRoute(ModuleRunner(module)), Networkd(Path(module.params["boot_directory"]))
    return {"changed": False, "bridges": listing(ip, networkd, module.params["name"])}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str"},
            "boot_directory": {"type": "path", "default": "/etc/systemd/network"},
        },
    )


if __name__ == "__main__":
    main()
