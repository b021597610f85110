# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster by the real roles: an image leaves the Front-end once, whoever asks for it, whoever dies, whoever is added."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.pull_policy import ranked
from support.lab_cluster import Site, ended
from support.vm_host import IMAGES
from support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.lab]
REPLICAS = ("cd-r1", "cd-r2")
MIB = 1024 * 1024


def test_every_host_at_the_same_moment_costs_the_wan_one_image(site: Site) -> None:
    digest = site.digest("1")
    site.front.slow("100mbit")
    before = site.front_sent()
    for process in [site.pull(name, "1") for name in (*site.named("h"), *REPLICAS)]:
        ended(process)
    assert site.front_sent() - before <= 1.02 * site.size(digest)
    assert all(site.has(name, digest) for name in (*site.named("h"), *REPLICAS))


def test_the_replica_that_moves_it_loses_its_power(site: Site) -> None:
    digest = site.digest("2")
    first = ranked(digest, [Member(name, "") for name in REPLICAS])[0].name
    (second,) = set(REPLICAS) - {first}
    site.front.slow("40mbit", "5ms")
    before = site.front_sent()
    pulls = [site.pull(name, "2") for name in site.named("h")]
    partial = f"{IMAGES}/partial/{digest.removeprefix('sha256:')}.qcow2"
    until(lambda: int(site.hosts[first].run(["stat", "--format=%s", partial], check=False).stdout or 0) > 4 * MIB, every=0.2)
    site.hosts[first].kill()
    for process in pulls:
        ended(process)
    assert all(site.has(name, digest) for name in (*site.named("h"), second))
    sent = site.front_sent() - before
    assert sent < 1.9 * site.size(digest), "the second replica fetched it once, and nobody else"
    site.hosts[first].start()
    before = site.front_sent()
    until(lambda: site.has(first, digest), every=0.2)
    assert site.front_sent() - before < MIB, "it comes back and has the rest from the other replica"


@pytest.mark.slow  # the replica that comes back fills by itself, too
def test_a_new_replica_fills_by_itself(site: Site) -> None:
    site.hosts["cd-r3"] = site.lab.up(names=["cd-r3"], variant="full", release=site.release)[0]
    site.play()  # the other replicas let it read what they have
    before = site.front_sent()
    until(lambda: all(site.has("cd-r3", site.digest(version)) for version in ("1", "2")), every=0.2)
    assert site.front_sent() - before < MIB


def test_a_client_without_our_certificate_gets_nothing(site: Site) -> None:
    url = f"https://cd-r2:8444/wanted/{'5' * 64}"
    known = ["--cert", "/etc/edge/pki/host.crt", "--key", "/etc/edge/pki/host.key"]

    def status(*arguments: str) -> str:
        curl = ["curl", "--silent", "--max-time", "300", "--cacert", "/etc/edge/pki/ca.crt", "--write-out", "%{http_code}"]
        return site.hosts["cd-h1"].run([*curl, "--output", "/dev/null", *arguments]).stdout

    assert status("--request", "PUT", "--data", "x", url) == "400"
    assert status(f"{url}.json") == "400"
    assert site.hosts["cd-r2"].run(["ls", "/var/lib/edge/wanted/asked"]).stdout == ""
    assert status(*known, "--request", "PUT", "--data", "x" * 2000, url) == "413"
    assert status(*known, "--request", "DELETE", url) in ("403", "405")
    assert status(*known, "--request", "PUT", "--data", "x", url) == "201"
    until(lambda: status(*known, f"{url}.json") == "200", every=0.2)
