# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three bare hosts become a cluster, and stay one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support.corosync_lab import ClusterLab, cluster_lab

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.timeout(1200)]
NAMES = ["cf1", "cf2", "cf3"]


@pytest.fixture(scope="module", params=["trixie", pytest.param("bookworm", marks=pytest.mark.slow)])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterLab]:
    """Have the hosts."""
    if reason := unusable():
        pytest.skip(reason)
    with cluster_lab("cf", request.param, 3, tmp_path_factory.mktemp("forming")) as found:
        yield found


def test_three_hosts_form_a_cluster_once(made: ClusterLab) -> None:
    before = made.state(NAMES)
    printed = made.play(NAMES, check=True)
    assert "Form the cluster site1 of cf1, cf2, cf3: token 3650 ms" in printed
    assert made.state(NAMES) == before

    printed = made.play(NAMES)
    key = made.sh("cf1", "cat /etc/corosync/authkey")
    assert len(key) == 256 and key not in printed
    made.whole(NAMES, version=1)

    formed = made.state(NAMES)
    assert made.changes(NAMES) == dict.fromkeys(NAMES, 0)
    assert made.changes(NAMES, check=True) == dict.fromkeys(NAMES, 0)
    assert made.state(NAMES) == formed
    loaded = made.sh("cf1", "corosync-cmapctl totem.; corosync-cmapctl resources.watchdog_device")
    for line in ("crypto_cipher (str) = aes256", "crypto_hash (str) = sha256", "token (u32) = 3650", "watchdog_device (str) = off"):
        assert line in loaded
