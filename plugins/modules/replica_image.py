#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.replica_image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: replica_image
short_description: Manage an image of a replica or host cache
version_added: 0.1.0
description:
  - Pulls an image from the first source that has it, resumes where an earlier pull broke, verifies every piece as it arrives and
    the whole at the end, and goes on with the next source when one fails or gives wrong bytes.
  - One pull runs on a host for each image; a second task for the same image waits for it and fetches nothing.
  - An image becomes visible under its name only when it is whole.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.images
  - edge.cloud.images.tls
options:
  digest:
    description:
      - The digest of the image, V(sha256:) and 64 hexadecimal digits. The most exact way to name an image.
    type: str
  name:
    description:
      - The name of the image, if O(digest) is not given.
    type: str
  version:
    description:
      - The version of the image. With it, an image that is here is found without asking a source.
      - Without it the first source that answers decides, and the highest version is taken; V(12.9) is lower than V(12.10), and
        V(13~rc1) lower than V(13).
    type: str
  state:
    description:
      - V(present) makes sure that the image is here, V(absent) that it is not.
      - An image is not removed while a disk under O(disk_directories) uses it as its backing image.
    type: str
    choices: [present, absent]
    default: present
  pinned:
    description:
      - V(true) keeps the image from garbage collection, V(false) ends that. Without it a pin stays as it is.
      - It does not apply to O(state=absent).
    type: bool
  sources:
    description:
      - Where to pull from, in order; V(https://) URLs of image datastores and replicas, or absolute paths of stores on this host.
      - Without it a host of a cluster (C(/etc/edge/cluster.json)) pulls by the rule of its cluster; see O(cluster_file).
      - Required only if the image is not here and the host is in no cluster.
    type: list
    elements: str
    default: []
  cluster_file:
    description:
      - A description of the host's cluster, as the role C(edge.cloud.host) writes it to C(/etc/edge/cluster.json), which is the
        default where that file is and O(sources) is not given. With it the image is pulled by the rule of
        the cluster, so that it crosses the WAN once; from peers and replicas that have it, otherwise by a request to the first
        reachable replica, and from the Front-end only if no replica can be reached.
      - The certificate files are those that it names; O(sources), O(ca_file), O(cert_file) and O(key_file) are not used.
    type: path
  root:
    description:
      - The folder of this host's images.
    type: path
    default: /var/lib/edge/images
  rate_limit:
    description:
      - The largest rate of the pull, in bytes a second. Without it the rate is not limited.
    type: int
  progress_file:
    description:
      - A file on the host for one line about the progress of the pull, written at most once a second.
    type: path
"""

EXAMPLES = r"""
- name: An image of the Front-end, by name and version
  edge.cloud.replica_image:
    name: debian
    version: "13.1"
    sources:
      - https://frontend.example:8443/
    ca_file: /etc/edge/pki/ca.crt
    cert_file: /etc/edge/pki/host.crt
    key_file: /etc/edge/pki/host.key

- name: An image by digest, kept, from a peer if it has it
  edge.cloud.replica_image:
    digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    pinned: true
    sources:
      - https://replica1.example:8443/
      - https://frontend.example:8443/
    ca_file: /etc/edge/pki/ca.crt
    cert_file: /etc/edge/pki/host.crt
    key_file: /etc/edge/pki/host.key

- name: An image by the rule of the cluster, which crosses the WAN once
  edge.cloud.replica_image:
    name: debian
    version: "13.1"

- name: No such image on this host
  edge.cloud.replica_image:
    name: debian
    version: "12.4"
    state: absent
"""

RETURN = r"""
image:
  description: The image as M(edge.cloud.datastore_image) shows it, or an empty dictionary if it is not here.
  returned: success
  type: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    path:
      description: The path of its file, the backing image for disks.
      type: str
    name:
      description: Its name.
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
    template:
      description:
        - What a VM of it begins with, as in RV(edge.cloud.appliance_info#module:appliances[].template); null without any.
      type: dict
    pinned:
      description: Whether it is kept from garbage collection.
      type: bool
bytes_fetched:
  description: The bytes of the image that came from sources in this run, 0 in check mode.
  returned: success
  type: int
bytes_reused:
  description:
    - The bytes that an older image on this host had already, which were copied there and not fetched, 0 in check mode.
  returned: success
  type: int
sources:
  description: The sources that gave bytes in this run.
  returned: success
  type: list
  elements: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import time
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._cluster import load, load_if_there
from ansible_collections.edge.cloud.plugins.module_utils._errors import about_option
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.cluster_replica import ClusterReplica
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.replica import Choice, Replica, Work, sources_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path, optional_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.image_plan import diff_view, view
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import trust_of


def replica_of(options: dict[str, Any]) -> Replica:
    store = Store(absolute_path(options["root"], "root"))
    if options["cluster_file"]:
        with about_option("cluster_file"):
            return ClusterReplica.of(load(absolute_path(options["cluster_file"], "cluster_file")), store)
    here = load_if_there() if options["state"] == "present" and not options["sources"] else None
    if here is not None:
        return ClusterReplica.of(here, store)
    trust = trust_of(options["ca_file"], options["cert_file"], options["key_file"])
    return Replica(store, sources_of(options["sources"], trust))


def run(module: Any) -> dict[str, Any]:
    options = module.params
    replica = replica_of(options)
    choice = Choice(options["digest"], options["name"], options["version"])
    work = Work(
        replica,
        choice,
        [Path(folder) for folder in options["disk_directories"]],
        optional_path(options["progress_file"], "progress_file"),
        rate_limit=options["rate_limit"],
    )
    plan = work.plan(options["state"], options["pinned"])
    if not module.check_mode:
        execute(plan, lambda step: work.apply(step, time.time()))
        work.keep(plan, time.time())
    result = {**plan_result(plan, diff_view, "image"), "image": dict(view(plan.after if module.check_mode else work.observe()))}
    return {**result, "bytes_fetched": work.bytes_fetched, "bytes_reused": work.bytes_reused, "sources": list(work.used)}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "digest": {},
            "name": {},
            "version": {},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "pinned": {"type": "bool"},
            "sources": {"type": "list", "elements": "str", "default": []},
            "cluster_file": {"type": "path"},
            "root": {"type": "path", "default": "/var/lib/edge/images"},
            "rate_limit": {"type": "int"},
            "progress_file": {"type": "path"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
            "ca_file": {"type": "path"},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path", "no_log": False},
        },
        required_one_of=[("digest", "name")],
        mutually_exclusive=[("digest", "name"), ("digest", "version")],
    )


if __name__ == "__main__":
    main()
