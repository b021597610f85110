#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.replica_image_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: replica_image_info
short_description: List the images of a replica or host cache
version_added: 0.1.0
description:
  - Lists the visible images of a replica or host cache, with their users and their damage.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.images
options:
  name:
    description:
      - List only images with this name.
    type: str
  version:
    description:
      - List only images with this version.
    type: str
  digest:
    description:
      - List only the image with this digest.
    type: str
  verify:
    description:
      - Read every listed image whole and list the pieces that differ from the manifest.
    type: bool
    default: false
  root:
    description:
      - The folder of the images.
    type: path
    default: /var/lib/edge/images
"""

EXAMPLES = r"""
- name: All versions of one image
  edge.cloud.replica_image_info:
    name: debian
  register: found
"""

RETURN = r"""
images:
  description: The images, by name, then from the lowest version to the highest.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    path:
      description: The path of its file.
      type: str
    name:
      description: Its name.
      type: str
    version:
      description: Its version.
      type: str
    size:
      description: Its length in bytes.
      type: int
    virtual_size:
      description: The size in bytes of the disk in it.
      type: int
    template:
      description:
        - What a VM of it begins with, as in RV(edge.cloud.appliance_info#module:appliances[].template); null without any.
      type: dict
    pinned:
      description: Whether it is kept from garbage collection.
      type: bool
    used_by:
      description: The disks under O(disk_directories) that use it as their backing image.
      type: list
      elements: str
    doubts:
      description: Why there may be other users that cannot be seen now, and what to do; the image is kept for each.
      type: list
      elements: str
    damaged_pieces:
      description: The indexes of the pieces that differ from the manifest; all, where its list of pieces is damaged.
      returned: when O(verify=true)
      type: list
      elements: int
broken:
  description: The digests of images that are not usable because their manifest is damaged or their file is missing or cut short.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.inventory import Filter, images_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store


def run(module: Any) -> dict[str, Any]:
    options = module.params
    store = Store(absolute_path(options["root"], "root"))
    wanted = Filter(options["name"], options["version"], options["digest"])
    folders = [Path(folder) for folder in options["disk_directories"]]
    return {"changed": False, "images": images_of(store, wanted, folders, verify=options["verify"]), "broken": store.broken()}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {},
            "version": {},
            "digest": {},
            "verify": {"type": "bool", "default": False},
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
