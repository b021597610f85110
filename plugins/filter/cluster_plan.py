# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter edge.cloud.cluster_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_plan
short_description: How hosts become one cluster, or why not
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Decides from what M(edge.cloud.cluster_membership_info) says of all hosts how they form a cluster of Corosync, or how new ones
    join the one that runs. The role C(cluster) does what it says.
  - What is not possible or not safe is not an error of the filter. The result has the reason, and nothing else.
positional: seen
options:
  _input:
    description:
      - "The cluster: C(cluster) is its name, C(group) has the names of its hosts in the inventory, C(token_ms) is a time-out,
        C(allow_unfenced) and C(allow_without_witness) are booleans, and C(hosts) has C(host), C(name) and C(links) of each host."
    type: dict
    required: true
  seen:
    description:
      - RV(edge.cloud.cluster_membership_info#module:membership) of each host, by its name in the inventory. A host that did
        not answer is left out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say how edge1 would become a cluster
  ansible.builtin.debug:
    msg: "{{ wanted | edge.cloud.cluster_plan({'edge1': seen.membership}) }}"
  vars:
    wanted:
      cluster: site1
      group: [edge1]
      hosts: [{host: edge1, name: edge1, links: [192.0.2.11]}]
      token_ms: 3000
      allow_unfenced: false
      allow_without_witness: false
"""

RETURN = r"""
_value:
  description:
    - C(refused) is the reason why nothing is to be done, or empty. C(actions) are sentences, C(conf) is the text of
      C(corosync.conf), and C(new), C(key_from), C(key_to), C(reload_on) and C(start) are names of hosts.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._availability.membership import decide


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]]:
        """Return the filter."""
        return {"cluster_plan": decide}
