#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the public addresses of VMs of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: public_address_info
short_description: List the public addresses of VMs of a host
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the public addresses that M(edge.cloud.public_address) gave VMs on this host, and whether they are in effect.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  address:
    description:
      - Only this one. Left out, all.
    type: str
requirements:
  - iproute2
  - nftables
  - procps
seealso:
  - module: edge.cloud.public_address
"""

EXAMPLES = r"""
- name: Read all public addresses
  edge.cloud.public_address_info:
  register: found

- name: Show those that are not in effect
  ansible.builtin.debug:
    msg: "{{ found.public_addresses | rejectattr('in_effect') | map(attribute='address') }}"
"""

RETURN = r"""
public_addresses:
  description: The addresses, sorted, each as RV(edge.cloud.public_address#module:public_address).
  returned: success
  type: list
  elements: dict
  sample: [{"address": "203.0.113.10", "state": "present", "mode": "routed", "vm": "web", "in_effect": true}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.public.definition import public
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Addresses, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.public.reconcile import listing
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()


def run(module: AnsibleModule) -> dict[str, Any]:
    asked = module.params["address"]
    found = listing(Addresses(ModuleRunner(module), PLACES), str(public(asked)) if asked is not None else None)
    return {"changed": False, "public_addresses": found}


def main() -> None:
    run_module(run, argument_spec={"address": {"type": "str"}})


if __name__ == "__main__":
    main()
