#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.image_cache."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_cache
short_description: Keep the images of a host within a quota
version_added: 0.1.0
description:
  - Makes sure that the images of a replica or host cache take no more than a quota, by removing the least
    recently used ones, and no more of them than needed.
  - An image stays while it is pinned, while a disk, a snapshot or a recovery point uses it as its backing image, by a lease or as
    found under O(disk_directories), while such users cannot be seen, while a QEMU program has it open, for O(minimum_age) seconds
    after its last use, and while a process uses it.
  - What killed processes left is removed too, with or without a quota; image files without a manifest after O(minimum_age), and
    unfinished pulls after O(stale_age).
  - The task fails if a file cannot be removed, for example an immutable one; all others are removed first, and
    C(error.unremovable) tells the reason for each that stays.
  - A use of an image is the creation of a disk over it, or a pull that found it here.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.images
options:
  quota_bytes:
    description:
      - The largest size of all images, in bytes or with a unit of powers of 1024, such as V(40GiB).
        V(0) keeps only the images that must stay.
    type: str
  quota_percent:
    description:
      - The largest share of the file system of O(root), in percent. With O(quota_bytes), the tighter of both counts.
    type: float
  minimum_age:
    description:
      - The seconds after its last use in which an image is not removed. It covers the time between a pull and the creation of a
        disk over the image.
    type: int
    default: 3600
  stale_age:
    description:
      - The seconds after which an unfinished pull is removed.
    type: int
    default: 604800
  root:
    description:
      - The folder of the images.
    type: path
    default: /var/lib/edge/images
"""

EXAMPLES = r"""
- name: At most 40 GiB of images, and at most half of the file system
  edge.cloud.image_cache:
    quota_bytes: 40GiB
    quota_percent: 50

- name: Remove only what killed processes left
  edge.cloud.image_cache:
"""

RETURN = r"""
cache:
  description: The contents of the folder afterwards.
  returned: success
  type: dict
  contains:
    bytes:
      description: The bytes of all image files.
      type: int
    images:
      description: The digests of all image files.
      type: list
      elements: str
    leftovers:
      description: The files that killed processes left in the partial folder.
      type: list
      elements: str
removed:
  description: The images that were or would be removed.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    image:
      description: Its name and version; empty for a file without a manifest.
      type: str
    size:
      description: Its length in bytes.
      type: int
kept:
  description: The images that stay.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The image's digest.
      type: str
    reason:
      description: Why it stays, and what to do if users of it cannot be seen.
      type: str
bytes_freed:
  description: The bytes that were or would be freed.
  returned: success
  type: int
quota:
  description: The quota in bytes, the tighter of both options.
  returned: when a quota is given
  type: int
over:
  description: The bytes by which images that must stay exceed the quota; a warning reports them too.
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

from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import (
    Collected,
    Collector,
    limits_of,
    report,
    view,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path, size_in_bytes
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store


def quota_bytes(text: str | None) -> int | None:
    return None if text is None else 0 if text == "0" else size_in_bytes(text, "quota_bytes")


def run(module: Any) -> dict[str, Any]:
    options = module.params
    store = Store(absolute_path(options["root"], "root"))
    limits = limits_of(store, quota_bytes(options["quota_bytes"]), options["quota_percent"], options["minimum_age"])
    collector = Collector(store, [Path(folder) for folder in options["disk_directories"]], limits, options["stale_age"])
    if module.check_mode:
        decision = collector.decide(time.time())
        collected, observed = Collected(decision.plan, decision), None
    else:
        collected = collector.collect()
        observed = collected.decision.plan.before
    if collected.decision.over:
        module.warn(
            f"The images in {store.root} are {collected.decision.over} bytes over the quota; the result lists why each is kept."
        )
    result = {**plan_result(collected.done, view, "cache", observed), **report(collected.done, collected.decision)}
    return {**result, **({} if limits.quota is None else {"quota": limits.quota})}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "quota_bytes": {},
            "quota_percent": {"type": "float"},
            "minimum_age": {"type": "int", "default": 3600},
            "stale_age": {"type": "int", "default": 604800},
            "root": {"type": "path", "default": "/var/lib/edge/images"},
            "disk_directories": {
                "type": "list",
                "elements": "path",
                "default": ["/var/lib/edge/vms", "/var/lib/edge/recovery"],
            },
        },
    )


if __name__ == "__main__":
    main()
