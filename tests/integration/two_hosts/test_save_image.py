# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook save_image: a disk of a VM that runs on one host becomes an image, and a VM of another host starts from that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import stream_guest
from support.migration_hosts import Pair
from support.playbook import TREE, PlaybookFailed, changed_in, run_book
from support.vm_host import IMAGES, MACHINE, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
DATASTORE = "/var/lib/edge/datastore"
INCOMING = "/var/lib/edge/incoming"
SLOTS = f"{INCOMING}/edge-slots"
NAT = """
table inet behind_nat {
  chain in {
    type filter hook input priority 0; policy accept;
    iifname "host0" tcp dport 22 accept
    iifname "host0" ct state new drop
  }
}
"""


@pytest.fixture(scope="module", autouse=True)
def served(hosts: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the first host serve an image datastore as a Front-end does; the second is behind a NAT that lets only ssh in."""
    server = {
        "image_server_name": "datastore",
        "image_server_root": DATASTORE,
        "image_server_port": 8443,
        "image_server_listen": "0.0.0.0",
        "image_server_incoming": INCOMING,
        "image_server_senders": "{{ groups['hypervisor'] }}",
    }
    tasks = [
        {"ansible.builtin.setup": {"gather_subset": ["!all", "network"]}},
        {"ansible.builtin.include_role": {"name": "edge.cloud.image_server"}, "vars": server},
    ]
    book = tmp_path_factory.mktemp("save") / "server.yml"
    book.write_text(yaml.safe_dump([{"hosts": hosts.one.host.name, "gather_facts": False, "tasks": tasks}]))
    run_book(book, hosts.inventory)
    hosts.two.host.run(["nft", "-f", "-"], stdin=NAT)
    yield
    hosts.two.run("nft", "delete", "table", "inet", "behind_nat")


def save(hosts: Pair, *words: str) -> set[str]:
    """Run the playbook on the second host's VM and return the hosts that it changed."""
    asked = {"host": hosts.two.host.name, "domain": "gold", "disk": "data", "name": "gold", "version": "1"}
    extra = json.dumps({f"save_image_{key}": value for key, value in asked.items()})
    answer = run_book(TREE / "playbooks/save_image.yml", hosts.inventory, words=["-e", extra, *words])
    return {name for name, count in changed_in(answer).items() if count}


def slots(hosts: Pair) -> str:
    """Return the folders in that of the slots; a note of a slot that has ended stays for two minutes."""
    return hosts.one.run("find", SLOTS, "-mindepth", "1", "-type", "d", "-printf", "%f ").strip()


def test_a_disk_becomes_an_image_that_vms_start_from(hosts: Pair) -> None:
    hosts.guest("gold", hosts.two, nics=[], cloud_init=None)
    known = hosts.two.wait_more("gold", 10)

    assert save(hosts, "--check") == {hosts.two.host.name}
    assert (hosts.one.run("ls", DATASTORE), slots(hosts)) == ("", "body")
    with pytest.raises(PlaybookFailed, match="no folder for images that hosts send in /nowhere"):
        save(hosts, "-e", "frontend_incoming=/nowhere")
    hosts.one.run("systemctl", "stop", "edge-datastore.service")
    with pytest.raises(PlaybookFailed, match="curl: \\(7\\)"):
        save(hosts, "-e", "save_image_retries=1")
    assert slots(hosts) == "body", "the slot is closed although nothing arrived"
    hosts.one.run("systemctl", "start", "edge-datastore.service")
    assert save(hosts) == {hosts.two.host.name}
    assert save(hosts) == set()
    assert hosts.two.run("ls", "-A", "/var/lib/edge/exports") == ""
    assert (slots(hosts), hosts.one.run("ls", "-A", f"{SLOTS}/body")) == ("body", "")
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
