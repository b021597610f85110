# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``edge-host point make`` refuses before it asks libvirt, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointMade
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk, File, Generation, Vm
from ansible_collections.edge.cloud.plugins.module_utils._host.point_make import make, shown

CLUSTER = Cluster("site", "h1", ())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "^vm: "),
        ({"vm": "web", "quiesce": "auto"}, r"^recovery\.quiesce: "),
        ({"vm": "web", "epoch": "-1"}, "^epoch: "),
        ({"vm": "web", "after": "0.4"}, "^after: '0.4' is not a whole number from 0 to 9{15}"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        make(CLUSTER, options)


def test_a_point_is_shown_with_its_folder_and_one_that_was_not_needed_without() -> None:
    disk = Disk("vda", None, 512).begun_again(File("sha256:" + "ab" * 32, 1), (1, 1), 512)
    vm = Vm("web", "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11")
    generation = Generation(vm, 0, 1, "2026-01-01T00:00:00Z", True, False, {}, {}, (disk,))
    found = shown(PointMade(generation, Path("/points/0.1"), "a reason", (("hda", "a drive"),)))
    assert (found["changed"], found["folder"], found["left_out"]) == (True, "/points/0.1", {"hda": "a drive"})
    assert json.loads(json.dumps(found)) == found
    same = shown(PointMade(generation, None))
    assert (same["changed"], same["folder"], same["generation"]) == (False, None, "0.1")
