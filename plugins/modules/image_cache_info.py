#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.image_cache_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_cache_info
short_description: Show what the images of a host take and save
version_added: 0.1.0
description:
  - Shows the bytes of the images of a replica or host cache, when and how often each was used and by which disks, what that saved,
    and what the last collection of M(edge.cloud.image_cache) did.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.images
options:
  root:
    description:
      - The folder of the images.
    type: path
    default: /var/lib/edge/images
"""

EXAMPLES = r"""
- name: What the images of this host take and save
  edge.cloud.image_cache_info:
  register: cache
"""

RETURN = r"""
images:
  description: The images, by digest.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    name:
      description: Its name, empty if its manifest is damaged.
      type: str
    version:
      description: Its version, empty if its manifest is damaged.
      type: str
    size:
      description: Its length in bytes.
      type: int
    last_use:
      description: When a disk was last created over it, or a pull last found or brought it; in UTC.
      type: str
    hits:
      description: How often a disk was created over it or a pull found it here.
      type: int
    disks_made:
      description: How many disks were created over it since it arrived.
      type: int
    bytes_saved:
      description: The bytes that these disks did not copy, RV(images[].disks_made) times RV(images[].size).
      type: int
    used_by:
      description: The disks that use it as their backing image now.
      type: list
      elements: str
    doubts:
      description: Why there may be other users that cannot be seen now, and what to do; the image is kept for each.
      type: list
      elements: str
    pinned:
      description: Whether it is kept from garbage collection.
      type: bool
    busy:
      description: Whether a process uses it now.
      type: bool
bytes:
  description: The bytes of all image files.
  returned: success
  type: int
bytes_saved:
  description: The bytes that disks over these images did not copy.
  returned: success
  type: int
free_bytes:
  description: The bytes that are free in the file system of O(root).
  returned: success
  type: int
orphans:
  description: Image files without a manifest, which the next collection removes.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The digest in the file's name.
      type: str
    size:
      description: Its length in bytes.
      type: int
leftovers:
  description: Files in the partial folder that killed processes left.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The file's name.
      type: str
    size:
      description: Its length in bytes.
      type: int
last_collection:
  description: What the last collection did; an empty dictionary before the first one.
  returned: success
  type: dict
  contains:
    time:
      description: When it began, in UTC.
      type: str
    removed:
      description: The digests that it removed.
      type: list
      elements: str
    bytes_freed:
      description: The bytes that it freed.
      type: int
    over:
      description: The bytes by which the quota stayed exceeded.
      type: int
"""

import time
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import account
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store


def run(module: Any) -> dict[str, Any]:
    options = module.params
    store = Store(absolute_path(options["root"], "root"))
    folders = [Path(folder) for folder in options["disk_directories"]]
    return {"changed": False, **account(store, folders, time.time())}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "root": {"type": "path", "default": "/var/lib/edge/images"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
        },
    )


if __name__ == "__main__":
    main()
