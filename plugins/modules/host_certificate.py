#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.host_certificate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificate
short_description: Sign the certificate of a host
version_added: 0.1.0
description:
  - Signs a certificate with the key of a certificate authority (CA). It runs on the host of the CA and writes no file; the
    certificate is returned.
  - Of the request of a host, only the public key is used. Whatever names and rights it asks for, the certificate has those of
    O(common_name) and O(names), and may authenticate a server and a client, nothing else.
  - O(present) is returned as it is while it is valid, for O(renew_before_days) more days and no longer than O(days), has this key
    and these names, in any order, and is signed by this CA. One that ends with the CA is not renewed.
  - A certificate is valid from a day ago, for hosts whose clock is behind, and ends no later than that of the CA. Nothing is signed
    when the clock of the CA's host is outside the time of the CA.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  request:
    description:
      - The certificate request of the host in PEM, for a key of the elliptic curve P-256, P-384 or P-521.
    type: str
    required: true
  present:
    description:
      - The certificate that the host has, in PEM.
    type: str
  common_name:
    description:
      - The common name, at most 64 characters.
    type: str
    required: true
  names:
    description:
      - The subject alternative names, such as V(DNS:host1.example) or V(IP:192.0.2.10). Of an address such as V(IP:fe80::1%eth0),
        what follows the percent sign is left out.
    type: list
    elements: str
    required: true
  names_of_others:
    description:
      - Names and addresses of other hosts, such as V(host2.example) or V(192.0.2.11). A certificate with one of them, or with a
        wildcard that covers it, is refused.
    type: list
    elements: str
    default: []
  ca_certificate:
    description:
      - The file of the CA's certificate.
    type: path
    default: /etc/edge/pki/ca/ca.crt
  ca_key:
    description:
      - The file of the CA's key.
    type: path
    default: /etc/edge/pki/ca/ca.key
  days:
    description:
      - The days that a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description:
      - A certificate that ends within this many days is renewed. Less than O(days), of which it is half by default.
    type: int
  force:
    description:
      - Sign a new certificate, whatever O(present) is.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Sign the certificate of a host
  edge.cloud.host_certificate:
    request: "{{ lookup('ansible.builtin.file', 'host1.example.csr') }}"
    common_name: host1.example
    names:
      - DNS:host1.example
      - IP:192.0.2.10
  delegate_to: frontend.example
"""

RETURN = r"""
certificate:
  description: The certificate in PEM, O(present) or a new one. In check mode it is empty if a new one would be signed.
  returned: success
  type: str
ca_certificate:
  description: The certificate of the CA in PEM.
  returned: success
  type: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._host.authority.signing import (
    Authority,
    Wanted,
    public_key_of,
    require_own,
)
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module


def of_ca(options: dict[str, Any], option: str) -> bytes:
    """Return a file of the CA."""
    try:
        return Path(options[option]).read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"{option}: {options[option]} is not on this host, so there is no CA here. Run the role edge.cloud.pki on pki_ca_host "
            "first. If the CA is lost, restore its backup (see docs/security.md).",
            option=option,
        ) from None


def run(module: Any) -> dict[str, Any]:
    options = module.params
    days, before = options["days"], options["renew_before_days"]
    wanted = Wanted(options["common_name"], tuple(options["names"]), days, days // 2 if before is None else before)
    require_own(wanted.names, options["names_of_others"])
    own = of_ca(options, "ca_certificate")
    authority, key = Authority.load(own, of_ca(options, "ca_key")), public_key_of(options["request"].encode())
    present, now = (options["present"] or "").encode(), datetime.now(UTC)
    why = authority.why_new(present, key, wanted, now) or ("a new one is asked for" if options["force"] else None)
    if why:
        authority.require_valid(now)
    certificate = present if why is None else b"" if module.check_mode else authority.sign(key, wanted, now)
    actions = [f"Sign a certificate for {wanted.common_name}: {why}."] if why else []
    return {"changed": bool(why), "certificate": certificate.decode(), "ca_certificate": own.decode(), "actions": actions}


def main() -> None:
    spec = {
        "request": {"type": "str", "required": True},
        "present": {"type": "str"},
        "common_name": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "required": True},
        "names_of_others": {"type": "list", "elements": "str", "default": []},
        "ca_certificate": {"type": "path", "default": "/etc/edge/pki/ca/ca.crt"},
        "ca_key": {"type": "path", "default": "/etc/edge/pki/ca/ca.key", "no_log": False},
        "days": {"type": "int", "default": 365},
        "renew_before_days": {"type": "int"},
        "force": {"type": "bool", "default": False},
    }
    run_module(run, argument_spec=spec)


if __name__ == "__main__":
    main()
