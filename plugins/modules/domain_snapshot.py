#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_snapshot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_snapshot
short_description: Take, remove and go back to snapshots of a VM
version_added: 0.1.0
description:
  - A snapshot holds all disks of a VM as they are at one instant, and with O(memory) the guest's memory too. Taking one copies
    nothing, whatever the size of the disks; the guest goes on writing to new overlays.
  - The VM may run, be paused or be stopped. A saved one (managed save) is refused, since its memory has parts of its disks; start
    it first. Read-only disks, and disks that others attached, take no part.
  - Every change is journaled in the VM's folder. A run that was interrupted, by a crash of the process, of QEMU or of the host,
    leaves a VM that starts, and the next run of this module finishes or undoes what was under way.
  - libvirt keeps no snapshot metadata of its own for them, so that its snapshots neither see these nor get in their way.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain, made by M(edge.cloud.domain).
    type: str
    required: true
  snapshot:
    description:
      - The name of the snapshot in this domain. Letters, digits, dashes and underscores, at most 50.
    type: str
    required: true
  state:
    description:
      - V(present) takes the snapshot if the VM has none of this name; one that exists is left as it is.
      - V(absent) removes it. What was written after it is committed into the file below, while the guest runs if it does, and the
        overlay's file is deleted only after that was verified. It also deletes what reverts to this snapshot left behind.
        A file that another snapshot still needs stays until that one is removed.
      - V(reverted) puts all disks of the snapshot back to it, each on a new overlay. Snapshots taken later stay. What the guest
        wrote since is kept until the snapshot is removed, unless O(discard) is set. Nothing is done if nothing was written since.
    type: str
    choices: [present, absent, reverted]
    default: present
  description:
    description:
      - A text to keep with a new snapshot.
    type: str
  memory:
    description:
      - Whether a new snapshot has the guest's memory, in a file of the VM's folder. Going back to it lets the guest go on where it
        was.
      - Saving the memory takes the time and space that it needs; the guest runs on until the last moment.
    type: bool
    default: false
  quiesce:
    description:
      - Whether the guest agent freezes the guest's file systems for the instant of a new snapshot.
      - V(auto) does if the agent answers, V(required) fails if it does not, V(never) does not ask it.
      - It does not go with O(memory), which does not need it.
    type: str
    choices: [auto, required, never]
    default: auto
  allow_restart:
    description:
      - Whether O(state=reverted) may power off a guest that runs. It is started again afterwards.
    type: bool
    default: false
  discard:
    description:
      - Whether O(state=reverted) deletes what the guest wrote since the last snapshot.
    type: bool
    default: false
  without_disks:
    description:
      - The names of disks that a new snapshot is to be taken without. Only disks on the network
        (O(edge.cloud.domain#module:disks[].source)) can be left out, and each must be, since no overlay can be
        laid over them, and a revert leaves them as they are.
      - It does not go with O(memory), since the guest's memory would not fit such a disk any more.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - How long one commit may take, in seconds. One that takes longer is ended; nothing is lost, and the next run starts it again.
    type: int
    default: 600
seealso:
  - module: edge.cloud.domain_snapshot_info
  - module: edge.cloud.domain
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Keep the VM as it is before an upgrade
  edge.cloud.domain_snapshot:
    name: web
    snapshot: before-upgrade
    description: Version 41, as shipped

- name: Go back to it, which powers the guest off and starts it again
  edge.cloud.domain_snapshot:
    name: web
    snapshot: before-upgrade
    state: reverted
    allow_restart: true

- name: Keep a running program with its memory
  edge.cloud.domain_snapshot:
    name: web
    snapshot: at-work
    memory: true

- name: Keep the local disks of a VM that has a Ceph disk, too, of which Ceph takes its own snapshot
  edge.cloud.domain_snapshot:
    name: db
    snapshot: before-upgrade
    without_disks: [ceph]

- name: Remove a snapshot while the guest runs
  edge.cloud.domain_snapshot:
    name: web
    snapshot: before-upgrade
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Note that snapshot before-upgrade is being taken", "Record snapshot before-upgrade"]
snapshots:
  description: The snapshots after the run, as M(edge.cloud.domain_snapshot_info) returns them; in check mode as predicted.
  returned: success
  type: dict
  sample: {"domain": "web", "state": "running", "current": "before-upgrade", "snapshots": [{"name": "before-upgrade"}]}
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.plan import SnapshotRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.reconcile import Snapshots
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.state import view
from ansible_collections.edge.cloud.plugins.module_utils._disks.writer import DiskWriter
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    tool = DiskWriter(ModuleRunner(module), FOLDERS)
    options = module.params
    request = SnapshotRequest(
        name=options["snapshot"],
        state=options["state"],
        description=options["description"] or "",
        memory=options["memory"],
        quiesce=options["quiesce"],
        allow_restart=options["allow_restart"],
        discard=options["discard"],
        without_disks=tuple(options["without_disks"]),
        now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    with EventLoop(), connection(options["uri"]) as opened:
        snapshots = Snapshots(opened, tool, FOLDERS, options["name"], options["timeout"])
        plan, found = snapshots.run(request, module.check_mode)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "snapshots": found}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "snapshot": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "reverted"], "default": "present"},
            "description": {"type": "str"},
            "memory": {"type": "bool", "default": False},
            "quiesce": {"type": "str", "choices": ["auto", "required", "never"], "default": "auto"},
            "allow_restart": {"type": "bool", "default": False},
            "discard": {"type": "bool", "default": False},
            "without_disks": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 600},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
    )


if __name__ == "__main__":
    main()
