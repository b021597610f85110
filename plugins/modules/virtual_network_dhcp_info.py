#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the DHCP services of virtual networks of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_dhcp_info
short_description: List the DHCP services of virtual networks of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the services that M(edge.cloud.virtual_network_dhcp) made on this host, and whether they are whole.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  name:
    description:
      - Only the service of this network. Left out, all.
    type: str
requirements:
  - iproute2
  - nftables
  - systemd
seealso:
  - module: edge.cloud.virtual_network_dhcp
"""

EXAMPLES = r"""
- name: Read all services
  edge.cloud.virtual_network_dhcp_info:
  register: found

- name: Show those that do not run
  ansible.builtin.debug:
    msg: "{{ found.services | rejectattr('running') | map(attribute='name') }}"
"""

RETURN = r"""
services:
  description: The services, sorted by the name of their network, each as RV(edge.cloud.virtual_network_dhcp#module:service).
  returned: success
  type: list
  elements: dict
  sample: [{"state": "present", "name": "private", "running": true, "current": true, "filtered": true}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.host import Services
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import Places
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.reconcile import listing
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    return {"changed": False, "services": listing(Services(ModuleRunner(module), PLACES), module.params["name"])}


def main() -> None:
    run_module(run, argument_spec={"name": {"type": "str"}})


if __name__ == "__main__":
    main()
