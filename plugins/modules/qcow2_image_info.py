#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.qcow2_image_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image_info
short_description: Show a qcow2 disk file with its whole chain
version_added: 0.1.0
description:
  - Reads a qcow2 disk file and every backing image below it, also while a VM uses it.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
options:
  path:
    description:
      - The absolute path of the disk file.
    type: path
    required: true
requirements:
  - qemu-utils
"""

EXAMPLES = r"""
- name: Read the chain of a disk
  edge.cloud.qcow2_image_info:
    path: /var/lib/edge/vms/web1/disk0.qcow2
  register: disk
"""

RETURN = r"""
chain:
  description: The disk and the images below it, from the disk down; empty if the file does not exist.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    format:
      description: Its format.
      type: str
    virtual_size:
      description: The virtual size in bytes.
      type: int
    actual_size:
      description: The bytes that the file takes on the disk.
      type: int
    cluster_size:
      description: The cluster size in bytes, V(null) for a raw file.
      type: int
    in_use:
      description: Whether a process writes the file now.
      type: bool
    backing_file:
      description: The absolute path of the next file of the chain, V(null) for the last.
      type: str
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import about_option
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.chain import chain_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path


def run(module: Any) -> dict[str, Any]:
    path = absolute_path(module.params["path"])
    with about_option("path"):
        return {"changed": False, "chain": chain_of(QemuImg(ModuleRunner(module)), path)}


def main() -> None:
    run_module(run, argument_spec={"path": {"type": "path", "required": True}})


if __name__ == "__main__":
    main()
