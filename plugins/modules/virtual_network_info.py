#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the virtual networks of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_info
short_description: List the virtual networks of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the virtual networks of a host, as they are now and as they are made at boot.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  name:
    description:
      - Only the network of this name. Left out, all networks.
    type: str
requirements:
  - iproute2
seealso:
  - module: edge.cloud.virtual_network
"""

EXAMPLES = r"""
- name: Read all networks
  edge.cloud.virtual_network_info:
  register: found

- name: Show networks that would be gone after a reboot
  ansible.builtin.debug:
    msg: "{{ found.networks | rejectattr('boot') | map(attribute='name') }}"
"""

RETURN = r"""
networks:
  description: The networks that have links or are made at boot, sorted by name.
  returned: success
  type: list
  elements: dict
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
      description: The module of which it is, V(virtual_network), or V(vlan) or V(vxlan) of a link without a bridge.
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
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.listing import listing
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    return {"changed": False, "networks": listing(Networking(ModuleRunner(module), PLACES), module.params["name"])}


def main() -> None:
    run_module(run, argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
