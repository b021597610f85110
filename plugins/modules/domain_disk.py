#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_disk
short_description: Flatten a disk of a VM, or copy it to a file
version_added: 0.1.0
description:
  - Works on one disk of a VM as a whole, while the guest runs, is paused or is stopped.
  - To create, grow, attach and detach disks use M(edge.cloud.domain); M(edge.cloud.domain_info) shows the files of each.
  - Refused while the domain is saved (managed save), since its memory has parts of its disks; start it first.
  - No two tasks work on a VM at once. A run that was interrupted, by a crash of the process, of QEMU or of the host, leaves a
    disk with all that the guest wrote, and the next run goes on from there.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain, made by M(edge.cloud.domain).
    type: str
    required: true
  disk:
    description:
      - The name of the disk in the domain. Read-only disks, and disks that others attached, cannot be named.
    type: str
    required: true
  state:
    description:
      - V(flattened) makes the disk need fewer files, down to O(depth).
      - V(exported) makes sure that O(dest) is a standalone copy of the disk, as it was at one instant. A copy that is there stays
        as it is, whatever the guest has written since.
    type: str
    choices: [flattened, exported]
    required: true
  depth:
    description:
      - How far O(state=flattened) goes.
      - V(image) commits every overlay into the disk's own file, which stays an overlay of its image.
      - V(all) also copies what the disk has from its image, so that its file stands alone. The image can be removed then, and is
        not shared any more.
      - Refused where a snapshot needs one of the overlays; remove it first with M(edge.cloud.domain_snapshot).
    type: str
    choices: [image, all]
    default: image
  dest:
    description:
      - The absolute path, ending in C(.qcow2), of the file on the hypervisor that O(state=exported) makes. Not in the folders of
        VMs and images. Its folder must be there, and open to QEMU's user for a guest that runs.
    type: path
  compress:
    description:
      - Whether the copy is compressed, which makes it smaller and slower to read.
    type: bool
    default: false
  quiesce:
    description:
      - Whether the guest agent freezes the guest's file systems for the instant that the copy is of, some tenths of a second.
      - V(auto) does if the agent answers, V(required) fails if it does not, V(never) does not ask it.
      - They are thawed even if the run is killed in that instant; if libvirtd is killed with it, by the next run of this module
        for the VM.
    type: str
    choices: [auto, required, never]
    default: auto
  bandwidth:
    description:
      - The most that is copied in a second while the guest runs, such as V(50MiB). Without it, the rate is not limited.
    type: str
  timeout:
    description:
      - How long each commit or copy under a running guest may take, in seconds; also how long to wait for another task that works
        on the VM. A job that takes longer is ended, and the guest runs on with its files.
    type: int
    default: 3600
  progress_file:
    description:
      - A file on the host that one line about the progress is written to, at most once a second, while the guest runs.
    type: path
seealso:
  - module: edge.cloud.domain
  - module: edge.cloud.domain_snapshot
  - module: edge.cloud.datastore_image
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Copy the disk of a VM that runs
  edge.cloud.domain_disk:
    name: web
    disk: root
    state: exported
    dest: /srv/exports/web-root.qcow2
    quiesce: required

- name: Let a disk stand alone, without slowing down its guest
  edge.cloud.domain_disk:
    name: web
    disk: root
    state: flattened
    depth: all
    bandwidth: 50MiB

- name: Commit the overlays that snapshots of other tools left
  edge.cloud.domain_disk:
    name: web
    disk: data
    state: flattened
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Copy disk root of domain web to /srv/exports/web-root.qcow2 while it runs"]
disk:
  description: The disk after the run; in check mode as predicted.
  returned: success
  type: dict
  sample: {"domain": "web", "name": "root", "target": "vda", "active": "/var/lib/edge/vms/web/root.qcow2"}
  contains:
    domain:
      description: The name of the domain.
      type: str
    name:
      description: The name of the disk.
      type: str
    target:
      description: The disk's device name.
      type: str
    active:
      description: The file that the guest writes.
      type: str
    chain:
      description: The files of the disk, from the active one down to the image.
      type: list
      elements: str
    interrupted:
      description: What an interrupted run left to be finished, null if it left nothing.
      type: str
    exported:
      description: The copy, with O(state=exported).
      type: dict
      contains:
        path:
          description: Where it is.
          type: str
        format:
          description: Its format, always V(qcow2).
          type: str
        virtual_size:
          description: The size in bytes of the disk that it is.
          type: int
        quiesced:
          description: Whether the guest's file systems were frozen for it.
          returned: when the copy was made by this run
          type: bool
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.disk.reconcile import DiskRequest, Disks
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.block_job import JobLimits
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.writer import DiskWriter
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._sizes import parse_size
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.progress import ProgressFile

FOLDERS = Folders()


def progress(options: dict[str, Any]) -> Callable[[int, int], None]:
    """Return what reports done and total bytes."""
    if not options["progress_file"]:
        return lambda _done, _total: None
    path = absolute_path(options["progress_file"], "The progress file")
    return ProgressFile(path, f"disk {options['disk']} of domain {options['name']}", time.monotonic)


def run(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    bandwidth = parse_size(options["bandwidth"], "bandwidth") if options["bandwidth"] else 0
    limits = JobLimits(options["timeout"], bandwidth, progress(options))
    asked = ("state", "depth", "compress", "quiesce")
    request = DiskRequest(dest=options["dest"] or "", **{name: options[name] for name in asked})
    with EventLoop(), connection(options["uri"]) as opened:
        tool = DiskWriter(ModuleRunner(module), FOLDERS)
        plan, view, disk = Disks(opened, tool, FOLDERS, options["name"], options["disk"], limits).run(request, module.check_mode)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "disk": disk}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "disk": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["flattened", "exported"], "required": True},
            "depth": {"type": "str", "choices": ["image", "all"], "default": "image"},
            "dest": {"type": "path"},
            "compress": {"type": "bool", "default": False},
            "quiesce": {"type": "str", "choices": ["auto", "required", "never"], "default": "auto"},
            "bandwidth": {"type": "str"},
            "timeout": {"type": "int", "default": 3600},
            "progress_file": {"type": "path"},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
        required_if=[("state", "exported", ["dest"])],
    )


if __name__ == "__main__":
    main()
