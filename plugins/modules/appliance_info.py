#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.appliance_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: appliance_info
short_description: List what a marketplace offers
version_added: 0.1.0
description:
  - Reads the catalogue of a marketplace and lists the appliances that match.
  - Catalogues are cached on disk; a marketplace that did not change does not send its catalogue again.
  - An entry that cannot be read is listed under RV(skipped) and hides no other.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.images.tls
  - edge.cloud.marketplace
  - edge.cloud.marketplace.credentials
options:
  marketplace:
    description:
      - The marketplace to read.
    type: dict
    required: true
    suboptions:
      kind:
        description:
          - V(opennebula) is a marketplace with OpenNebula's JSON.
          - V(index) is an image datastore of this collection, served over HTTP or as a folder.
          - V(simplestreams) is what Ubuntu and LinuxContainers publish; appliances are the disks of VMs, not containers.
          - V(checksums) is a web folder with C(SHA512SUMS), C(SHA256SUMS), C(CHECKSUM) or C(sha256sums), or the checksum file,
            also one for a single image (C(a.qcow2.sha256)).
          - V(folder) is a folder of the host with images and, if there are any, such files.
        type: str
        required: true
        choices: [opennebula, index, simplestreams, checksums, folder]
      url:
        description:
          - The V(https://) or V(http://) URL of the marketplace.
        type: str
      path:
        description:
          - The absolute path of the marketplace's files on the host.
        type: path
      signature_suffix:
        description:
          - Each document of the catalogue must have a detached OpenPGP signature at its own URL or path with this appended,
            such as V(.sign) or V(.gpg).
        type: str
      keyring:
        description:
          - The absolute path of the file of public keys, armoured or binary; signatures must be by one of them.
          - Without O(marketplace.signature_suffix) each document must be clear-signed, and only its signed text is read.
        type: path
  id:
    description:
      - List only the appliance with this identifier.
    type: str
  name:
    description:
      - List only appliances with this name, a pattern such as V(debian*) without regard to case.
    type: str
  os:
    description:
      - List only appliances with this operating system, a pattern without regard to case.
    type: str
  arch:
    description:
      - List only appliances for this processor architecture. V(amd64) and V(x86_64) are the same.
    type: str
  version:
    description:
      - List only appliances of this version, or with V(newest) the highest version of each name and architecture. If it is there
        in several formats, only the qcow2 is listed, else the C(.img), which is a qcow2 by convention, else one of each format.
    type: str
  limit:
    description:
      - List at most this many appliances.
    type: int
    default: 1000
requirements:
  - gpgv, for signatures
"""

EXAMPLES = r"""
- name: The newest cloud images of a web folder, signed
  edge.cloud.appliance_info:
    marketplace:
      kind: checksums
      url: https://images.example/debian/13/
      signature_suffix: .sign
      keyring: /usr/share/keyrings/images.gpg
    name: debian-genericcloud
    arch: x86_64
    version: newest
  register: offered

- name: What a marketplace offered in the last day
  edge.cloud.appliance_info:
    marketplace:
      kind: opennebula
      url: https://marketplace.example
    max_age: 86400
"""

RETURN = r"""
appliances:
  description: The appliances that match, by name and architecture, then from the lowest version to the highest.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its identifier in the marketplace.
      type: str
    name:
      description: Its name.
      type: str
    version:
      description: Its version, V(0) if the marketplace gives none.
      type: str
    os:
      description: The operating system in it, in lower case.
      type: str
    arch:
      description: The processor architecture that it is for, as the kernel writes it.
      type: str
    kind:
      description: V(IMAGE), V(VMTEMPLATE) or V(SERVICE_TEMPLATE).
      type: str
    tags:
      description: Its tags in the marketplace.
      type: list
      elements: str
    files:
      description:
        - Its disks, each with C(url), C(size), C(virtual_size), C(checksums) and C(format) as far as they are known.
        - A VM template has those of the images that it refers to.
      type: list
      elements: dict
    template:
      description:
        - What a VM of it begins with, or, where its C(kind) is V(service), VMs that belong together; null without any.
        - That of a VM has C(memory) and disk sizes in bytes, C(vcpus), C(cpu) (the share of the host's CPUs), C(firmware),
          C(display), C(disks) and C(nics) (C(role) is the network that one is for), C(context), C(values) of its variables, and
          C(inputs).
        - A service has C(deployment) (V(straight) or V(none)), C(roles) in the order in which they start, each with C(cardinality),
          C(minimum), C(maximum), C(parents), the C(appliance) that it begins as and a C(template) that goes over the appliance's,
          then C(networks) and C(inputs).
        - Each of C(inputs) has C(name), C(type), C(mandatory), C(text) (the question), C(default), C(choices), C(minimum) and
          C(maximum).
        - An C(appliance) has C(name) and C(id) in this marketplace; C(id) is null where it is not there, and C(marketplace) is
          the URL of another one.
        - C(dropped) lists what was not taken, with C(attribute) and C(reason).
      type: dict
matched:
  description: How many appliances match, listed or not.
  returned: success
  type: int
skipped:
  description:
    - The entries of the catalogue that cannot be used, each with its C(entry) and the C(reason), documents that could not be read,
      and lines of checksum files that were not understood.
  returned: success
  type: list
  elements: dict
proven:
  description: Whether the catalogue is authentic, because it was read over TLS, is signed, or is on the host.
  returned: success
  type: bool
"""

from dataclasses import replace
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.credentials import (
    CREDENTIALS_SPEC,
    credentials_of,
    sent_openly,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.choice import Query, select
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.options import (
    ACCESS_SPEC,
    marketplace_of,
    marketplace_spec,
    proxy_of,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import trust_of


def run(module: Any) -> dict[str, Any]:
    options = module.params
    if options["limit"] < 1:
        raise InvalidInput(f"limit: {options['limit']} is less than 1.", option="limit")
    trust = trust_of(options["ca_file"], options["cert_file"], options["key_file"], proxy_of(options["proxy"]))
    given = credentials_of(options["credentials"], options["marketplace"]["url"])
    if warning := sent_openly(given):
        module.warn(warning)
    market = marketplace_of(options, replace(trust, credentials=given), ModuleRunner(module))
    found = market.read()
    query = Query(**{key: options[key] for key in ("name", "os", "arch", "version", "id")})
    matched = select(found.appliances, query)
    return {
        "changed": False,
        "appliances": [one.view() for one in matched[: options["limit"]]],
        "matched": len(matched),
        "skipped": [one.view() for one in found.skipped],
        "proven": market.proven,
    }


def main() -> None:
    run_module(
        run,
        argument_spec={
            "marketplace": marketplace_spec(required=True),
            "id": {},
            "name": {},
            "os": {},
            "arch": {},
            "version": {},
            "limit": {"type": "int", "default": 1000},
            **ACCESS_SPEC,
            "credentials": CREDENTIALS_SPEC,
            "ca_file": {"type": "path"},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path", "no_log": False},
        },
    )


if __name__ == "__main__":
    main()
