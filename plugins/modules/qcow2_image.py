#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.qcow2_image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image
short_description: Manage a qcow2 disk file
version_added: 0.1.0
description:
  - Creates a disk file in qcow2 format, empty, as an overlay of a backing image, or converted from another image.
  - Reconciles its virtual size and its backing image, repairs it, and removes it if no other disk uses it as its backing image.
  - A new file appears under its name only when it is whole. A file that a VM uses is never changed.
  - An empty disk's file is at once as long as a full one, by a hole that takes no space; this speeds up first writes.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.images
options:
  path:
    description:
      - The absolute path of the disk file. Its folder must exist.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the disk is there as described, V(absent) that it is not.
    type: str
    choices: [present, absent]
    default: present
  size:
    description:
      - The virtual size in bytes, or with a unit V(K), V(M), V(G), V(T) or V(P) of powers of 1024, such as V(10G).
      - Without it a new disk gets the size of its backing image or source, and the size of an existing one is left alone.
    type: str
  allow_shrink:
    description:
      - Allow O(size) to be smaller than the disk is. What lies beyond the new size is lost.
    type: bool
    default: false
  backing_image:
    description:
      - The absolute path of the backing image of the disk. An empty string makes the disk standalone.
      - Without it the backing image of an existing disk is left alone.
    type: str
  backing_format:
    description:
      - The format of O(backing_image). Without it the image must be qcow2, and one that refers to other files must have been
        made by edge.cloud, since the guest of a raw disk can write such a header into it.
    type: str
    choices: [qcow2, raw]
  unsafe_rebase:
    description:
      - When the backing image changes, change only its name and copy nothing.
      - The disk's content is kept only if the new backing image has the same content as the old one.
    type: bool
    default: false
  source:
    description:
      - The absolute path of an image that a new disk is converted from. An existing disk is not compared with it.
      - A source that refers to other files is refused.
    type: path
  source_format:
    description:
      - The format of O(source). Without it the format is recognised by its first bytes, if they are unambiguous.
      - Say V(raw) for the raw disk of a guest, which can write the header of another format there.
    type: str
    choices: [qcow2, raw, vmdk, vdi, vhdx, vpc]
  compress:
    description:
      - Compress a new disk that is converted from O(source).
    type: bool
    default: false
  cluster_size:
    description:
      - The cluster size of a new disk, from V(512) to V(2M), a power of two. Without it an overlay gets 128K and any other disk
        QEMU's default, 64K.
      - Overlays with clusters of at least 16K have 32 subclusters in each (extended L2 entries), so that at 128K a guest's write
        of 4 KiB copies nothing from the backing image.
    type: str
  preallocation:
    description:
      - What is allocated when a disk is created. Without it an overlay with subclusters has the tables of its first part at once,
        at most 512 KiB of them, which is 4 GiB of the disk with clusters of 128K; any other disk has nothing.
      - V(metadata) writes all tables, which makes the first write to each place of an overlay faster, for about 140 KiB a GiB.
      - The space of V(falloc) and V(full) of an empty disk is reserved first; where there is too little, the disk is not made.
    type: str
    choices: ['off', metadata, falloc, full]
  repair:
    description:
      - Check an existing disk that no VM uses, and repair V(leaks) or V(all) damage that is found.
    type: str
    choices: [none, leaks, all]
    default: none
"""

EXAMPLES = r"""
- name: A disk of 20 GiB over an image of the host cache
  edge.cloud.qcow2_image:
    path: /var/lib/edge/vms/web1/disk0.qcow2
    backing_image: /var/lib/edge/images/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.qcow2
    size: 20G

- name: A standalone disk from a raw image
  edge.cloud.qcow2_image:
    path: /srv/disks/import.qcow2
    source: /srv/incoming/disk.raw
    source_format: raw

- name: No disk
  edge.cloud.qcow2_image:
    path: /var/lib/edge/vms/web1/disk1.qcow2
    state: absent
"""

RETURN = r"""
image:
  description: The disk, or an empty dictionary if it does not exist.
  returned: success
  type: dict
  contains:
    path:
      description: The disk file.
      type: str
    virtual_size:
      description: The virtual size in bytes.
      type: int
    backing_file:
      description: The absolute path of the backing image, V(null) for a standalone disk.
      type: str
    backing_format:
      description: The format of the backing image.
      type: str
    cluster_size:
      description: The cluster size in bytes.
      type: int
    corruptions:
      description: Corrupt clusters that a check found, 0 without O(repair).
      type: int
    leaks:
      description: Leaked clusters that a check found, 0 without O(repair).
      type: int
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._sizes import whole_sectors
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk import (
    Creation,
    DiskRequest,
    cluster_size,
    plan_absent,
    plan_present,
    view,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk_files import Qcow2Files
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path, size_in_bytes


def wanted(options: dict[str, Any], disks: Qcow2Files, exists: bool) -> DiskRequest:
    backing, source = options["backing_image"], options["source"]
    cluster = options["cluster_size"]
    return DiskRequest(
        path=options["path"],
        size=whole_sectors(size_in_bytes(options["size"], "size")) if options["size"] else None,
        backing=disks.base(absolute_path(backing, "backing_image"), options["backing_format"]) if backing else None,
        standalone=backing == "",
        creation=Creation(
            source=disks.source(absolute_path(source, "source"), options["source_format"]) if source and not exists else None,
            compress=options["compress"],
            cluster_size=cluster_size(size_in_bytes(cluster, "cluster_size")) if cluster else None,
            preallocation=options["preallocation"],
        ),
        allow_shrink=options["allow_shrink"],
        unsafe_rebase=options["unsafe_rebase"],
        repair=None if options["repair"] == "none" else options["repair"],
    )


def run(module: Any) -> dict[str, Any]:
    options = module.params
    path = absolute_path(options["path"])
    disks = Qcow2Files(QemuImg(ModuleRunner(module)), [Path(folder) for folder in options["disk_directories"]])
    check = options["state"] == "present" and options["repair"] != "none"
    state = disks.observe(path, check=check)
    if options["state"] == "absent":
        plan = plan_absent(state)
        disks.require_unused(path)
    else:
        plan = plan_present(state, wanted(options, disks, state is not None))
    if module.check_mode:
        return plan_result(plan, view, "image")
    execute(plan, disks.apply)
    return {**plan_result(plan, view, "image"), "image": dict(view(disks.observe(path, check=check)))}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "size": {},
            "allow_shrink": {"type": "bool", "default": False},
            "backing_image": {},
            "backing_format": {"choices": ["qcow2", "raw"]},
            "unsafe_rebase": {"type": "bool", "default": False},
            "source": {"type": "path"},
            "source_format": {"choices": ["qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc"]},
            "compress": {"type": "bool", "default": False},
            "cluster_size": {},
            "preallocation": {"choices": ["off", "metadata", "falloc", "full"]},
            "repair": {"choices": ["none", "leaks", "all"], "default": "none"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
        },
        mutually_exclusive=[("source", "backing_image")],
    )


if __name__ == "__main__":
    main()
