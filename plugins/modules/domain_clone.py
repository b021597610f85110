#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_clone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_clone
short_description: Make a new VM as a copy of a stopped one
version_added: 0.1.0
description:
  - Makes the domain O(name) with the hardware of O(source) and copies of its disks. It has its own UUID, MAC addresses, variables
    of the firmware and cloud-init seed, with another instance-id, so that cloud-init runs again. The clone is not started;
    M(edge.cloud.domain) starts it, changes it and removes it, as any domain.
  - A clone that is there stays as it is, whatever became of its source since; nothing is copied a second time.
  - The source must be stopped, and cannot start while it is copied. A source that others made needs no adoption; what was not
    adopted of it is not adopted of the clone either.
  - A disk that is an overlay of an image of the host cache is copied as such an overlay, which takes only what the source wrote. A
    disk under snapshots, or over any other file, becomes one qcow2 file without them. Where the file system shares blocks between
    files (XFS, Btrfs), a copy takes no space at first. Elsewhere its holes stay, and its space is reserved before anything is
    written.
  - All of the clone is made in a scratch folder, and has its name and its definition only once it is whole. A run that is
    interrupted leaves nothing that counts as a VM, and the next one goes on from there.
  - Refused for a source with what only one domain can have, such as devices of the host that are passed through, disks on the
    network or on block devices, ports that are files or sockets, and an C(xml_override) or arguments for QEMU itself that name a
    file, an address or the UUID of the source. An emulated TPM is new and empty in the clone. Read-only
    files outside of the folder of the source, such as an ISO file, are shared.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the new domain. Its UUID and MAC addresses are derived from it, and its host name is set to it by cloud-init.
    type: str
    required: true
  source:
    description:
      - The name of the domain that is copied.
    type: str
    required: true
  timeout:
    description:
      - How long to wait for another task that works on one of the two domains, in seconds.
    type: int
    default: 120
seealso:
  - module: edge.cloud.domain
  - module: edge.cloud.domain_disk
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Stop the source
  edge.cloud.domain:
    name: web1
    state: stopped

- name: Have a clone of it
  edge.cloud.domain_clone:
    name: web2
    source: web1

- name: Start the clone with more memory
  edge.cloud.domain:
    name: web2
    memory: 4GiB

- name: Remove the clone with its disks
  edge.cloud.domain:
    name: web2
    state: absent
    delete_disks: true
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Define domain web2, a clone of web1"]
domain:
  description: The clone as it is, or in check mode would be, as M(edge.cloud.domain) returns it, but without addresses.
  returned: success
  type: dict
  sample: {"name": "web2", "state": "stopped", "uuid": "5b0b6d0e-6f1b-5a0e-9a52-3f4d8f6a1c2b"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.reconcile import Cloner
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import peers_of_cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import view
from ansible_collections.edge.cloud.plugins.module_utils._disks.copier import DiskCopier
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    options, runner = module.params, ModuleRunner(module)
    peers = peers_of_cluster()
    with connection(options["uri"]) as opened:
        tool, names = DiskCopier(runner, FOLDERS), (options["name"], options["source"])
        plan, domain = Cloner(opened, tool, runner, FOLDERS, *names, options["timeout"], peers).run(module.check_mode)
    for warning in peers.warnings():
        module.warn(warning)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "domain": domain}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 120},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
    )


if __name__ == "__main__":
    main()
