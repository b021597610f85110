#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.certificate_authority_backup."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority_backup
short_description: A backup of the internal CA, and the CA from its backup
version_added: 0.1.0
description:
  - Returns all of the CA as one text, read while nothing signs, or with O(restore) makes the CA of such a text.
  - The backup has the key of the CA, so whoever reads it can pose as any host. Use C(no_log=true), and keep it encrypted, as the
    playbooks C(backup_ca) and C(restore_ca) do.
  - A CA whose key is not that of its certificate, or of which something cannot be read, is not backed up and not restored.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
requirements:
  - cryptography >= 38
options:
  path:
    description:
      - The folder of the CA. With O(restore) it must be missing, empty, hold just what the backup has, or be what an earlier run
        restored of the same backup.
    type: path
    default: /etc/edge/pki/ca
  restore:
    description:
      - A backup, as RV(backup) has it. Nothing changes without this option.
    type: str
  lists:
    description:
      - With O(restore), the revocation lists that hosts have. A certificate that the newest of them refuses is refused if the
        backup does not have it so, as that was after the backup was made. It is revoked, or held until its host is in the
        inventory, as the list says.
      - Lists that are older than the backup do not count, since what they refuse may have been admitted again.
      - A later run with the same O(restore) reads lists that are newer than those that the earlier one had, of hosts that did not
        answer then. What the restored CA signs does not count.
    type: list
    elements: str
    default: []
  allow_forgotten:
    description:
      - With O(restore), restore it although hosts refuse certificates that the backup does not know, which are let in again then.
        Otherwise that is an error.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Read the CA
  edge.cloud.certificate_authority_backup:
  no_log: true
  register: ca

- name: Make the CA of a backup
  edge.cloud.certificate_authority_backup:
    restore: "{{ lookup('ansible.builtin.unvault', '/srv/backup/ca.vault') | trim }}"
  no_log: true
"""

RETURN = r"""
backup:
  description: A tar archive of the folder, in Base64.
  returned: without O(restore)
  type: str
authority:
  description: The CA, as M(edge.cloud.certificate_authority) returns it.
  returned: success
  type: dict
  contains:
    trusted:
      description: The names of the CAs that hosts are to trust; the first one signs.
      type: list
      elements: str
    issued:
      description: The hosts that hold a valid certificate.
      type: list
      elements: str
    held:
      description: The hosts whose certificates are refused while they are not in the inventory.
      type: list
      elements: str
    revoked:
      description: The hosts of which certificates were revoked.
      type: list
      elements: str
    rotating:
      description: Whether there is more than one CA.
      type: bool
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import base64
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._files import locked
from ansible_collections.edge.cloud.plugins.module_utils._host.authority import backup, restoring, state, x509
from ansible_collections.edge.cloud.plugins.module_utils._host.authority.folder import Folder
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path


def saved(path: Path) -> dict[str, Any]:
    """Return the CA as one text."""
    folder = Folder(path)
    with folder.hold():
        found, archive = backup.prove(folder), backup.pack(backup.read(path))
    return {"changed": False, "actions": [], "authority": state.view(found), "backup": base64.b64encode(archive).decode()}


def restored(path: Path, options: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make the CA of a backup: whole and proven under another name first."""
    files = backup.unpack(_decoded(options["restore"]))
    mark = restoring.mark_of(path, files)
    if path.is_dir() and (mark or backup.read(path) == files):
        return _again(path, files, mark, options, check)
    backup.require_place(path)
    if check:
        with tempfile.TemporaryDirectory(prefix="edge-ca-", dir=_memory()) as made:
            return _restore(Path(made, "ca"), path, files, options, True)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(path.parent / f".{path.name}.restore.lock"):
        work = path.parent / f".{path.name}.restore"
        try:
            return _restore(work, path, files, options, False)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise InvalidInput("restore: this is not a backup: it is not Base64. Decrypt it first if it is encrypted.") from None


def _restore(work: Path, path: Path, files: backup.Files, options: dict[str, Any], check: bool) -> dict[str, Any]:
    folder = backup.lay(files, work)
    found = backup.prove(folder)
    mark = restoring.Mark.first(files, found)
    if not check:
        mark.after({}, datetime.now(UTC)).write(work)
    plan = _refuse(folder, found, mark, options, check)
    if not check:
        backup.put(work, path)
    return _result([f"Restore the CA to {path}.", *plan.actions], {}, plan.after)


def _again(path: Path, files: backup.Files, mark: restoring.Mark | None, options: dict[str, Any], check: bool) -> dict[str, Any]:
    """Refuse what only hosts refuse that no earlier run has read; the CA itself is there."""
    folder = Folder(path)
    with folder.hold():
        found = backup.prove(folder)
        plan = _refuse(folder, found, mark or restoring.Mark.first(files, found), options, check)
    return _result(list(plan.actions), state.view(found), plan.after)


def _refuse(folder: Folder, found: state.State, mark: restoring.Mark, options: dict[str, Any], check: bool) -> Plan[state.State]:
    now, newest = datetime.now(UTC), restoring.newest_lists(found, options["lists"], mark)
    plan: Plan[state.State] = Plan(found, tuple(restoring.refused_by_hosts(found, newest, options["allow_forgotten"])))
    if newest and not check:
        folder.apply(plan, now, 0)  # the lists are signed by the next run of the role
        mark.after(restoring.numbers(newest, found), now).write(folder.path)
    return plan


def _memory() -> str | None:
    """Return a folder that is not a disk, for a key that is not to stay."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _result(actions: list[str], before: dict[str, Any], found: state.State) -> dict[str, Any]:
    after = state.view(found)
    return {"changed": bool(actions), "actions": actions, "authority": after, "diff": {"before": before, "after": after}}


def run(module: Any) -> dict[str, Any]:
    x509.require()
    path = absolute_path(module.params["path"])
    return restored(path, module.params, module.check_mode) if module.params["restore"] is not None else saved(path)


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/etc/edge/pki/ca"},
            "restore": {"no_log": True},
            "lists": {"type": "list", "elements": "str", "default": []},
            "allow_forgotten": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
