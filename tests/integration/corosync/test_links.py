# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of two links, the first of IPv6, that goes on without one of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support.corosync_lab import ClusterLab, cluster_lab

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1200)]
NAMES = ["ck1", "ck2", "ck3"]

RING = "corosync-quorumtool -s | grep '^Ring ID:'"
TO_BE_LOST = 9.0  # seconds: more than token and consensus of three hosts, after which a ring without its link would have broken


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterLab]:
    """Have the hosts, with an address of IPv6 each."""
    if reason := unusable():
        pytest.skip(reason)
    with cluster_lab("ck", request.param, 3, tmp_path_factory.mktemp("links")) as found:
        for name in NAMES:
            found.sh(name, f"ip -6 address add fd00:edc::{name[-1]}/64 dev host0 nodad")
        yield found


def test_a_cluster_goes_on_without_its_first_link(made: ClusterLab) -> None:
    links = {name: {"cluster_link0": f"FD00:EDC:0::{name[-1]}", "cluster_link1": str(made.hosts[name].address)} for name in NAMES}
    made.play(NAMES, by_host=links)
    made.whole(NAMES, version=1)
    assert made.changes(NAMES, by_host=links) == dict.fromkeys(NAMES, 0)
    made.sh("ck1", "until test $(corosync-cfgtool -n | grep -c ' connected ') = 4; do sleep 0.5; done")
    rings = {name: made.sh(name, RING) for name in NAMES}
    for name in NAMES:
        made.sh(name, f"ip -6 address del fd00:edc::{name[-1]}/64 dev host0")
    made.sh("ck1", "until test $(corosync-cfgtool -n | grep -c ' connected ') = 2; do sleep 0.5; done")
    time.sleep(TO_BE_LOST)
    for name in NAMES:
        assert made.membership(name)["running"]["joined"] == [1, 2, 3]
    assert {name: made.sh(name, RING) for name in NAMES} == rings, "there was another membership in between"
