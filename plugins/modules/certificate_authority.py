#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.certificate_authority."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: What the internal CA has signed and revoked, and its successor
version_added: 0.1.0
description:
  - Records the certificates that the CA signed, revokes those of a host, and signs the revocation list, on the CA's host.
  - The CA itself, and the certificates, are made by the role C(pki), which also gives every host the results of this module.
  - A revocation list is signed again when it changes and when half of its life has passed.
  - A certificate is revoked for ever. One of a host that is not among O(members) is held only, with O(hold_removed=true), which
    refuses it like a revoked one until the host is among them again.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
requirements:
  - cryptography >= 38
options:
  path:
    description:
      - The folder of the CA, with C(ca.crt) and C(ca.key).
    type: path
    default: /etc/edge/pki/ca
  issued:
    description:
      - Certificates to record. One whose key is that of a revoked certificate is refused.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the host in the inventory.
        type: str
        required: true
      certificate:
        description: The certificate in PEM.
        type: str
        required: true
  revoked:
    description:
      - Hosts whose certificates are all revoked, for ever. A name that the CA never signed for is an error.
    type: list
    elements: str
    default: []
  members:
    description:
      - The hosts that may hold certificates. RV(removed) lists others. No host is missing without this option.
    type: list
    elements: str
  hold_removed:
    description:
      - Refuse the certificates of hosts that are not O(members), and admit them again when they are.
      - That half of the hosts or more, and more than one, are gone is an error; a run with a part of the inventory looks so.
    type: bool
    default: false
  delivered:
    description:
      - Hosts that have got RV(bundle) and RV(lists) with this O(digest). RV(behind) tells of the others.
    type: list
    elements: str
    default: []
  digest:
    description:
      - The RV(digest) that O(delivered) have.
    type: str
  list_days:
    description:
      - Days that a new revocation list is valid. Servers refuse everybody once it has ended, so it must outlive every certificate.
    type: int
    default: 3650
  rotation:
    description:
      - How far the change to a new CA has come, for the playbook C(rotate_ca). V(overlap) makes the next CA beside the current one,
        V(switched) lets the next one sign, and V(finished) retires the previous one. Nothing changes without this option.
    type: str
    choices: [overlap, switched, finished]
"""

EXAMPLES = r"""
- name: A host is refused from now on
  edge.cloud.certificate_authority:
    revoked: [edge7.example]

- name: Refuse hosts that are no longer in the inventory, until they are back
  edge.cloud.certificate_authority:
    members: "{{ groups['all'] }}"
    hold_removed: true
"""

RETURN = r"""
authority:
  description: The CA afterwards.
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
      description: The hosts of which certificates were revoked. They may hold others.
      type: list
      elements: str
    rotating:
      description: Whether there is more than one CA.
      type: bool
removed:
  description: The hosts that hold a valid certificate and are not O(members).
  returned: success
  type: list
  elements: str
behind:
  description: The hosts, of O(members) that hold a certificate, that are not known to have RV(bundle) and RV(lists) as they are.
  returned: success
  type: list
  elements: str
digest:
  description: A digest of RV(bundle) and RV(lists).
  returned: success
  type: str
bundle:
  description: The certificates of the CAs that hosts are to trust, in PEM.
  returned: success
  type: str
lists:
  description: Their revocation lists, in PEM.
  returned: success
  type: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

from datetime import UTC, datetime
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._host.authority import rotation, state, x509
from ansible_collections.edge.cloud.plugins.module_utils._host.authority.folder import Folder, checked_name
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path


def wanted(options: dict[str, Any]) -> state.Wanted:
    """Read the options once."""
    if options["list_days"] < 2:
        raise InvalidInput("list_days: a revocation list is valid for 2 days or more.")
    if options["delivered"] and not options["digest"]:
        raise InvalidInput("digest: say which digest the hosts of delivered have.")
    x509.require()
    issued = [
        (checked_name(one["name"]), x509.certificate(one["certificate"].encode(), f"issued: {one['name']}"))
        for one in options["issued"]
    ]
    delivered = [checked_name(name) for name in options["delivered"]]
    return state.Wanted(issued, options["revoked"], options["members"], options["hold_removed"], delivered, options["digest"] or "",
                        options["list_days"])  # fmt: skip


def run(module: Any) -> dict[str, Any]:
    options, now = module.params, datetime.now(UTC)
    asked, folder = wanted(options), Folder(absolute_path(options["path"]))
    with folder.hold():
        moves = rotation.pending(folder, options["rotation"])
        if moves and not module.check_mode:
            rotation.advance(folder, options["rotation"], now, options["list_days"])
        plan = state.plan(folder.observe(), asked, now)
        if not module.check_mode:
            folder.apply(plan, now, options["list_days"])
        after = plan.after if module.check_mode else folder.observe()
        result = plan_result(plan, state.view, "authority", after)
        result["actions"] = moves + result["actions"]
        there = {"bundle": folder.joined("crt"), "lists": folder.joined("crl"), "digest": folder.digest()}
    found = {"removed": state.removed(after, asked.members, now), "behind": state.behind(after, asked.members, there["digest"])}
    return {**result, **there, **found, "changed": bool(result["actions"])}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/etc/edge/pki/ca"},
            "issued": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": {"required": True}, "certificate": {"required": True}},
            },
            "revoked": {"type": "list", "elements": "str", "default": []},
            "members": {"type": "list", "elements": "str"},
            "hold_removed": {"type": "bool", "default": False},
            "delivered": {"type": "list", "elements": "str", "default": []},
            "digest": {},
            "list_days": {"type": "int", "default": 3650},
            "rotation": {"choices": ["overlap", "switched", "finished"]},
        },
    )


if __name__ == "__main__":
    main()
