# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs start before their image has arrived, and go on writing while it arrives, the replica fails and hosts lose their power.

One Front-end behind a slow line, one replica, a hypervisor of each release, by the real roles.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import arrival_faults
import pytest
import yaml
from edge_lab.api import Lab, LabHost, unusable
from support.images import qcow2
from support.outcomes import table_row
from support.playbook import run_book
from support.stream_guest import wait_for
from support.stream_host import StreamHost

pytestmark = [pytest.mark.integration, pytest.mark.lab]
MIB = 2**20
IMAGE_MIB = 48
NAMES = {"trixie": "arv-new", "bookworm": "arv-old"}


class Site:
    """The hosts of the cloud, and the image that its Front-end has."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.front, self.replica = lab.up(names=["arv-front", "arv-rep"], variant="full")
        hypervisors = {release: lab.up(names=[name], release=release, variant="full")[0] for release, name in NAMES.items()}
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump(self._groups(yaml.safe_load(lab.inventory.read_text()))))
        self.front.put(qcow2(folder / "small.qcow2", IMAGE_MIB, seed=3), "/var/tmp/small.qcow2")
        run_book(Path(__file__).with_name("site.yml"), self.inventory)
        shown = self.front.run(["cat", "/var/lib/edge/datastore/index.json"]).stdout
        self.digest = json.loads(shown)["images"][0]["digest"]
        self.hypervisors = {release: StreamHost(host, self.inventory, folder) for release, host in hypervisors.items()}

    @staticmethod
    def _groups(inventory: dict[str, object]) -> dict[str, object]:
        groups = {"frontend": ["arv-front"], "replica": ["arv-rep"], "hypervisor": list(NAMES.values())}
        return {**inventory, **{group: {"hosts": dict.fromkeys(names)} for group, names in groups.items()}}

    def has_image(self, host: LabHost) -> bool:
        return host.run(["test", "-e", f"/var/lib/edge/images/{self.hex}.json"], check=False).returncode == 0

    @property
    def hex(self) -> str:
        return self.digest.removeprefix("sha256:")

    def start(self, host: StreamHost, name: str, **options: object) -> dict[str, object]:
        disks = [{"name": "data", "image": self.digest, "size": "64MiB"}]
        return host.guest(name, **{"disks": disks, "image_servers": [self.replica.address], **options})

    def forget_image(self) -> None:
        """Take the image from the replica, so that the next VM finds it only at the Front-end."""
        self.replica.run(["sh", "-c", f"rm -f /var/lib/edge/images/{self.hex}.* /var/lib/edge/images/partial/{self.hex}.*"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := unusable():
        pytest.skip(reason)
    lab = Lab()
    names = ["arv-front", "arv-rep", *NAMES.values()]
    lab.down(*names)
    yield Site(lab, tmp_path_factory.mktemp("arrival"))
    lab.down(*names)


@pytest.fixture(params=NAMES)
def host(site: Site, request: pytest.FixtureRequest) -> StreamHost:
    return site.hypervisors[request.param]


def moved(host: StreamHost, name: str) -> None:
    """Wait until the disk stands on the local image and nothing is left of its time before."""
    wait_for(lambda: host.active(name), lambda path: path.endswith("/data.qcow2"), "the disk on its own file", 120)
    wait_for(
        lambda: host.run("ls", "-A", f"/var/lib/edge/vms/{name}"), lambda said: "arriving" not in said, "the end of the move", 60
    )
    assert "nbd" not in host.run("virsh", "dumpxml", name)


def test_a_vm_runs_before_its_image_is_here_and_is_moved_by_itself(site: Site, host: StreamHost) -> None:
    site.forget_image()
    site.front.slow(rate="40mbit", delay="10ms")
    site.replica.slow(rate="100mbit")
    try:
        made = site.start(host, "early")
        assert made["domain"]["disks"][0]["remote"] == f"nbds://{site.replica.address}:10809/{site.hex}"
        host.wait_text("early", "STREAM 0")
        assert not site.has_image(host.host)
        assert host.active("early").endswith("/data.arriving.qcow2")
        host.wait_more("early", 3)
    finally:
        site.front.mend()
        site.replica.mend()
    moved(host, "early")
    host.wait_more("early", 3)
    host.verify("early")
    assert host.chain(host.active("early")) == ["data.qcow2", f"{site.hex}.qcow2"]
    assert not site.start(host, "early")["changed"]
    host.module("domain", name="early", state="absent", force_stop=True, timeout=1, delete_disks=True)
    host.module("replica_image", digest=site.digest, state="absent")


def test_the_arrival_is_killed_in_the_middle_and_goes_on(site: Site) -> None:
    """A sample of tests/faults/arrival_faults.py."""
    place = arrival_faults.Site([site.replica], site.hypervisors["trixie"], site.digest, random.Random(1))
    row = table_row("arrival killed in the pull", iter([arrival_faults.killed_in_the_pull(place)]))
    site.hypervisors["trixie"].module(
        "domain", name=arrival_faults.NAME, state="absent", force_stop=True, timeout=1, delete_disks=True
    )
    assert row["ok"], row


def test_a_stranger_is_given_nothing(site: Site) -> None:
    said = site.front.run(["nbdinfo", "--size", f"nbds://{site.replica.address}:10809/{site.hex}"], check=False)
    assert said.returncode != 0
    plain = site.front.run(["nbdinfo", "--size", f"nbd://{site.replica.address}:10809/{site.hex}"], check=False)
    assert plain.returncode != 0


def test_unknown_images_and_silent_replicas_are_told_before_anything_is_made(site: Site) -> None:
    host = site.hypervisors["trixie"]
    other = "sha256:" + "ab" * 32
    disks = [{"name": "data", "image": other}]
    said = host.guest("never", disks=disks, image_servers=[site.replica.address], ok=False)
    assert said["msg"].startswith(
        f"disks[0].image: the image {other} is not in the host cache, and no server of image_servers gives it"
    )
    wrong = host.guest("never", disks=disks, image_servers=["replica 1"], ok=False)
    assert wrong["msg"].startswith("image_servers[0]: 'replica 1' is not valid")
    assert "never" not in host.run("ls", "/var/lib/edge/vms", ok=False)
