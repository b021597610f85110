# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster by the real roles: an image leaves the Front-end once, whoever asks for it, whoever dies, whoever is added."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._storage.distribution import ranked
from edge_lab.api import Lab, LabHost, unusable
from support.images import qcow2
from support.playbook import PLAYBOOK, TREE

pytestmark = [pytest.mark.integration, pytest.mark.lab]
REPLICAS, HYPERVISORS = ("cd-r1", "cd-r2"), ("cd-h1", "cd-h2")
MIB = 1024 * 1024
IMAGES = "/var/lib/edge/images"
BOOK = [
    {"hosts": "frontend", "roles": [{"role": "edge.cloud.frontend", "frontend_images": "{{ images }}"}]},
    {"hosts": "replica", "roles": [{"role": "edge.cloud.replica", "replica_nbd": False}]},
    {"hosts": "hypervisor", "roles": [{"role": "edge.cloud.hypervisor", "hypervisor_virt_type": "qemu"}]},
]


@dataclass
class Site:
    """The hosts, and the digest of each version of the image."""

    lab: Lab
    folder: Path
    hosts: dict[str, LabHost]

    def play(self, *limit: str, versions: int = 1) -> None:
        """Run the roles on the hosts that ``limit`` names, or all; the Front-end has images up to a version."""
        groups = {
            "frontend": {"hosts": {"cd-front": {}}},
            "replica": {"hosts": {name: {} for name in self.hosts if name.startswith("cd-r")}},
            "hypervisor": {"hosts": {name: {} for name in self.hosts if name.startswith("cd-h")}},
        }
        images = [{"name": "web", "version": str(number), "source": f"/root/{number}.qcow2"} for number in range(1, versions + 1)]
        (self.folder / "groups.yml").write_text(yaml.safe_dump({"all": {"children": groups, "vars": {"images": images}}}))
        (self.folder / "book.yml").write_text(yaml.safe_dump(BOOK))
        argv = [PLAYBOOK, "-i", self.lab.inventory, "-i", self.folder / "groups.yml", self.folder / "book.yml"]
        done = subprocess.run(
            [*argv, *(["--limit", ":".join(limit)] if limit else [])],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
                "ANSIBLE_LOCAL_TEMP": str(self.folder),
                "ANSIBLE_PIPELINING": "true",
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def front_sent(self) -> int:
        """Return the bytes that the Front-end's network card has sent."""
        return int(self.hosts["cd-front"].run(["cat", "/sys/class/net/host0/statistics/tx_bytes"]).stdout)

    def digest(self, version: str) -> str:
        index = json.loads(self.hosts["cd-front"].run(["cat", "/var/lib/edge/datastore/index.json"]).stdout)
        return next(str(image["digest"]) for image in index["images"] if image["version"] == version)

    def pull(self, name: str, version: str) -> subprocess.Popen[str]:
        argv = self.hosts[name].ssh_command(["edge-host", "pull", "--name", "web", "--version", version])
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def has(self, name: str, digest: str) -> bool:
        path = f"{IMAGES}/{digest.removeprefix('sha256:')}"
        found = self.hosts[name].run(["sh", "-c", f"test -e {path}.json && sha256sum {path}.qcow2"], check=False).stdout
        return found.startswith(digest.removeprefix("sha256:"))


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 0, printed
    result: dict[str, Any] = json.loads(printed)
    return result


def until(happened: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := unusable():
        pytest.skip(reason)
    folder, lab = tmp_path_factory.mktemp("site"), Lab()
    names = ["cd-front", *REPLICAS, *HYPERVISORS]
    lab.down(*[host.name for host in lab.hosts() if host.name.startswith("cd-")])
    try:
        found = lab.up(names=names[:-1], variant="full") + lab.up(names=names[-1:], variant="full", release="bookworm")
        made = Site(lab, folder, {host.name: host for host in found})
        for version, mib in ((1, 40), (2, 40)):
            made.hosts["cd-front"].put(qcow2(folder / f"{version}.qcow2", mib, seed=version), f"/root/{version}.qcow2")
        made.play(versions=2)
        yield made
    finally:
        lab.down(*[host.name for host in lab.hosts() if host.name.startswith("cd-")])


def size(site: Site, digest: str) -> int:
    path = f"/var/lib/edge/datastore/{digest.removeprefix('sha256:')}.qcow2"
    return int(site.hosts["cd-front"].run(["stat", "--format=%s", path]).stdout)


def test_every_host_at_the_same_moment_costs_the_wan_one_image(site: Site) -> None:
    digest = site.digest("1")
    site.hosts["cd-front"].slow("100mbit", "5ms")
    before = site.front_sent()
    for process in [site.pull(name, "1") for name in (*HYPERVISORS, *REPLICAS)]:
        ended(process)
    assert site.front_sent() - before <= 1.02 * size(site, digest)
    assert all(site.has(name, digest) for name in (*HYPERVISORS, *REPLICAS))


def test_the_replica_that_moves_it_loses_its_power(site: Site) -> None:
    digest = site.digest("2")
    first = ranked(digest, [Member(name, "") for name in REPLICAS])[0].name
    (second,) = set(REPLICAS) - {first}
    site.hosts["cd-front"].slow("40mbit", "5ms")
    before = site.front_sent()
    pulls = [site.pull(name, "2") for name in HYPERVISORS]
    partial = f"{IMAGES}/partial/{digest.removeprefix('sha256:')}.qcow2"
    until(lambda: int(site.hosts[first].run(["stat", "--format=%s", partial], check=False).stdout or 0) > 4 * MIB)
    site.hosts[first].kill()
    for process in pulls:
        ended(process)
    assert all(site.has(name, digest) for name in (*HYPERVISORS, second))
    sent = site.front_sent() - before
    assert sent < 1.9 * size(site, digest), "the second replica fetched it once, and nobody else"
    site.hosts[first].start()
    before = site.front_sent()
    until(lambda: site.has(first, digest))
    assert site.front_sent() - before < MIB, "it comes back and has the rest from the other replica"


def test_a_new_replica_fills_by_itself(site: Site) -> None:
    site.hosts["cd-r3"] = site.lab.up(names=["cd-r3"], variant="full")[0]
    site.play("cd-r3", "cd-front", versions=2)
    before = site.front_sent()
    until(lambda: all(site.has("cd-r3", site.digest(version)) for version in ("1", "2")))
    assert site.front_sent() - before < MIB


def test_a_stranger_gets_nothing(site: Site) -> None:
    url = f"https://cd-r2:8444/wanted/{'5' * 64}"
    known = ["--cert", "/etc/edge/pki/host.crt", "--key", "/etc/edge/pki/host.key"]

    def status(*arguments: str) -> str:
        curl = ["curl", "--silent", "--max-time", "10", "--cacert", "/etc/edge/pki/ca.crt", "--write-out", "%{http_code}"]
        return site.hosts["cd-h1"].run([*curl, "--output", "/dev/null", *arguments]).stdout

    assert status("--request", "PUT", "--data", "x", url) == "400"
    assert status(f"{url}.json") == "400"
    assert site.hosts["cd-r2"].run(["ls", "/var/lib/edge/wanted/asked"]).stdout == ""
    assert status(*known, "--request", "PUT", "--data", "x" * 2000, url) == "413"
    assert status(*known, "--request", "DELETE", url) in ("403", "405")
    assert status(*known, "--request", "PUT", "--data", "x", url) == "201"
    until(lambda: status(*known, f"{url}.json") == "200")
