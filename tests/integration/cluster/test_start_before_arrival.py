# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs start before their image has arrived, and go on writing while it arrives and whoever brings it dies."""

from __future__ import annotations

import random
from typing import Any

import arrival_faults
import pytest
from support.lab_cluster import Site, ended
from support.outcomes import repeated, table_row
from support.stream_guest import wait_for
from support.stream_host import StreamHost
from support.vm_host import IMAGES, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
HYPERVISOR = "cd-h1"
OTHER_RELEASE = pytest.param("cd-h2", marks=pytest.mark.slow)
REPLICA = "cd-r1"
OWN_SERVER = "nbds://localhost"
LIE = """
import sys
with open(sys.argv[1], "r+b") as file:
    size = file.seek(0, 2)
    for place in (size // 3, size - 1):
        file.seek(place)
        wrong = bytes([file.read(1)[0] ^ 1])
        file.seek(place)
        file.write(wrong)
"""


@pytest.fixture(scope="module")
def digest(site: Site) -> str:
    for host in site.hosts.values():
        host.mend()
    return site.digest("late")


@pytest.fixture(scope="module")
def hypervisors(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StreamHost]:
    folder = tmp_path_factory.mktemp("arrival")
    return {name: StreamHost(site.hosts[name], site.lab.inventory, folder) for name in site.named("h")}


@pytest.fixture(params=[HYPERVISOR, OTHER_RELEASE])
def host(hypervisors: dict[str, StreamHost], request: pytest.FixtureRequest) -> StreamHost:
    return hypervisors[request.param]


def moved(host: StreamHost, name: str) -> None:
    """Wait until the disk stands on the local image and nothing is left of its time before."""
    wait_for(lambda: host.active(name), lambda path: path.endswith("/data.qcow2"), "the disk on its own file")
    wait_for(lambda: host.run("ls", "-A", f"{VMS}/{name}"), lambda answer: "arriving" not in answer, "the end of the move")
    assert "nbd" not in host.run("virsh", "dumpxml", name)


def test_a_vm_runs_before_its_image_is_here_and_is_moved_by_itself(site: Site, digest: str, host: StreamHost) -> None:
    front, replica, hexadecimal = site.front, site.hosts[REPLICA], digest.removeprefix("sha256:")

    def start() -> dict[str, Any]:
        disks = [{"name": "data", "image": digest, "size": "64MiB"}]
        return host.guest("early", disks=disks, image_servers=[OWN_SERVER])

    site.forget(digest)
    host.run("systemctl", "stop", "edge-arrive.path")  # until the VM has started, however long that takes
    front.slow(rate="40mbit", delay="10ms")
    replica.slow(rate="100mbit")
    try:
        made = start()
        assert made["domain"]["disks"][0]["remote"] == f"{OWN_SERVER}:10809/{hexadecimal}"
        host.wait_text("early", "STREAM 0")
        assert host.run("ls", f"{IMAGES}/{hexadecimal}.json", ok=False) == ""
        assert host.active("early").endswith("/data.arriving.qcow2")
        host.wait_more("early", 3)
    finally:
        host.run("systemctl", "start", "edge-arrive.path")
        front.mend()
        replica.mend()
    moved(host, "early")
    host.wait_more("early", 3)
    host.verify("early")
    assert host.chain(host.active("early")) == ["data.qcow2", f"{hexadecimal}.qcow2"]
    assert not start()["changed"]
    host.module("domain", name="early", state="absent", force_stop=True, timeout=1, delete_disks=True)
    host.module("replica_image", digest=digest, state="absent")


def test_the_arrival_is_killed_in_the_middle_and_goes_on(site: Site, digest: str, hypervisors: dict[str, StreamHost]) -> None:
    """A sample of tests/faults/arrival_faults.py."""
    host = hypervisors[HYPERVISOR]
    replicas = [site.hosts[name] for name in ("cd-r1", "cd-r2")]  # which of them comes first depends on the digest
    place = arrival_faults.Place(replicas, host, digest, random.Random(1))
    row = table_row("arrival killed in the pull", repeated(lambda: arrival_faults.killed_in_the_pull(place), 1))
    host.module("domain", name=arrival_faults.NAME, state="absent", force_stop=True, timeout=1, delete_disks=True)
    assert row["ok"], row


def test_a_replica_that_lies_gives_a_vm_no_byte(site: Site, digest: str, hypervisors: dict[str, StreamHost]) -> None:
    """Its published image is changed; the server of the hypervisor, which VMs read, takes what is wrong from elsewhere."""
    host, liar, hexadecimal = hypervisors[HYPERVISOR], site.hosts[REPLICA], digest.removeprefix("sha256:")
    site.forget(digest)
    ended(site.pull(REPLICA, "late"))
    liar.run(["python3", "-c", LIE, f"{IMAGES}/{hexadecimal}.qcow2"])

    def content(server: str) -> str:
        url = f"nbds://{server}:10809/{hexadecimal}?tls-certificates=/etc/edge/nbd"
        return host.run("sh", "-ec", f"nbdcopy '{url}' /root/copied.qcow2; sha256sum < /root/copied.qcow2; rm /root/copied.qcow2")

    true = site.front.run(["sh", "-c", f"sha256sum < /var/lib/edge/datastore/{hexadecimal}.qcow2"]).stdout.strip()
    try:
        assert content(liar.address) != true
        assert content("localhost") == true
    finally:
        site.forget(digest)


@pytest.mark.slow  # make faults-compute has more of them
def test_a_replica_lost_under_a_vm_changes_nothing_for_it(site: Site, digest: str, hypervisors: dict[str, StreamHost]) -> None:
    """Another sample: the VM comes to stand on its local image although nobody answers what it read from."""
    replicas, host = ["cd-r1", "cd-r2"], hypervisors[HYPERVISOR]
    for process in [site.pull(name, "late") for name in replicas]:
        ended(process)
    place = arrival_faults.Place([site.hosts[name] for name in replicas], host, digest, random.Random(1))
    row = table_row("replica unplugged", repeated(lambda: arrival_faults.replica_unplugged(place), 1))
    site.hosts[replicas[0]].start()
    host.module("domain", name=arrival_faults.NAME, state="absent", force_stop=True, timeout=1, delete_disks=True)
    assert row["ok"], row


@pytest.mark.parametrize("scheme", ["nbds", "nbd"])
def test_a_client_without_our_certificate_is_given_nothing(site: Site, digest: str, scheme: str) -> None:
    url = f"{scheme}://{site.hosts[REPLICA].address}:10809/{digest.removeprefix('sha256:')}"
    assert site.front.run(["nbdinfo", "--size", url], check=False).returncode != 0


def test_unknown_images_and_silent_replicas_are_reported_before_anything_is_made(
    site: Site, hypervisors: dict[str, StreamHost]
) -> None:
    host, other = hypervisors[HYPERVISOR], "sha256:" + "ab" * 32
    disks = [{"name": "data", "image": other}]
    answer = host.guest("never", disks=disks, image_servers=[OWN_SERVER, site.hosts[REPLICA].address], ok=False)
    assert answer["msg"].startswith(
        f"disks[0].image: the image {other} is not in the host cache, and no server of image_servers gives it"
    )
    wrong = host.guest("never", disks=disks, image_servers=["replica 1"], ok=False)
    assert wrong["msg"].startswith("image_servers[0]: 'replica 1' is not valid")
    assert "never" not in host.run("ls", VMS, ok=False)
