#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.recovery_point_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_point_info
short_description: Show the recovery points of VMs that a replica keeps
version_added: 0.1.0
description:
  - Shows the recovery points of VMs that a replica keeps, by their documents. No file of a disk is read; C(edge-host point verify)
    does that.
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
      - A name of which there is no recovery point is an error.
    type: str
"""

EXAMPLES = r"""
- name: The recovery points that this host keeps
  edge.cloud.recovery_point_info:
  register: points
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
bytes:
  description: The bytes of all files of these VMs.
  returned: success
  type: int
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.listing import shown


def run(module: Any) -> dict[str, Any]:
    options = module.params
    return {"changed": False, **shown(Depot(absolute_path(options["root"], "root")), options["vm"])}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "root": {"type": "path", "default": "/var/lib/edge/recovery/points"},
            "vm": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
