#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.host_certificate_request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificate_request
short_description: The keys of a host, and the requests for certificates of them
version_added: 0.1.0
description:
  - Makes the keys that are missing, of the elliptic curve P-256, and returns a request for each and the certificates that the host
    has. A key never leaves the host, and one that is there is never replaced.
  - M(edge.cloud.host_certificate) signs the requests on the CA's host. The role C(pki) uses both.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
requirements:
  - cryptography >= 38
options:
  path:
    description:
      - The folder of the keys and certificates. It is made if it is missing.
    type: path
    default: /etc/edge/pki
  certificates:
    description:
      - The certificates that the host is to have.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of its files C(NAME.key) and C(NAME.crt).
        type: str
        required: true
      common_name:
        description: The common name that is asked for. M(edge.cloud.host_certificate) decides the names.
        type: str
        required: true
      group:
        description: The group that may read the key, beside root.
        type: str
        default: root
"""

EXAMPLES = r"""
- name: Ask for the certificate of this host
  edge.cloud.host_certificate_request:
    certificates:
      - name: host
        common_name: "{{ inventory_hostname }}"
  register: asked
"""

RETURN = r"""
requests:
  description: What is asked for, in the order of O(certificates).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of its files.
      type: str
    common_name:
      description: The common name.
      type: str
    request:
      description: The request in PEM. In check mode it is empty if the key would be made.
      type: str
    present:
      description: The certificate that is there, in PEM; empty without one.
      type: str
trusted:
  description: The CAs that the host trusts, C(ca.crt), in PEM; empty without that file.
  returned: success
  type: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import grp
import os
import re
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._files import locked
from ansible_collections.edge.cloud.plugins.module_utils._host.authority import asking, x509
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def wanted(options: dict[str, Any]) -> list[asking.Asked]:
    """Read the options once."""
    found = []
    for place, one in enumerate(options["certificates"]):
        if not NAME.fullmatch(one["name"]):
            raise InvalidInput(f"certificates[{place}].name: {one['name']!r:.100} is not lower-case letters, digits and hyphens.")
        try:
            group = grp.getgrnam(one["group"]).gr_gid
        except KeyError:
            raise InvalidInput(f"certificates[{place}].group: there is no group {one['group']} on this host.") from None
        found.append(asking.Asked(one["name"], one["common_name"], group))
    return found


def act(path: Path, one: asking.Asked, check: bool) -> list[str]:
    """Make the key, or set who may read it; return what was done."""
    if check and not path.exists():
        return [f"Make the key {path}."]
    if not path.exists():
        with locked(path.with_name(".keys.lock")):
            if not path.exists():
                asking.new_key(path, one.group)
                return [f"Make the key {path}."]
    why = asking.why_set(path, one.group)
    if why and not check:
        os.chown(path, 0, one.group)
        path.chmod(asking.MODE)
    return [f"Set who may read {path}: {why}."] if why else []


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def run(module: Any) -> dict[str, Any]:
    x509.require()
    folder, check = absolute_path(module.params["path"]), module.check_mode
    certificates, actions, requests = wanted(module.params), [], []
    if not check:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for one in certificates:
        path = folder / f"{one.name}.key"
        actions += act(path, one, check)
        asked = asking.request(asking.read_key(path), one.common_name) if path.exists() else ""
        requests.append(
            {"name": one.name, "common_name": one.common_name, "request": asked, "present": text(folder / f"{one.name}.crt")}
        )
    return {"changed": bool(actions), "actions": actions, "requests": requests, "trusted": text(folder / "ca.crt"),
            "diff": {"before": {}, "after": {"actions": actions} if actions else {}}}  # fmt: skip


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/etc/edge/pki"},
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"name": {"required": True}, "common_name": {"required": True}, "group": {"default": "root"}},
            },
        },
    )


if __name__ == "__main__":
    main()
