# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter edge.cloud.cluster_removal."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_removal
short_description: Whether a cluster may be taken off its hosts
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Decides from what M(edge.cloud.cluster_membership_info) says of all hosts whether a cluster of Corosync and Pacemaker may be
    taken off them. It may if no other host is in it and Pacemaker has no resources. The role C(cluster) does it.
  - If it may not, the result has the reason.
positional: names, seen
options:
  _input:
    description: Name of the cluster.
    type: str
    required: true
  names:
    description: Name in the cluster of each host, by its name in the inventory.
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
- name: Decide whether the cluster may go
  ansible.builtin.set_fact:
    removal: "{{ 'site1' | edge.cloud.cluster_removal({'edge1': 'edge1'}, {'edge1': seen.membership}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(refused) is the reason why it may not go, or empty. C(hosts) are the names of the hosts that have something of it, and
      C(clean) those that have nothing of any cluster once it is gone, so that their packages may go.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._availability.removal import decide


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[[str, Mapping[str, str], Mapping[str, Any]], dict[str, Any]]]:
        """Return the filter."""
        return {"cluster_removal": decide}
