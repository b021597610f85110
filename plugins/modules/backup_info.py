#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.backup_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Show the backups in a repository of restic
version_added: 0.1.0
description:
  - Shows the backups that M(edge.cloud.backup) made in a repository of restic. Snapshots of others in it are left out.
  - Writes nothing to the repository, not even a lock.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.restic
options:
  vm:
    description:
      - The UUID or the name of a VM; only its backups are shown.
    type: str
  name:
    description:
      - The name of a backup of files; only its backups are shown.
    type: str
"""

EXAMPLES = r"""
- name: All backups
  edge.cloud.backup_info:
    repository: sftp:backup@vault.example:/srv/backup
    password_file: /etc/edge/backup.password
  register: there
"""

RETURN = r"""
backups:
  description: The backups, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    snapshot:
      description: Its ID in the repository.
      type: str
    time:
      description: The instant whose content it has, in UTC.
      type: str
    host:
      description: The host that made it.
      type: str
    uuid:
      description: The UUID of the VM; null for files.
      type: str
    vm:
      description: The name of the VM; null for files.
      type: str
    generation:
      description: The recovery point; null for files.
      type: str
    name:
      description: The name of a backup of files; null for a VM.
      type: str
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.request import access_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.restic import Restic


def run(module: Any) -> dict[str, Any]:
    options, access = module.params, access_of(module.params)
    found = Restic(ModuleRunner(module, access.variables), access, reading=True).snapshots()
    shown = [one for one in found if options["vm"] in (None, one.source.uuid, one.source.name)]
    return {"changed": False, "backups": [one.view() for one in shown if options["name"] in (None, one.source.files)]}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "repository": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "password_file": {"type": "path", "no_log": False},
            "environment": {"type": "dict", "default": {}},
            "vm": {"type": "str"},
            "name": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
