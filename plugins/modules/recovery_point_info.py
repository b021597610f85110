#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.recovery_point_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_point_info
short_description: Show the recovery points that a replica keeps, and how far those of a hypervisor's VMs are
version_added: 0.1.0
description:
  - Shows the recovery points of VMs that a replica keeps, by their documents. No file of a disk is read; C(edge-host point verify)
    does that.
  - On a hypervisor it shows of each VM with the option C(recovery) whether enough other hosts hold points that are recent enough,
    as the last pass of C(edge-host point run) noted it.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  root:
    description:
      - The folder of the recovery points.
    type: path
    default: /var/lib/edge/recovery/points
  vm:
    description:
      - The UUID of a VM, or the name that it had at its newest recovery point. Without it all VMs are shown.
      - A name of which there is no recovery point, and which no VM with recovery points has that runs here, is an error.
    type: str
  notes_dir:
    description:
      - The folder in which C(edge-host point run) and C(edge-host point drill) note how it is with the points of this host's VMs.
    type: path
    default: /var/lib/edge/recovery
    version_added: 0.1.0
"""

EXAMPLES = r"""
- name: The recovery points that this host keeps
  edge.cloud.recovery_point_info:
  register: points

- name: Fail where more than two intervals of what a VM wrote would be lost with this hypervisor
  edge.cloud.recovery_point_info:
  register: points
  failed_when: points.protection | selectattr('breach') | length > 0
"""

RETURN = r"""
vms:
  description: The VMs, by UUID.
  returned: success
  type: list
  elements: dict
  contains:
    uuid:
      description: The VM's UUID.
      type: str
    name:
      description: Its name at its newest recovery point, empty where none can be read.
      type: str
    bytes:
      description: The bytes of all files of its recovery points.
      type: int
    generations:
      description: Its recovery points, the oldest first.
      type: list
      elements: dict
      contains:
        generation:
          description: Its name, C(EPOCH.NUMBER).
          type: str
        epoch:
          description: How often the VM had been started elsewhere before.
          type: int
        number:
          description: Its number among the VM's recovery points.
          type: int
        instant:
          description: The instant whose content its disks have, in UTC.
          type: str
        quiesced:
          description: Whether the guest's file systems were frozen at that instant.
          type: bool
        final:
          description: Whether the VM was stopped cleanly and wrote nothing after it.
          type: bool
        whole:
          description: Whether all its files are here, by their lengths.
          type: bool
        pinned:
          description: Whether it is kept at any age.
          type: bool
        bytes:
          description: The bytes of the files that it needs, which others may need too.
          type: int
        disks:
          description: Its disks.
          type: list
          elements: dict
          contains:
            target:
              description: The disk's target, such as V(vda).
              type: str
            image:
              description: The digest of the image that the disk stands on; null for one without.
              type: str
            virtual_size:
              description: The size of the disk in bytes.
              type: int
            deltas:
              description: How many deltas there are over the image.
              type: int
    unreadable:
      description: Files that may be recovery points and cannot be read; while there are any, no file of the VM is removed.
      type: list
      elements: dict
      contains:
        file:
          description: The file's name.
          type: str
        why:
          description: Why it cannot be read.
          type: str
protection:
  description: The VMs of this host that have the option C(recovery), by name; empty on a host that runs none.
  returned: success
  type: list
  elements: dict
  contains:
    vm:
      description: The VM's name.
      type: str
    uuid:
      description: The VM's UUID.
      type: str
    interval:
      description: The seconds between its recovery points, by its policy.
      type: int
    newest:
      description: The newest point that was made, null without one.
      type: str
    current_at:
      description: When the newest point had all that the VM had, in UTC; null without one.
      type: str
    held:
      description:
        - The newest points that enough other hosts hold, the oldest first. Only points that this host made count, as it compares
          what the others have with what it made.
        - So it is empty until a point is made and held after the option C(recovery) was set, or after the VM came here, though
          replicas may keep older ones; RV(vms) on a replica shows those, and they can be restored.
      type: list
      elements: str
    held_at:
      description: When the last of these had all that the VM had, in UTC; null without one.
      type: str
    breach:
      description: Whether that is more than two intervals ago, so that its recovery point objective is not met.
      type: bool
    error:
      description: Why the last try made no point, null where it did.
      type: str
    tried_again_at:
      description: When a VM that failed is tried again, in UTC; null where none failed.
      type: str
    drill:
      description: What the VM's last drill showed; null where it had none. See C(edge-host point drill).
      type: dict
      contains:
        generation:
          description: The point that was started as a VM, null where none was found.
          type: str
        drilled_at:
          description: When, in UTC.
          type: str
        well:
          description: Whether the guest gave its sign.
          type: bool
        error:
          description: Why it failed, null where it did not.
          type: str
        seconds:
          description: The seconds until the sign.
          type: float
        last_well_at:
          description: When the last drill that was well was done, in UTC; null for none.
          type: str
        last_well_generation:
          description: The point of that drill, null for none.
          type: str
bytes:
  description: The bytes of all files of these VMs.
  returned: success
  type: int
"""

import time
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.drill.notes import protection
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.listing import shown


def run(module: Any) -> dict[str, Any]:
    options = module.params
    vm = options["vm"]
    noted = protection(absolute_path(options["notes_dir"], "notes_dir"), time.time())
    here = [one for one in noted if vm in (None, one["vm"], one["uuid"])]
    try:
        kept = shown(Depot(absolute_path(options["root"], "root")), vm)
    except NotFound:
        if not here:
            raise
        kept = {"vms": [], "bytes": 0}
    return {"changed": False, **kept, "protection": here}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "root": {"type": "path", "default": "/var/lib/edge/recovery/points"},
            "vm": {"type": "str"},
            "notes_dir": {"type": "path", "default": "/var/lib/edge/recovery"},
        },
    )


if __name__ == "__main__":
    main()
