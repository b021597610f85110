# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image wants of its VM, from a marketplace on a real server through datastore and cache to a domain."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.certificates import Authority
from support.cluster_hosts import site
from support.image_server import Served, nginx
from support.images import datastore, qcow2
from support.modules import run_module
from support.opennebula_market import DATABASE, NAMES, NODE, SERVICE, entry, image, market

pytestmark = pytest.mark.usefixtures("driver")
Capsys = pytest.CaptureFixture[str]
URI = "test:///default"
MIB = 2**20
CANARY = "c4n4ry"
ANSWERS = {"ONEAPP_DB_NAME": "shop", "ONEAPP_DB_PASSWORD": CANARY, "ONEAPP_DB_TLS": True}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample admin@frontend.example"


@pytest.fixture
def served(tmp_path: Path, authority: Authority) -> Iterator[Served]:
    (tmp_path / "web").mkdir()
    with nginx(tmp_path / "nginx", tmp_path / "web", authority, authority.issue("127.0.0.1"), clients="off") as server:
        yield server


class Cloud:
    """The modules of one host that is Front-end, replica and hypervisor at once."""

    def __init__(self, capsys: Capsys, folder: Path, authority: Authority, served: Served, folders: Folders) -> None:
        self.capsys, self.folder, self.ca_file, self.url, self.folders = capsys, folder, authority.ca_file, served.url, folders

    def run(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(self.capsys, module, check=check, **options)

    def publish(self, template: Any, *entries: Any, disks: int = 1) -> None:
        """Have a marketplace with an image Database of this template, and further entries; disk0 is the first image's."""
        web = self.folder / "web"
        files = []
        for place in range(disks):
            data = qcow2(web / f"disk{place}.qcow2", 1, seed=place + 1).read_bytes()
            sha = hashlib.sha256(data).hexdigest()
            files.append({"url": f"{self.url}disk{place}.qcow2", "checksum": {"sha256": sha}})
        first = image("i1", "Database", template, files=files[:1])
        second = [image("i2", "Data disk", files=files[1:])] if disks > 1 else []
        (web / "appliance").write_bytes(market(first, *second, *entries))

    @property
    def market(self) -> dict[str, Any]:
        fixed = {"ca_file": str(self.ca_file), "cache_dir": str(self.folder / "cache"), "proxy": "none"}
        return {**fixed, "marketplace": {"kind": "opennebula", "url": self.url}}

    def imported(self, name: str = "database", *, check: bool = False, root: str = "store", **options: Any) -> dict[str, Any]:
        named = {"name": name, "version": "1", "root": str(self.folder / root), "disk_directories": [self.folders.vms]}
        return self.run("datastore_image", check=check, **{**named, **self.market, "appliance": {"id": "i1"}, **options})

    def pulled(self, digest: str) -> dict[str, Any]:
        fixed = {"root": self.folders.images, "disk_directories": [self.folders.vms]}
        return self.run("replica_image", digest=digest, sources=[str(self.folder / "store")], **fixed)

    def domain(self, digest: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        fixed = {"uri": URI, "name": "db", "disks": [{"name": "root", "image": digest}], "from_image_defaults": True}
        return self.run("domain", check=check, **{**fixed, "state": "stopped", **options})

    def context(self, name: str = "db") -> dict[str, str]:
        """Return what the context disk of a VM says, as a shell reads it."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        (out / "context.sh").unlink(missing_ok=True)
        iso = self.folders.context(name)
        subprocess.run(
            ["xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/context.sh", str(out / "context.sh")],
            check=True,
            capture_output=True,
        )
        script = f"set -a; . {out}/context.sh; exec env -0"
        found = subprocess.run(["env", "-i", "sh", "-c", script], check=True, capture_output=True, text=True).stdout
        lines = [line.partition("=") for line in found.split("\0") if line]
        return {name: value for name, _equal, value in lines if name not in ("PWD", "_", "SHLVL", "OLDPWD")}


@pytest.fixture
def cloud(capsys: Capsys, tmp_path: Path, authority: Authority, served: Served, folders: Folders) -> Cloud:
    return Cloud(capsys, tmp_path, authority, served, folders)


def test_from_a_marketplace_to_a_domain(cloud: Cloud) -> None:
    cloud.publish({**DATABASE, "raw": {"data": "<devices/>"}})
    (listed,) = cloud.run("appliance_info", **cloud.market)["appliances"]
    assert (listed["template"]["memory"], listed["template"]["vcpus"]) == (768 * MIB, 2)
    assert listed["template"]["dropped"][0]["attribute"] == "RAW"

    checked = cloud.imported(check=True)["image"]
    made = cloud.imported()["image"]
    assert made["template"] == checked["template"] == listed["template"]
    (shown,) = cloud.run("datastore_image_info", root=str(cloud.folder / "store"), disk_directories=[cloud.folders.vms])["images"]
    assert shown["template"] == listed["template"]
    assert cloud.pulled(made["digest"])["image"]["template"] == listed["template"]

    asked = cloud.domain(made["digest"], check=True)
    assert asked["error"]["missing"] == ["ONEAPP_DB_NAME", "ONEAPP_DB_PASSWORD"]
    assert asked["msg"].startswith(
        "user_inputs: the image needs ONEAPP_DB_NAME (Name of the database); ONEAPP_DB_PASSWORD (Password of"
    )

    predicted = cloud.domain(made["digest"], check=True, user_inputs=ANSWERS)["domain"]
    assert (predicted["memory"], predicted["vcpus"]) == (768 * MIB, 2)
    found = cloud.domain(made["digest"], user_inputs=ANSWERS)
    assert found["domain"]["context"] == predicted["context"]
    assert (found["domain"]["memory"], found["domain"]["vcpus"]) == (768 * MIB, 2)
    assert cloud.context() == {
        "NETWORK": "YES", "SET_HOSTNAME": "db", "ONEAPP_DB_NAME": "shop", "ONEAPP_DB_PASSWORD": CANARY, "ONEAPP_DB_TLS": "YES",
        "ONEAPP_DB_URL": "tcp://localhost:5432/shop",
    }  # fmt: skip
    assert cloud.domain(made["digest"], user_inputs=ANSWERS)["changed"] is False


def test_what_the_user_says_goes_over_it(cloud: Cloud) -> None:
    cloud.publish(DATABASE)
    digest = cloud.imported(root=cloud.folders.images)["image"]["digest"]
    said = {
        "memory": "64MiB", "vcpus": 1, "user_inputs": {**ANSWERS, "ONEAPP_DB_PORT": 6432},
        "context": {"NETWORK": False, "SET_HOSTNAME": None, "EXTRA": "x"}, "cloud_init": {"ssh_authorized_keys": [KEY]},
    }  # fmt: skip
    made = cloud.domain(digest, **said)["domain"]
    assert (made["memory"], made["vcpus"]) == (64 * MIB, 1)
    context = cloud.context()
    assert (context["NETWORK"], context["EXTRA"], context["SSH_PUBLIC_KEY"]) == ("NO", "x", KEY)
    assert context["ONEAPP_DB_URL"] == "tcp://localhost:6432/shop"
    assert "SET_HOSTNAME" not in context
    assert cloud.domain(digest, **said)["changed"] is False
    by_context = {"context": {"ONEAPP_DB_NAME": "shop", "ONEAPP_DB_PASSWORD": CANARY}}
    assert not cloud.domain(digest, name="other", check=True, **by_context)["failed"]
    assert cloud.domain(digest)["changed"] is False, "an option that is left out keeps its value in a domain that exists"
    assert cloud.domain(digest, **{**said, "user_inputs": {**ANSWERS, "ONEAPP_DB_NAME": "other"}})["changed"]
    assert cloud.context()["ONEAPP_DB_NAME"] == "other"
    assert (cloud.run("domain_info", uri=URI, name="db")["domains"][0]["memory"]) == 64 * MIB


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"user_inputs": {**ANSWERS, "ONEAPP_DB_USERS": CANARY}},
            "user_inputs.ONEAPP_DB_USERS: a whole number is expected (Num",
        ),
        ({"user_inputs": {**ANSWERS, "ONEAPP_DB_PASSWORD": [CANARY]}}, "user_inputs.ONEAPP_DB_PASSWORD: a text or a number"),
        ({"user_inputs": {**ANSWERS, CANARY[:3]: CANARY}}, "user_inputs.c4n: the image has no input of this name"),
        ({"user_inputs": ANSWERS, "from_image_defaults": False}, "user_inputs: they are answers to the image"),
        ({"disks": [{"name": "root", "size": "1MiB"}]}, "from_image_defaults: no disk of the domain begins as an image"),
        ({"disks": [{"name": "root", "image": "sha256:" + "1" * 64}]}, "from_image_defaults: the image sha256:111"),
    ],
)
def test_errors_say_what_and_never_the_answer(cloud: Cloud, options: dict[str, Any], words: str) -> None:
    cloud.publish(DATABASE)
    digest = cloud.imported(root=cloud.folders.images)["image"]["digest"]
    for module in ("domain", "domains"):
        one = {
            "name": "db",
            "state": "stopped",
            "disks": [{"name": "root", "image": digest}],
            "from_image_defaults": True,
            **options,
        }
        failed = cloud.run("domain", uri=URI, **one) if module == "domain" else cloud.run("domains", uri=URI, domains=[one])
        assert words in failed["msg"], failed
        assert CANARY not in json.dumps(failed)


def test_several_domains_begin_from_their_images(cloud: Cloud) -> None:
    cloud.publish(DATABASE)
    digest = cloud.imported(root=cloud.folders.images)["image"]["digest"]
    defaults = {"state": "stopped", "from_image_defaults": True, "disks": [{"name": "root", "image": digest}]}
    names = [{"name": "a", "user_inputs": ANSWERS}, {"name": "b", "user_inputs": {**ANSWERS, "ONEAPP_DB_NAME": "b"}}]
    made = cloud.run("domains", uri=URI, defaults=defaults, domains=names)
    assert [one["memory"] for one in made["domains"]] == [768 * MIB] * 2
    assert [cloud.context(one)["ONEAPP_DB_NAME"] for one in ("a", "b")] == ["shop", "b"]
    assert CANARY not in json.dumps(made)
    assert cloud.run("domains", uri=URI, defaults=defaults, domains=names)["changed"] is False


def test_an_image_without_defaults_changes_nothing(cloud: Cloud) -> None:
    cloud.publish(None)
    digest = cloud.imported(root=cloud.folders.images)["image"]["digest"]
    made = cloud.domain(digest)["domain"]
    assert (made["memory"], made["vcpus"], made["context"]) == (1024 * MIB, 1, None)


def test_sizes_by_user_inputs_and_by_a_share_of_the_cpus(cloud: Cloud) -> None:
    asked = {"memory": "M|range|Memory|64..128|96", "vcpu": "O|list|CPUs|1,2,3|3"}
    cloud.publish({"memory": "768", "cpu": "1.5", "user_inputs": asked})
    digest = cloud.imported(root=cloud.folders.images)["image"]["digest"]
    made = cloud.domain(digest, check=True)["domain"]
    assert (made["memory"], made["vcpus"]) == (96 * MIB, 3)
    assert cloud.domain(digest, check=True, user_inputs={"MEMORY": 100})["domain"]["memory"] == 100 * MIB
    cloud.publish({"cpu": "1.5"})
    other = cloud.imported("other", root="other")["image"]
    assert other["digest"] == digest, "the template is not part of the digest"
    Store(Path(cloud.folders.images)).remove(digest, [])
    cloud.imported("other", root=cloud.folders.images)
    assert cloud.domain(digest, check=True)["domain"]["vcpus"] == 2


def test_a_manifest_whose_template_is_none_is_still_an_image(cloud: Cloud) -> None:
    cloud.publish(DATABASE)
    made = cloud.imported(root=cloud.folders.images)["image"]
    path = Store(Path(cloud.folders.images)).manifest_path(made["digest"])
    for template in ({"kind": "vm", "context": {"A": 7}}, {"kind": "cluster"}, {"kind": "service"}):
        data = {**json.loads(path.read_bytes()), "template": template}
        path.unlink()
        path.write_text(json.dumps(data))
        failed = cloud.domain(made["digest"], check=True, user_inputs=ANSWERS)
        assert failed["msg"].startswith("from_image_defaults: the template in the image's manifest"), failed
        assert cloud.domain(made["digest"], check=True, from_image_defaults=False)["changed"]


def test_disks_of_a_template_and_of_a_services_role(cloud: Cloud) -> None:
    template = entry("t1", "Node", "VMTEMPLATE", NODE, disks=["Database", "Data disk"])
    service = entry("s1", "Cluster", "SERVICE_TEMPLATE", SERVICE, roles={**NAMES, "router": "Database"})
    cloud.publish(DATABASE, template, service, disks=2)
    second = cloud.imported("data", appliance={"name": "Node", "disk": 1})["image"]
    assert (second["source"], second["template"]["memory"]) == (f"{cloud.url}disk1.qcow2", 3072 * MIB)
    worker = cloud.imported("worker", root="other", appliance={"name": "Cluster", "role": "worker"})["image"]["template"]
    assert (worker["memory"], worker["service"]["role"]) == (4096 * MIB, "worker")
    assert [role["name"] for role in worker["service"]["roles"]] == ["router", "worker", "storage"]
    refused = cloud.imported("cluster", appliance={"name": "Cluster"})
    assert "is a service with the roles router (Database), worker (Node), storage" in refused["msg"]


def test_another_datastore_gives_the_template_too(cloud: Cloud, tmp_path: Path, authority: Authority) -> None:
    cloud.publish(DATABASE)
    first = cloud.imported()["image"]
    with nginx(tmp_path / "own", tmp_path / "store", authority, authority.issue("127.0.0.1"), clients="off") as server:
        own = {"marketplace": {"kind": "index", "url": server.url}, "appliance": {"name": "database"}}
        second = cloud.imported(root="second", **own)["image"]
    assert (second["digest"], second["template"]) == (first["digest"], first["template"])


def test_another_datastore_that_gives_no_manifests_gives_its_images(cloud: Cloud, tmp_path: Path, authority: Authority) -> None:
    """Servers compatible with S3 answer 403 for what is not there, as nginx for a folder."""
    cloud.publish(DATABASE)
    first = cloud.imported()["image"]
    path = Store(tmp_path / "store").manifest_path(first["digest"])
    path.unlink()
    path.mkdir()
    with nginx(tmp_path / "own", tmp_path / "store", authority, authority.issue("127.0.0.1"), clients="off") as server:
        own = {"marketplace": {"kind": "index", "url": server.url}, "appliance": {"name": "database"}}
        second = cloud.imported(root="second", **own)
        assert any(" 403 " in line for line in server.requests())
    assert (second["image"]["digest"], second["image"]["template"]) == (first["digest"], None)


def test_an_image_that_is_here_needs_no_cluster(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.publish(DATABASE)
    made = cloud.imported(root=cloud.folders.images)["image"]
    (tmp_path / "cluster.json").write_text("{")
    monkeypatch.setattr(_cluster, "FILE", tmp_path / "cluster.json")
    assert cloud.domain(made["digest"], check=True, user_inputs=ANSWERS)["domain"]["vcpus"] == 2


def test_an_image_by_name_that_the_cluster_brings(
    capsys: Capsys, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, made = datastore(tmp_path / "origin", qcow2(tmp_path / "a.qcow2", 1), "db", "7")
    with store.lock(made.digest):
        store.change_description(made.described(template={"kind": "vm", "memory": 96 * MIB, "vcpus": 3}))
    catalogue.write(store)
    options = {
        "uri": URI,
        "name": "db",
        "state": "stopped",
        "disks": [{"name": "root", "image": "db:7"}],
        "from_image_defaults": True,
    }
    with site(tmp_path / "site", ["r1"], ["h1"]) as cluster:
        shutil.copytree(store.root, cluster.front.store.root, dirs_exist_ok=True)
        monkeypatch.setattr(_cluster, "FILE", cluster.peers[0].config)
        planned = run_module(capsys, "domain", check=True, **options)
        assert planned["actions"][0].startswith("Pull db:7")
        assert (planned["domain"]["memory"], planned["domain"]["vcpus"]) == (96 * MIB, 3)
        found = run_module(capsys, "domain", **options)
        assert (found["actions"], found["domain"]["memory"]) == (planned["actions"], 96 * MIB)
        cluster.front.kill()
        assert run_module(capsys, "domain", **options)["changed"] is False
        other = run_module(
            capsys, "domain", **{**options, "name": "other", "disks": [{"name": "root", "image": "sha256:" + "1" * 64}]}
        )
        assert other["msg"].startswith("from_image_defaults: ") and other["error"]["code"] == "unreachable"
