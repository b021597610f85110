# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook save_image: a disk of a VM that runs on one host becomes an image, and a VM of another host starts from that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import stream_guest
from support.migration_hosts import Pair
from support.playbook import TREE, changed_in, run_book
from support.vm_host import IMAGES, MACHINE, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
DATASTORE = "/var/lib/edge/datastore"


@pytest.fixture(scope="module", autouse=True)
def served(hosts: Pair, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have the second host serve its host cache as a hypervisor's role says; the first one is the Front-end."""
    server = {
        "image_server_name": "images",
        "image_server_root": IMAGES,
        "image_server_port": 8444,
        "image_server_listen": "0.0.0.0",
    }
    tasks = [
        {"ansible.builtin.setup": {"gather_subset": ["!all", "network"]}},
        {"ansible.builtin.include_role": {"name": "edge.cloud.image_server"}, "vars": server},
    ]
    book = tmp_path_factory.mktemp("save") / "server.yml"
    book.write_text(yaml.safe_dump([{"hosts": hosts.two.host.name, "gather_facts": False, "tasks": tasks}]))
    run_book(book, hosts.inventory)


def save(hosts: Pair, *words: str) -> set[str]:
    """Run the playbook on the second host's VM and return the hosts that it changed."""
    asked = {"host": hosts.two.host.name, "domain": "gold", "disk": "data", "name": "gold", "version": "1"}
    extra = json.dumps({f"save_image_{key}": value for key, value in asked.items()})
    answer = run_book(TREE / "playbooks/save_image.yml", hosts.inventory, words=["-e", extra, *words])
    return {name for name, count in changed_in(answer).items() if count}


def test_a_disk_becomes_an_image_that_vms_start_from(hosts: Pair) -> None:
    hosts.guest("gold", hosts.two, nics=[], cloud_init=None)
    known = hosts.two.wait_more("gold", 10)

    assert save(hosts, "--check") == {hosts.two.host.name}
    assert hosts.one.run("ls", DATASTORE, ok=False) == ""
    assert save(hosts) == {hosts.two.host.name}
    assert save(hosts) == set()
    assert hosts.two.run("ls", "-A", "/var/lib/edge/exports") == ""
    hosts.two.verify("gold")
    assert "index.json" not in hosts.two.run("ls", IMAGES).split(), "a host cache has no catalogue that could grow old"

    (image,) = hosts.one.module("datastore_image_info", name="gold", verify=True)["images"]
    assert hosts.one.chain(image["path"]) == [Path(image["path"]).name]
    blocks = stream_guest.written(hosts.one.run, image["path"])
    assert blocks > known
    assert json.loads(hosts.two.run("cat", f"{IMAGES}/{Path(image['path']).stem}.json"))["digest"] == image["digest"]

    found = hosts.one.play(
        [
            {"edge.cloud.replica_image": {"digest": image["digest"], "sources": [DATASTORE]}},
            {"edge.cloud.domain": _copy(hosts, image["digest"])},
        ]
    )[-1]
    assert found["domain"]["disks"][0]["backing"] == f"{IMAGES}/{Path(image['path']).name}"
    hosts.one.wait_text("copy", f"STREAM-FROM {blocks - 1}")
    hosts.one.wait_more("copy", 3)
    assert hosts.one.verify("copy") > blocks
    for host, name in ((hosts.one, "copy"), (hosts.two, "gold")):
        host.module("domain", name=name, state="absent", force_stop=True, delete_disks=True, timeout=1)
        assert name not in host.run("ls", VMS).split()


def _copy(hosts: Pair, digest: str) -> dict[str, Any]:
    return {
        "name": "copy",
        **MACHINE,
        "cmdline": stream_guest.cmdline("vda"),
        "disks": [{"name": "data", "image": digest, "size": "128MiB"}],
        "guest_agent": False,
        "timeout": 300,
    }
