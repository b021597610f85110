#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.datastore_image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: datastore_image
short_description: Manage an image of the image datastore
version_added: 0.1.0
description:
  - Imports a disk image as an immutable, standalone qcow2 that is named by its digest and described by a manifest.
  - A source that is a sound standalone qcow2 of version 3 is kept byte for byte; any other is converted.
  - Writes the catalogue C(index.json), by which replicas find the digest of a name and version.
  - An image becomes visible only when it is whole, checked and hashed; after any interruption the next run completes the work.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.images
  - edge.cloud.images.tls
  - edge.cloud.marketplace
  - edge.cloud.marketplace.credentials
options:
  name:
    description:
      - The name of the image, up to 128 letters, digits and V(._+-).
    type: str
    required: true
  version:
    description:
      - The version of the image. A name and version mean the same bytes for ever; other bytes need a new version.
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that the image is there, V(absent) that it is not.
      - An image is not removed while a disk under O(disk_directories) uses it as its backing image.
    type: str
    choices: [present, absent]
    default: present
  pinned:
    description:
      - V(true) keeps the image from garbage collection (M(edge.cloud.image_cache) with the O(root) of the datastore), V(false)
        ends that. Without it a pin stays as it is.
      - It does not apply to O(state=absent).
    type: bool
  source:
    description:
      - The absolute path of a file on the host, or an V(http://) or V(https://) URL. Required for an image that is not there yet.
      - At every run the checksum of a file is compared with that of the imported one. Once the image is there, the file may go.
      - A URL needs O(checksum), O(signature) or O(allow_unverified), and is not fetched again when the image is there.
      - A source that is packed with gzip, xz, bzip2 or zstd is unpacked.
      - A source that refers to other files (backing file, external data file, extents) is refused.
    type: str
  checksum:
    description:
      - The checksum that the source must have, V(sha256:) and 64 or V(sha512:) and 128 hexadecimal digits.
      - The URL or absolute path of a checksum file is taken too, with or without V(sha256:) or V(sha512:) before it; what counts is
        the line with the source's file name. It is read only if the image is not there yet. Over plain C(http) it proves nothing.
      - V(image:) and the 64 hexadecimal digits of a digest prove a file of another image datastore (C(HEX.qcow2)).
      - It is that of the source as published, packed or not. For an appliance it replaces the catalogue's.
    type: str
  marketplace:
    description:
      - The marketplace of O(appliance). Its catalogue is read only if the image is not there yet.
    type: dict
    suboptions:
      kind:
        description:
          - The kind of the marketplace, as in M(edge.cloud.appliance_info).
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
          - Each document of the catalogue must have a detached OpenPGP signature at its own URL or path with this appended.
        type: str
      keyring:
        description:
          - The absolute path of the file of public keys; the catalogue's signatures must be by one of them.
          - Without O(marketplace.signature_suffix) each document must be clear-signed.
        type: path
  appliance:
    description:
      - The appliance of O(marketplace) to import, instead of O(source). Exactly one must match; of several versions the
        highest is taken.
      - Of several formats of one version O(format) is taken, else the qcow2, else the C(.img), which is a qcow2 by convention. Of
        others none is better, and the import is refused with their names.
      - What it wants of its VM is kept in the manifest, see RV(image.template).
      - The catalogue must have its sha512 or sha256; md5 and sha1 do not count. A catalogue over plain C(http) without a signature
        proves nothing.
    type: dict
    suboptions:
      id:
        description:
          - The appliance's identifier in the marketplace.
        type: str
      name:
        description:
          - The appliance's name, a pattern without regard to case.
        type: str
      version:
        description:
          - The appliance's version.
        type: str
      os:
        description:
          - The appliance's operating system, a pattern without regard to case.
        type: str
      arch:
        description:
          - The processor architecture that the appliance is for.
        type: str
      role:
        description:
          - A role of the service that is named. The disk is that of the role's appliance, and the manifest has the template of such
            a VM.
        type: str
      disk:
        description:
          - The number of the appliance's disk, from 0.
        type: int
        default: 0
  allow_unverified:
    description:
      - Import from a network although nothing proves the bytes. Their sha256 is recorded as RV(image.source_digest).
    type: bool
    default: false
  signature:
    description:
      - The URL or absolute path of a detached OpenPGP signature of the source as it is published.
      - It must be good and by a key of O(keyring).
    type: str
  keyring:
    description:
      - The absolute path of a file of public keys, armoured or binary.
    type: path
  max_unpacked_size:
    description:
      - A packed source that unpacks to more is refused.
    type: str
    default: 128G
  format:
    description:
      - The format of the source. Without it the format is recognised by its first bytes, if they are unambiguous.
      - Say V(raw) for the raw disk of a guest, which can write the header of another format there.
    type: str
    choices: [qcow2, raw, vmdk, vdi, vhdx, vpc]
  compress:
    description:
      - Convert the source to a compressed qcow2, which is smaller and slower to read.
    type: bool
    default: false
  max_virtual_size:
    description:
      - A source with a larger virtual size is refused. Units are powers of 1024.
    type: str
    default: 2T
  os:
    description:
      - The operating system in the image, for people and filters, such as V(debian 13).
    type: str
  arch:
    description:
      - The processor architecture that the image is for, such as V(x86_64).
    type: str
  min_disk:
    description:
      - The smallest disk that a VM needs for this image. Without it the image's virtual size is enough.
    type: str
  root:
    description:
      - The folder of the image datastore.
    type: path
    default: /var/lib/edge/datastore
requirements:
  - gpgv, for signatures
  - zstd, for sources that are packed with it
notes:
  - In check mode the C(digest), C(size) and C(virtual_size) of a new image are V(null); they are known only after the import.
"""

EXAMPLES = r"""
- name: An image from a file on the Front-end
  edge.cloud.datastore_image:
    name: debian
    version: "13.1"
    source: /srv/incoming/debian-13.qcow2
    os: debian 13
    arch: x86_64

- name: An image from the web
  edge.cloud.datastore_image:
    name: router
    version: "4"
    source: https://images.example/router-4.qcow2
    checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

- name: An image from a private web server, proven by its list of checksums
  edge.cloud.datastore_image:
    name: router
    version: "5"
    source: https://images.example/private/router-5.qcow2
    checksum: https://images.example/private/SHA256SUMS
    credentials:
      username: edge
      password: "{{ images_password }}"

- name: An image from a bucket of an S3-compatible server
  edge.cloud.datastore_image:
    name: router
    version: "6"
    source: https://s3.example/images/router-6.qcow2
    checksum: https://s3.example/images/router-6.qcow2.sha256
    credentials:
      file: /etc/edge/s3.json

- name: The newest image of a marketplace
  edge.cloud.datastore_image:
    name: debian
    version: "13.1"
    marketplace:
      kind: checksums
      url: https://images.example/debian/13/
      signature_suffix: .sign
      keyring: /usr/share/keyrings/images.gpg
    appliance:
      name: debian-genericcloud
      arch: x86_64

- name: No such image any more
  edge.cloud.datastore_image:
    name: router
    version: "3"
    state: absent
"""

RETURN = r"""
image:
  description: The image, or an empty dictionary if it does not exist.
  returned: success
  type: dict
  contains:
    digest:
      description:
        - The image's name for programs, V(sha256:) and 64 hexadecimal digits. It proves its bytes and their pieces; it is not the
          SHA-256 of the file.
      type: str
    path:
      description: The path of its file.
      type: str
    name:
      description: Its name for people.
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
    format:
      description: Its format, always V(qcow2).
      type: str
    piece_size:
      description: The length in bytes of the pieces in which it is pulled.
      type: int
    os:
      description: The operating system in it.
      type: str
    arch:
      description: The processor architecture that it is for.
      type: str
    min_disk:
      description: The smallest disk in bytes that a VM needs for it, 0 for its virtual size.
      type: int
    source:
      description: What it was imported from.
      type: str
    source_digest:
      description: The checksum of what it was imported from.
      type: str
    created:
      description: When it was imported, in UTC.
      type: str
    template:
      description:
        - What a VM of it begins with, as in RV(edge.cloud.appliance_info#module:appliances[].template); null without any.
        - With O(appliance.role), C(service) has the service.
      type: dict
    pinned:
      description: Whether it is kept from garbage collection.
      type: bool
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.checksum_source import checksum_at, is_place
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.credentials import (
    CREDENTIALS_SPEC,
    credentials_of,
    sent_openly,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.datastore import Datastore
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.options import (
    ACCESS_SPEC,
    appliance_spec,
    marketplace_spec,
    offer_by,
    proxy_of,
    signed_by,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path, checksum, size_in_bytes
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.image_plan import diff_view, plan_absent, plan_import, view
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import trust_of


def datastore(module: Any, options: dict[str, Any]) -> Datastore:
    min_disk = size_in_bytes(options["min_disk"], "min_disk") if options["min_disk"] else 0
    trust = trust_of(options["ca_file"], options["cert_file"], options["key_file"], proxy_of(options["proxy"]))
    words: dict[str, Any] = {key: options[key] or "" for key in ("os", "arch", "source")}
    return Datastore(
        Store(absolute_path(options["root"], "root")),
        QemuImg(ModuleRunner(module)),
        ImageDescription(options["name"], options["version"], created="", min_disk=min_disk, **words),
        Rules(
            format=options["format"],
            checksum=checksum(options["checksum"]) if options["checksum"] and not is_place(options["checksum"]) else None,
            compress=options["compress"],
            largest=size_in_bytes(options["max_virtual_size"], "max_virtual_size"),
            largest_unpacked=size_in_bytes(options["max_unpacked_size"], "max_unpacked_size"),
        ),
        trust,
        [Path(folder) for folder in options["disk_directories"]],
        options["allow_unverified"],
    )


def sourced(module: Any, images: Datastore) -> Datastore:
    """Return the datastore with what an import needs, which is not read once the image is there."""
    options = module.params
    given = credentials_of(options["credentials"], options["source"] or (options["marketplace"] or {}).get("url"))
    if warning := sent_openly(given):
        module.warn(warning)
    trust = replace(images.trust, credentials=given)
    images = replace(images, trust=trust, signed=signed_by(options, trust, ModuleRunner(module)))
    if options["appliance"]:
        images = offered(module, images)
    return looked_up(options["checksum"], images) if is_place(options["checksum"]) else images


def offered(module: Any, images: Datastore) -> Datastore:
    """Return the datastore with the appliance as the source."""
    unproven = bool(module.params["checksum"] or images.signed or images.unverified)
    offer = offer_by(module.params, images.trust, ModuleRunner(module), unproven=unproven)
    for note in offer.notes:
        module.warn(note)
    wanted, rules = images.wanted, images.rules
    words: dict[str, Any] = {"os": wanted.os or offer.os, "arch": wanted.arch or offer.arch}
    return replace(
        images,
        origin="appliance",
        wanted=replace(wanted, source=offer.source, template=offer.template, **words),
        rules=replace(rules, checksum=rules.checksum or offer.checksum),
    )


def looked_up(place: str, images: Datastore) -> Datastore:
    """Return the datastore with the checksum that a checksum file has for the source."""
    unproven = bool(images.signed or images.unverified)
    found = checksum_at(place, images.wanted.source, images.trust, unproven=unproven)
    return replace(images, rules=replace(images.rules, checksum=found))


def run(module: Any) -> dict[str, Any]:
    options = module.params
    images = datastore(module, options)
    state = images.observe()
    if options["state"] == "absent":
        plan = plan_absent(state, with_catalogue=True)
        images.require_unused(plan)
    else:
        images = sourced(module, images) if state.image is None else images
        images.require_same_source(state)
        given = {key: getattr(images.wanted, key) for key in ("os", "arch", "min_disk") if options[key] is not None}
        plan = plan_import(state, images.predicted(), given, options["pinned"])
    if not module.check_mode:
        execute(plan, lambda step: images.apply(step, time.time()))
    result = plan.after if module.check_mode or not plan.changed else images.observe()
    return {**plan_result(plan, diff_view, "image"), "image": dict(view(result))}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"required": True},
            "version": {"required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "pinned": {"type": "bool"},
            "source": {},
            "checksum": {},
            "marketplace": marketplace_spec(required=False),
            "appliance": appliance_spec(),
            "allow_unverified": {"type": "bool", "default": False},
            "signature": {},
            "keyring": {"type": "path", "no_log": False},
            "max_unpacked_size": {"default": "128G"},
            **ACCESS_SPEC,
            "credentials": CREDENTIALS_SPEC,
            "format": {"choices": ["qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc"]},
            "compress": {"type": "bool", "default": False},
            "max_virtual_size": {"default": "2T"},
            "os": {},
            "arch": {},
            "min_disk": {},
            "root": {"type": "path", "default": "/var/lib/edge/datastore"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
            "ca_file": {"type": "path"},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path", "no_log": False},
        },
        mutually_exclusive=[("source", "appliance")],
        required_together=[("appliance", "marketplace"), ("signature", "keyring")],
    )


if __name__ == "__main__":
    main()
