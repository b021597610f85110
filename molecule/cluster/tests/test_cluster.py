# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Front-end and two hosts of a cluster, on two releases."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from support import hand_check

EDGES = ("mol-edge1", "mol-edge2")
INDEX = "https://mol-front:8443/index.json"
FETCH = "curl --silent --max-time 300 --cacert /etc/edge/pki/ca.crt"


@pytest.fixture
def name(host):
    return host.check_output("hostname")


def test_every_host_trusts_the_same_authority(host):
    assert host.run("openssl verify -CAfile /etc/edge/pki/ca.crt /etc/edge/pki/host.crt").rc == 0


def test_only_the_front_end_holds_the_authority_s_key(host, name):
    assert host.file("/etc/edge/pki/ca/ca.key").exists is (name == "mol-front")


def test_images_arrive_whole_at_every_edge(host, name):
    if name not in EDGES:
        pytest.skip("the Front-end holds no host cache")
    found = host.check_output("ls /var/lib/edge/images/*.qcow2").split()
    assert len(found) == 1
    assert host.check_output("python3 -c %s %s", hand_check.program(), found[0]) == f"sha256:{PurePosixPath(found[0]).stem}"


def test_a_host_s_certificate_opens_the_front_end(host):
    assert '"small"' in host.check_output(f"{FETCH} --fail --cert /etc/edge/pki/host.crt --key /etc/edge/pki/host.key {INDEX}")


def test_a_key_of_another_authority_opens_nothing(host):
    host.run_expect([0], "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/other.key -out /tmp/other.crt -subj /CN=x -days 1")
    shown = host.check_output(f"{FETCH} --cert /tmp/other.crt --key /tmp/other.key --write-out '%{{http_code}}' {INDEX}")
    host.run_expect([0], "rm /tmp/other.key /tmp/other.crt")
    assert shown.endswith("400")
    assert "small" not in shown
