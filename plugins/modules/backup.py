#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.backup."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Backups of VMs and of files in an encrypted repository of restic
version_added: 0.1.0
description:
  - Backs up a recovery point of a VM that this host keeps, or files of this host, into a repository of restic. Removes backups by
    age, and restores them.
  - A backup of a VM has the document of the recovery point, all of its files, and by default the images that its disks stand on.
    So a restore needs neither the old host nor the old cloud. Nothing of it is copied to a local disk first, and files that are in
    the last backup already are not read again.
  - A backup that lacks anything is removed again and is an error. A restored folder has its name only after all of it was compared
    with the digests in its document.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.restic
attributes:
  idempotent:
    support: partial
    description: A recovery point is backed up once. A run for O(name) makes a new backup each time.
options:
  state:
    description:
      - With V(present) the recovery point is in the repository. A run for O(name) makes a backup.
      - With V(absent) the backups that O(snapshot) or O(generation) name are not in it.
      - With V(restored) a backup is in the folder O(path).
    type: str
    choices: [present, absent, restored]
    default: present
  init:
    description:
      - With O(state=present), make the repository if there is none. Otherwise that is an error, since a file system that is not
        mounted looks the same.
      - A local folder that has other files is refused.
    type: bool
    default: false
  remove_stale_locks:
    description:
      - First remove the locks of runs of restic that were killed, which are those of processes of this host that ended and those
        older than 30 minutes.
      - Without it such a lock is an error where it is in the way. No lock is removed in check mode.
    type: bool
    default: false
  vm:
    description:
      - The UUID of a VM, or the name that it had at its newest recovery point. Give this or O(name).
    type: str
  generation:
    description:
      - A recovery point of the VM, as C(EPOCH.NUMBER). The default is the newest; with O(state=absent) there is none.
    type: str
  name:
    description:
      - The name of a backup of files, such as V(frontend).
    type: str
  paths:
    description:
      - Files and folders of this host for a backup of O(name). A symbolic link is refused here. Below a folder links are kept as
        links.
    type: list
    elements: path
    default: []
  databases:
    description:
      - SQLite databases of this host for a backup of O(name). SQLite copies each into O(work_dir) first, so that it is whole
        while others write it. A restore has it below C(WORK_DIR/NAME/databases).
    type: list
    elements: path
    default: []
  base_images:
    description:
      - Whether a backup of a VM has the images that its disks stand on. The repository keeps each image once, however many VMs use
        it.
      - Without them a restore needs the images in O(images_root), by their digests.
    type: bool
    default: true
  root:
    description:
      - The folder of the recovery points.
    type: path
    default: /var/lib/edge/recovery/points
  images_root:
    description:
      - The image store of this host.
    type: path
    default: /var/lib/edge/images
  work_dir:
    description:
      - A folder of this host for trials of O(verify), which need the space of the whole backup for a while, and for copies of
        O(databases).
    type: path
    default: /var/lib/edge/backup
  retention:
    description:
      - After the backup, remove those of the same VM or O(name) that none of these numbers keeps. Without it all stay.
      - A backup of a VM counts at the instant of its recovery point, in UTC. The one that is asked for stays.
    type: dict
    suboptions:
      last:
        description: How many of the newest stay.
        type: int
        default: 0
      hourly:
        description: For how many hours that have backups the newest of the hour stays.
        type: int
        default: 0
      daily:
        description: For how many days that have backups the newest of the day stays.
        type: int
        default: 0
      weekly:
        description: For how many ISO weeks that have backups the newest of the week stays.
        type: int
        default: 0
      monthly:
        description: For how many months that have backups the newest of the month stays.
        type: int
        default: 0
      yearly:
        description: For how many years that have backups the newest of the year stays.
        type: int
        default: 0
  prune:
    description:
      - Where backups were removed, also remove the data that no other backup needs. That may read and write much of the repository,
        and nothing else can work in it meanwhile.
    type: bool
    default: false
  verify:
    description:
      - With O(state=present), check the repository by C(restic check), then restore the newest backup into O(work_dir), compare it
        with the digests in its document, and remove it. Not done in check mode.
    type: bool
    default: false
  read_data_subset:
    description:
      - How much of the repository's data C(restic check) reads, such as V(5%), V(2/10) for the second tenth, or V(100%). Without it
        the check reads the structure alone.
    type: str
  snapshot:
    description:
      - With V(absent) and V(restored) of O(state), the ID of a backup, at least its first 8 digits.
      - With O(state=restored) the default is the newest backup, of a VM that of its newest recovery point, but none of a time that
        is still to come.
    type: str
  path:
    description:
      - With O(state=restored), the folder to restore into. It is missing or empty, or has just that backup of a VM.
    type: path
  form:
    description:
      - In which form a VM is restored.
      - V(generation) is what C(edge-host point take) takes in. The images are in the folder C(images) there.
      - V(disks) has each disk as a whole qcow2 file, C(TARGET.qcow2), and files such as C(nvram). The document
        C(generation.json) has the VM's record as C(spec).
    type: str
    choices: [generation, disks]
    default: generation
  import_images:
    description:
      - With O(form=generation), also put the images that are in the backup into O(images_root), those that are not there.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Back up the newest recovery point of a VM
  edge.cloud.backup:
    repository: sftp:backup@vault.example:/srv/backup
    password_file: /etc/edge/backup.password
    vm: web
    retention:
      last: 2
      daily: 7
      weekly: 5
      monthly: 12

- name: Back up files, and try whether the backup can be restored
  edge.cloud.backup:
    repository: s3:https://s3.example/backup
    password: "{{ backup_password }}"
    environment:
      AWS_ACCESS_KEY_ID: "{{ backup_key }}"
      AWS_SECRET_ACCESS_KEY: "{{ backup_secret }}"
    init: true
    name: frontend
    paths:
      - /etc/edge
    databases:
      - /var/lib/edge/addresses.sqlite3
    verify: true

- name: The disks of a VM as whole files
  edge.cloud.backup:
    repository: /srv/backup
    password_file: /etc/edge/backup.password
    state: restored
    vm: web
    form: disks
    path: /srv/restored/web

- name: Remove one backup
  edge.cloud.backup:
    repository: /srv/backup
    password_file: /etc/edge/backup.password
    state: absent
    vm: web
    generation: "0.12"
    prune: true
"""

RETURN = r"""
backups:
  description: The backups of the VM or O(name), the oldest first; with O(state=restored) the one that is restored.
  returned: success
  type: list
  elements: dict
  contains:
    snapshot:
      description: Its ID in the repository; null for one that check mode predicts.
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
backup:
  description: What the backup that was made did.
  returned: when one was made
  type: dict
  contains:
    snapshot:
      description: Its ID in the repository.
      type: str
    files_read:
      description: How many files were read.
      type: int
    files_known:
      description: How many files are as in the last backup, and were not read.
      type: int
    bytes_added:
      description: How many bytes are new to the repository, before they are compressed.
      type: int
verified:
  description: What was verified. Anything wrong is an error.
  returned: with O(verify), not in check mode
  type: dict
  contains:
    read_data_subset:
      description: How much of the data was read by the check; null for none.
      type: str
    restored:
      description: The ID of the backup that was restored for a trial.
      type: str
path:
  description: The folder of the restored backup.
  returned: with O(state=restored)
  type: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import socket
from datetime import UTC, datetime
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.reconcile import Backups
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.request import access_of, request_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.restic import Restic
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg

NUMBER = {"type": "int", "default": 0}


def run(module: Any) -> dict[str, Any]:
    asked, access = request_of(module.params), access_of(module.params)
    restic = Restic(ModuleRunner(module, access.variables), access, reading=module.check_mode)
    backups = Backups(restic, QemuImg(ModuleRunner(module)), asked, datetime.now(UTC), socket.gethostname())
    found = backups.run(module.check_mode)
    found.pop("newest", None)
    for warning in found.pop("warnings", ()):
        module.warn(warning)
    return found


def main() -> None:
    run_module(
        run,
        argument_spec={
            "state": {"choices": ["present", "absent", "restored"], "default": "present"},
            "repository": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "password_file": {"type": "path", "no_log": False},
            "environment": {"type": "dict", "default": {}},
            "init": {"type": "bool", "default": False},
            "remove_stale_locks": {"type": "bool", "default": False},
            "vm": {"type": "str"},
            "generation": {"type": "str"},
            "name": {"type": "str"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "databases": {"type": "list", "elements": "path", "default": []},
            "base_images": {"type": "bool", "default": True},
            "root": {"type": "path", "default": "/var/lib/edge/recovery/points"},
            "images_root": {"type": "path", "default": "/var/lib/edge/images"},
            "work_dir": {"type": "path", "default": "/var/lib/edge/backup"},
            "retention": {
                "type": "dict",
                "options": dict.fromkeys(("last", "hourly", "daily", "weekly", "monthly", "yearly"), NUMBER),
            },
            "prune": {"type": "bool", "default": False},
            "verify": {"type": "bool", "default": False},
            "read_data_subset": {"type": "str"},
            "snapshot": {"type": "str"},
            "path": {"type": "path"},
            "form": {"choices": ["generation", "disks"], "default": "generation"},
            "import_images": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
