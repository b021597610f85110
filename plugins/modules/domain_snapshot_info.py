#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_snapshot_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_snapshot_info
short_description: Read the snapshots of a VM and the files of its disks
version_added: 0.1.0
description:
  - Returns the tree of snapshots that M(edge.cloud.domain_snapshot) took, and the chain of files of each disk. Changes nothing.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain, made by M(edge.cloud.domain).
    type: str
    required: true
seealso:
  - module: edge.cloud.domain_snapshot
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Read the snapshots of a VM
  edge.cloud.domain_snapshot_info:
    name: web
  register: found

- name: Show them
  ansible.builtin.debug:
    msg: "{{ item.name }} of {{ item.created }}, after {{ item.parent }}"
  loop: "{{ found.snapshots }}"
"""

RETURN = r"""
domain:
  description: The name of the domain.
  returned: success
  type: str
  sample: web
state:
  description: One of V(running), V(paused) and V(stopped).
  returned: success
  type: str
  sample: running
current:
  description: The snapshot that the guest came from last, null without one.
  returned: success
  type: str
  sample: before-upgrade
snapshots:
  description: The snapshots, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      returned: always
      type: str
      sample: before-upgrade
    description:
      description: The text that was kept with it.
      returned: always
      type: str
      sample: Version 41, as shipped
    created:
      description: When it was taken, in UTC.
      returned: always
      type: str
      sample: "2026-11-24T05:41:27Z"
    state:
      description: What the guest did then, one of V(running), V(paused) and V(stopped).
      returned: always
      type: str
      sample: running
    quiesced:
      description: Whether the guest agent had frozen the guest's file systems.
      returned: always
      type: bool
      sample: true
    memory:
      description: The file with the guest's memory, null without.
      returned: always
      type: str
      sample: /var/lib/edge/vms/web/at-work.memory
    parent:
      description: The snapshot that it was taken after, null for the first.
      returned: always
      type: str
      sample: null
    children:
      description: The snapshots that were taken after it.
      returned: always
      type: list
      elements: str
      sample: [at-work]
    disks:
      description: The file that has each disk as it was, by the disk's name.
      returned: always
      type: dict
      sample: {"root": "/var/lib/edge/vms/web/root.qcow2"}
orphans:
  description: What reverts left behind, each with the snapshot that was gone back to and the files by the disk's name.
  returned: success
  type: list
  elements: dict
  sample: [{"snapshot": "before-upgrade", "disks": {"root": "/var/lib/edge/vms/web/root.at-work.qcow2"}}]
disks:
  description: The disks that take part.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the disk.
      returned: always
      type: str
      sample: root
    target:
      description: Its device name.
      returned: always
      type: str
      sample: vda
    active:
      description: The file that the guest writes.
      returned: always
      type: str
      sample: /var/lib/edge/vms/web/root.before-upgrade.qcow2
    chain:
      description: The files from the active one down, each with path, format, size in bytes and backing file; images are left out.
      returned: always
      type: list
      elements: dict
      sample: [{"path": "/var/lib/edge/vms/web/root.qcow2", "format": "qcow2", "size": 21474836480, "backing": null}]
interrupted:
  description: What an interrupted run left, one of V(take), V(revert) and V(commit), null without. The next run closes it.
  returned: success
  type: str
  sample: null
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.observe import read_snapshots
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.state import describe
from ansible_collections.edge.cloud.plugins.module_utils._disks.writer import DiskWriter
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    tool = DiskWriter(ModuleRunner(module), FOLDERS)
    with connection(module.params["uri"]) as opened:
        return {"changed": False, **describe(read_snapshots(opened, module.params["name"], tool, FOLDERS))}


def main() -> None:
    run_module(
        run,
        argument_spec={"name": {"type": "str", "required": True}, "uri": {"type": "str", "default": "qemu:///system"}},
    )


if __name__ == "__main__":
    main()
