#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.libvirt_settings."""

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_settings
short_description: Set keys of libvirt's configuration files
version_added: 0.1.0
description:
  - Sets keys of files such as C(/etc/libvirt/qemu.conf) in a marked block. libvirt takes the first setting of a key, so other
    settings of the same key are in the way; they are refused with file and line, or kept as comments.
  - All files are looked at before the first one is written; each is replaced as a whole.
  - libvirt reads its files when it starts; this module restarts nothing.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  name:
    description:
      - Name of the block. A file can have several blocks.
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that the keys have these values, V(absent) that the block is gone and that settings which it replaced
        are in force again.
    type: str
    choices: [present, absent]
    default: present
  files:
    description:
      - The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Path of the file. With O(state=absent) it may be missing.
        type: path
        required: true
      settings:
        description:
          - Values by key, whole numbers, texts or lists of texts. None with O(state=absent).
        type: dict
        default: {}
      mode:
        description:
          - The most that may be permitted to a file with these settings, an octal number in quotes, such as V('0600').
        type: str
        default: "0644"
  replace:
    description:
      - Turn other settings of these keys, with other values, into comments. Without it they are refused with file and line. One
        that shares its line with another setting is always refused.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Migrations are encrypted
  edge.cloud.libvirt_settings:
    name: migration
    files:
      - path: /etc/libvirt/qemu.conf
        mode: "0600"
        settings:
          migrate_tls_force: 1

- name: The settings are as they were before
  edge.cloud.libvirt_settings:
    name: migration
    state: absent
    files:
      - path: /etc/libvirt/qemu.conf
"""

RETURN = r"""
settings:
  description: By path, a digest of what the file holds; empty for a file that is missing.
  returned: success
  type: dict
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.host import conf_files
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute


def run(module: Any) -> dict[str, Any]:
    asked = conf_files.asked(module.params)
    plan = conf_files.plan(asked, check=module.check_mode)
    if not module.check_mode:
        execute(plan, conf_files.apply)
    return plan_result(plan, conf_files.view, "settings", None if module.check_mode else conf_files.observe(asked))


def main() -> None:
    file = {
        "path": {"type": "path", "required": True},
        "settings": {"type": "dict", "default": {}},
        "mode": {"default": "0644"},
    }
    run_module(
        run,
        argument_spec={
            "name": {"required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "files": {"type": "list", "elements": "dict", "required": True, "options": file},
            "replace": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
