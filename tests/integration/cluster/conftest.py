# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of each release that the tests of this folder share: two replicas and a hypervisor; one of the other for slow tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support import lab_cluster
from support.images import qcow2

RELEASES = ["trixie", "bookworm"]
SIZES = {"1": 40, "2": 40, "late": 48}  # MiB of each version of the image


@pytest.fixture(scope="package", params=RELEASES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_cluster.Site]:
    """Have the hosts as the roles make them; no replica has an image yet."""
    if reason := unusable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("site")
    own = str(request.param)
    others = [] if request.config.option.markexpr == "not slow" else [release for release in RELEASES if release != own]
    with lab_cluster.site("cd", folder, replicas=2, hypervisors=[own, *others], nbd=True, release=own) as made:
        for seed, (version, mib) in enumerate(SIZES.items(), 1):
            made.offer(qcow2(folder / f"{version}.qcow2", mib, seed=seed), version)
        made.play()
        yield made
