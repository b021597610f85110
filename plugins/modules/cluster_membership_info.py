#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.cluster_membership_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_membership_info
short_description: Tell which cluster of Corosync a host is in
version_added: 0.1.0
description:
  - Reads what the running Corosync says of its cluster, the members that it sees and whether they have quorum, and what the host's
    files say. Both can differ, after an interrupted run or on a host that was off while others changed.
  - The key of the cluster is never shown, only a digest of it, by which hosts are compared.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options: {}
requirements:
  - root
"""

EXAMPLES = r"""
- name: Look at the membership of the cluster
  edge.cloud.cluster_membership_info:
  register: seen

- name: Refuse to go on without quorum
  ansible.builtin.assert:
    that: seen.membership.running is not none and seen.membership.running.quorate
"""

RETURN = r"""
membership:
  description: What the host has.
  returned: success
  type: dict
  contains:
    release: {description: Code name of the distribution's release., type: str, sample: trixie}
    installed: {description: Whether Corosync and Pacemaker are installed., type: bool}
    managed: {description: Whether the role C(cluster) set them up., type: bool}
    addresses: {description: The addresses of the host., type: list, elements: str}
    running:
      description: What the running Corosync has loaded and sees, null if it does not run.
      type: dict
      contains:
        cluster: {description: Name of the cluster., type: str, sample: site1}
        version: {description: Version of the configuration., type: int, sample: 1}
        token: {description: The token's time-out in ms., type: int, sample: 3650}
        nodes: {description: "The members, each with C(id), C(name) and its addresses, C(links).", type: list, elements: dict}
        joined: {description: The C(id) of the members that are there now., type: list, elements: int}
        quorate: {description: Whether they have quorum., type: bool}
    conf: {description: "The same of C(/etc/corosync/corosync.conf), null without one.", type: dict}
    conf_digest: {description: Digest of that file., type: str}
    key: {description: Digest of C(/etc/corosync/authkey)., type: str}
    started_key: {description: Digest of the key with which Corosync started., type: str}
    has_run: {description: Whether Corosync ever ran here., type: bool}
    resources: {description: "How many resources Pacemaker's configuration has, null if that is not known.", type: int}
    cib: {description: "Whether Pacemaker has left a configuration, of whatever cluster.", type: bool}
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._availability.model import view_seen
from ansible_collections.edge.cloud.plugins.module_utils._availability.observe import Observer
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner


def run(module: Any) -> dict[str, Any]:
    return {"changed": False, "membership": view_seen(Observer(ModuleRunner(module)).seen())}


def main() -> None:
    run_module(run, argument_spec={})


if __name__ == "__main__":
    main()
