#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage many virtual networks of a host in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_networks
short_description: Manage many virtual networks of a host in one task
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Makes many networks, each as M(edge.cloud.virtual_network) does. The host is read once, and all networks are made by one batch
    of commands, however many they are.
  - All networks are checked, alone and against each other, before anything is changed. If one of them has an error, nothing is
    changed, and the task fails with the errors of all.
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  networks:
    description:
      - The networks. Each takes every option of M(edge.cloud.virtual_network), and C(name) is required. No two may have the
        same name.
      - A network that is not listed stays as it is.
    type: list
    elements: dict
    required: true
  defaults:
    description:
      - Options of M(edge.cloud.virtual_network) for each of O(networks) that does not have them itself, except C(name).
      - An option of a network replaces the whole default of that name, lists too.
    type: dict
    default: {}
requirements:
  - iproute2
seealso:
  - module: edge.cloud.virtual_network
  - module: edge.cloud.virtual_network_info
"""

EXAMPLES = r"""
- name: Have the networks of the cluster on each of its hosts
  edge.cloud.virtual_networks:
    defaults:
      type: vxlan
      underlay: eth0
      members: [192.0.2.11, 192.0.2.12, 192.0.2.13]
    networks:
      - name: private
        vni: 100
      - name: management
        vni: 101
      - name: storage
        type: vlan
        vlan_id: 20
        underlay: eth1
        members: []
      - name: old
        state: absent
"""

RETURN = r"""
networks:
  description: The networks after the run, in check mode as predicted, in the order of O(networks).
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
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual import bridged, evpn
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import NETWORK
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import checked, reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.state import Networks
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()
OF_ONE = ArgumentSpecValidator(NETWORK, required_if=[("state", "present", ["type"])])


def complete(place: int, given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the options of one network over the defaults, with the types that virtual_network's have."""
    found = OF_ONE.validate({**defaults, **{key: value for key, value in given.items() if value is not None}})
    if found.error_messages:
        path = f"networks[{place}]"
        raise InvalidInput(f"{path}: {'; '.join(found.error_messages)}", option=path)
    options: dict[str, Any] = found.validated_parameters
    return options


def run(module: AnsibleModule) -> dict[str, Any]:
    defaults = module.params["defaults"]
    misplaced = sorted(key for key in defaults if key == "name" or key not in NETWORK)
    if misplaced:
        raise InvalidInput(f"defaults: {', '.join(misplaced)} cannot be a default of networks.", option="defaults", value=misplaced)
    items = [complete(place, one, defaults) for place, one in enumerate(module.params["networks"])]
    wanted = checked(items, "networks")
    net = Networking(ModuleRunner(module), PLACES)
    plan, after = reconcile(net, wanted, check=module.check_mode)
    for warning in (*bridged.warnings(net.runner, PLACES.bridge_sysctls), *evpn.warnings(wanted, PLACES.bgpd)):
        module.warn(warning)

    def view(networks: Networks) -> dict[str, Any]:
        return {one.name: networks[one.name].view() for one in wanted}

    shown = view(plan.after if after is None else after)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "networks": list(shown.values())}


def main() -> None:
    run_module(
        run,
        free={"networks": NETWORK, "defaults": NETWORK},
        argument_spec={
            "networks": {"type": "list", "elements": "dict", "required": True},
            "defaults": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
