#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.image_scrub."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_scrub
short_description: Verify and repair the images of a host
version_added: 0.1.0
description:
  - Reads every image of a replica or host cache whole, from the disk and not from the page cache, and compares it with its digest.
  - A damaged image is repaired piece by piece from another source; its good pieces are not fetched. The damaged file is never
    written to; a new one takes its name when all its pieces are verified.
  - A run that was interrupted goes on where it was, unless it began more than 30 days ago.
  - A sector or manifest that cannot be read is damage of its own image only.
  - A running VM keeps the damaged file open until it is stopped and started.
  - The task fails if an image is damaged and no source can repair it; all others are repaired first.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.images
  - edge.cloud.images.tls
options:
  repair:
    description:
      - Repair damaged images. With V(false) they are only reported.
    type: bool
    default: true
  rate_limit:
    description:
      - The largest rate at which images are read, in bytes a second. V(0) does not limit it.
    type: int
    default: 52428800
  sources:
    description:
      - Where to fetch whole pieces from, in order; V(https://) URLs of image datastores and replicas, or absolute paths of stores
        on this host.
      - Without it a host of a cluster (C(/etc/edge/cluster.json)) asks the other replicas, then the Front-end, with the certificate
        files that are named there.
    type: list
    elements: str
    default: []
  root:
    description:
      - The folder of the images.
    type: path
    default: /var/lib/edge/images
"""

EXAMPLES = r"""
- name: Every image is what its digest says
  edge.cloud.image_scrub:
    sources:
      - https://replica2.example:8443/
      - https://frontend.example:8443/
    ca_file: /etc/edge/pki/ca.crt
    cert_file: /etc/edge/pki/host.crt
    key_file: /etc/edge/pki/host.key
"""

RETURN = r"""
scrub:
  description: The health of the images afterwards.
  returned: success
  type: dict
  contains:
    damaged:
      description: The digests of the images that are damaged.
      type: list
      elements: str
checked:
  description: How many images were read.
  returned: success
  type: int
damaged:
  description: The damaged images that were found.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    image:
      description: Its name and version; empty if its manifest is damaged or its length is wrong.
      type: str
    used_by:
      description: The disks that use it. A VM that runs on one reads the damaged file until it is stopped and started.
      type: list
      elements: str
    doubts:
      description: Why there may be other users that cannot be seen now, and what to do.
      type: list
      elements: str
    pieces:
      description: The indexes of its damaged pieces; empty if its manifest is damaged or its length is wrong.
      type: list
      elements: int
repaired:
  description: The digests of the images that were or would be repaired.
  returned: success
  type: list
  elements: str
bytes_fetched:
  description: The bytes that came from sources in this run, 0 in check mode.
  returned: success
  type: int
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import time
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._cluster import load_if_there
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.cluster_replica import sources_in
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.replica import sources_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.scrub import Scrub, limit_of, view
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import trust_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.protocol import Source


def sources(options: dict[str, Any]) -> list[Source]:
    """Return who can repair; without the option that is up to the cluster."""
    cluster = None if options["sources"] else load_if_there()
    trust = trust_of(options["ca_file"], options["cert_file"], options["key_file"])
    return sources_of(options["sources"], trust) if cluster is None else sources_in(cluster)


def run(module: Any) -> dict[str, Any]:
    options = module.params
    store = Store(absolute_path(options["root"], "root"))
    folders = [Path(folder) for folder in options["disk_directories"]]
    scrub = Scrub(store, sources(options), folders, limit_of(options["rate_limit"]))
    done, report = scrub.run(time.time, repair=options["repair"], check=module.check_mode)
    return {**plan_result(done, view, "scrub"), **report}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "repair": {"type": "bool", "default": True},
            "rate_limit": {"type": "int", "default": 52428800},
            "sources": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "path", "default": "/var/lib/edge/images"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
            "ca_file": {"type": "path"},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path", "no_log": False},
        },
    )


if __name__ == "__main__":
    main()
