#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that the paths between the hosts of a VXLAN network carry its packets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_network_path
short_description: Verify that the paths between the hosts of a VXLAN network carry its packets
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Sends packets from this host to each other member of its VXLAN networks, as large as the networks need them and such that
    nothing on the way may cut them in pieces. Only this shows a switch or tunnel on the way that carries less than the links of the
    hosts say.
  - The task fails if a member answers smaller packets only. The message has both hosts, the size that is needed and the size that
    the path carries, to the byte, and what to do. A member that answers nothing is an error of its own.
  - Each host verifies its own paths, so run this on all hosts of a network. A packet and its answer have the same size, so a path
    that is narrower on the way back is found as well.
  - It reads only. The packets are ICMP echo requests, which firewalls between the hosts have to pass.
  - In messages and results, hosts have the names of the inventory, found by C(ansible_host) and by the facts of their addresses.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  names:
    description:
      - Verify only these networks of the host, whose type is V(vxlan). Left out, all of that type.
    type: list
    elements: str
  networks:
    description:
      - Verify networks of these definitions instead, for instance before they are made. Each takes the options of
        M(edge.cloud.virtual_network). Those that are no VXLAN, or absent, are left out.
    type: list
    elements: dict
  hosts:
    description:
      - Names of hosts by their addresses, over those that the inventory gives.
    type: dict
    default: {}
  host:
    description:
      - Name of this host, by default that of the inventory.
    type: str
  timeout:
    description:
      - Seconds after which the probes end, however many members there are. All members are probed at once. If every path is wide
        enough, they end with the last answer; a narrow path takes about six seconds, and a member that does not answer all of them.
      - 1 to 600.
    type: int
    default: 15
requirements:
  - iproute2
  - root
seealso:
  - module: edge.cloud.virtual_network
  - module: edge.cloud.virtual_networks
"""

EXAMPLES = r"""
- name: Verify the paths of all VXLAN networks of the hosts
  edge.cloud.virtual_network_path:

- name: Verify a path before a network is made on it
  edge.cloud.virtual_network_path:
    networks:
      - name: private
        type: vxlan
        vni: 100
        underlay: eth0
        members: [192.0.2.11, 192.0.2.12]
        mtu: 1400
"""

RETURN = r"""
paths:
  description: The paths, in a failure too, there under C(error).
  returned: success
  type: list
  elements: dict
  contains:
    networks:
      description: The networks that use the path.
      type: list
      elements: str
      returned: always
      sample: [private]
    underlay:
      description: The link by which packets leave this host.
      type: str
      returned: always
      sample: eth0
    source:
      description: The address of this host.
      type: str
      returned: always
      sample: 192.0.2.11
    member:
      description: The address of the other host.
      type: str
      returned: always
      sample: 192.0.2.12
    host:
      description: The name of the other host, or null where its address is not known.
      type: str
      returned: always
      sample: host-b
    needed:
      description:
        - The largest IP packet that the networks send on this path, in bytes. It is their MTU and 50 for VXLAN, 70 over IPv6.
      type: int
      returned: always
      sample: 1500
    carried:
      description: The largest one, up to RV(paths[].needed), that was answered. Null if none was.
      type: int
      returned: always
      sample: 1500
    exact:
      description: False if O(timeout) ended the search before RV(paths[].carried) was known to the byte.
      type: bool
      returned: always
      sample: true
unverified:
  description: The networks of which no other member is known, such as those of a multicast group of which nothing was heard yet.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._network.path.verify import Names, recorded, verify
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import NETWORK, Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import checked
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

PLACES = Places()
OF_ONE = ArgumentSpecValidator(NETWORK, required_if=[("state", "present", ["type"])])
SECONDS = (1, 600)


def defined(items: list[dict[str, Any]]) -> list[Wanted]:
    """Return the networks of definitions that users gave."""
    for place, item in enumerate(items):
        found = OF_ONE.validate(item)
        if found.error_messages:
            path = f"networks[{place}]"
            raise InvalidInput(f"{path}: {'; '.join(found.error_messages)}", option=path)
        items[place] = found.validated_parameters
    return checked(items, "networks")


def run(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    if not SECONDS[0] <= given["timeout"] <= SECONDS[1]:
        message = f"timeout: {given['timeout']} is out of range; use {SECONDS[0]} to {SECONDS[1]} seconds."
        raise InvalidInput(message, option="timeout", value=given["timeout"])
    net = Networking(ModuleRunner(module), PLACES)
    asked = recorded(net, given["names"]) if given["networks"] is None else defined(given["networks"])
    names = Names.checked(given["hosts"], given["host"])
    return {"changed": False, **verify(net, asked, names, given["timeout"])}


def main() -> None:
    run_module(
        run,
        free={"networks": NETWORK},
        mutually_exclusive=[("names", "networks")],
        argument_spec={
            "names": {"type": "list", "elements": "str"},
            "networks": {"type": "list", "elements": "dict"},
            "hosts": {"type": "dict", "default": {}},
            "host": {"type": "str"},
            "timeout": {"type": "int", "default": 15},
        },
    )


if __name__ == "__main__":
    main()
