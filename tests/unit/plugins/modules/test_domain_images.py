# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of disks by name: what a name means, who brings the image, and what a later run makes of it; from the real nginx."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.cluster_hosts import Site, site
from support.images import MIB, datastore, qcow2
from support.modules import run_module

URI = "test:///default"
Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("origin")
    for seed, (name, version) in enumerate((("debian-web", "1"), ("debian-web", "2"), ("alpine", "3.20"))):
        store, _image = datastore(folder / "store", qcow2(folder / f"{seed}.qcow2", 2, seed), name, version)
    catalogue.write(store)
    return store


@pytest.fixture
def run(capsys: Capsys, driver: Any, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_cluster, "FILE", tmp_path / "none.json")

    def run_domain(image: str, *, check: bool = False, name: str = "web", disk: str = "root", **options: Any) -> dict[str, Any]:
        options = {"state": "stopped", "disks": [{"name": disk, "image": image}], **options}
        return run_module(capsys, "domain", check=check, uri=URI, name=name, **options)

    return run_domain


@pytest.fixture
def cluster(run: Any, tmp_path: Path, origin: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site(tmp_path / "site", ["r1"], ["h1"]) as made:
        shutil.copytree(origin.root, made.front.store.root, dirs_exist_ok=True)
        monkeypatch.setattr(_cluster, "FILE", made.peers[0].config)
        yield made


def cached(folders: Folders, origin: Store, *versions: str) -> None:
    """Put images into the host cache."""
    for version in versions:
        image = origin.named("debian-web", version)
        assert image is not None
        for path in origin.root.glob(f"{image.hex}.*"):
            shutil.copy(path, folders.images)


def digest(origin: Store, version: str, name: str = "debian-web") -> str:
    image = origin.named(name, version)
    assert image is not None
    return image.digest


def image_of(result: dict[str, Any]) -> str:
    return str(result["domain"]["disks"][0]["image"])


def test_from_the_host_cache_alone(run: Any, folders: Folders, origin: Store) -> None:
    cached(folders, origin, "1", "2")
    assert image_of(run("debian-web:1", name="a")) == digest(origin, "1")
    assert image_of(run("debian-web", name="b")) == digest(origin, "2"), "the newest"
    assert not run("debian-web:1", name="a")["changed"] and not run("debian-web", name="b")["changed"]
    missing = run("debian-wbe", name="c")
    assert missing["error"]["code"] == "not_found" and missing["error"]["option"] == "disks[0].image"
    for part in ("disks[0].image: ", "debian-web:1, debian-web:2", "replica_image"):
        assert part in missing["msg"], part


@pytest.mark.parametrize("text", ["debian web", "debian:", ":1", "debian:1:2", "../x", "sha256", "sha256:12", "-x", "/srv/a.img"])
def test_what_is_no_image(run: Any, text: str) -> None:
    refused = run(text)
    assert (refused["error"]["code"], refused["error"]["option"]) == ("invalid_input", "disks[0].image"), refused["msg"]
    assert "given by path" in refused["msg"] or text.startswith("sha256:")


def test_the_cluster_brings_it_once_with_progress(run: Any, cluster: Site, folders: Folders, origin: Store, tmp_path: Path) -> None:
    image = origin.named("debian-web", "2")
    assert image is not None
    planned = run("debian-web", check=True)
    assert Store(Path(folders.images)).images() == [] and not Path(folders.vm("web")).exists()
    assert planned["actions"][0].startswith(f"Pull debian-web:2 ({image.digest}, ")
    made = run("debian-web", progress_file=str(tmp_path / "progress"))
    assert (made["actions"], made["diff"]) == (planned["actions"], planned["diff"])
    assert (image_of(made), made["domain"]["disks"][0]["size"]) == (image.digest, 2 * MIB)
    assert (tmp_path / "progress").read_text() == "Pulling debian-web 2: 100 % (2 of 2 MiB)\n"
    assert cluster.front.served() == image.size
    assert not run("debian-web")["changed"]
    by_digest = run(digest(origin, "1"), name="other")
    assert by_digest["actions"][0].startswith("Pull debian-web:1 ("), "a digest is brought just so"


def test_a_run_without_a_change_asks_nobody(run: Any, cluster: Site, origin: Store) -> None:
    first = run("debian-web:1")
    for host in (cluster.front, *cluster.replicas):
        host.kill()
    for text in ("debian-web:1", "debian-web", digest(origin, "1")):
        again = run(text)
        assert (again["changed"], image_of(again)) == (False, image_of(first)), text
    assert run("debian-web", name="new")["changed"], "the newest here stands for the name"
    assert run("alpine", name="none")["error"]["code"] == "unreachable"


def test_a_name_that_means_a_newer_image_leaves_a_disk_alone(run: Any, folders: Folders, origin: Store) -> None:
    cached(folders, origin, "1")
    run("debian-web")
    cached(folders, origin, "2")
    stays = run("debian-web")
    assert (stays["changed"], image_of(stays)) == (False, digest(origin, "1"))
    assert "keep the image that they began as (web)" in str(stays["warnings"])
    assert image_of(run("debian-web", name="new")) == digest(origin, "2")
    for other in ("debian-web:2", "alpine"):
        refused = run(other)
        assert (refused["error"]["code"], refused["error"]["option"]) == ("conflict", "disks[0].image"), refused["msg"]
    run("debian-web", state="absent")
    kept = run("debian-web")
    assert image_of(kept) == digest(origin, "1") and not any("Create" in action for action in kept["actions"])


def test_many_vms_bring_one_image_once(capsys: Capsys, run: Any, cluster: Site, origin: Store) -> None:
    options = {"uri": URI, "domains": [{"name": f"vm{number}"} for number in range(4)]}
    defaults = {"state": "stopped", "disks": [{"name": "root", "image": "alpine"}, {"name": "data", "image": "alpine:3.20"}]}
    planned = run_module(capsys, "domains", check=True, defaults=defaults, **options)
    made = run_module(capsys, "domains", defaults=defaults, **options)
    assert planned["actions"] == made["actions"]
    assert [action.split()[1] for action in made["actions"] if action.startswith("Pull")] == ["alpine:3.20"]
    image = origin.named("alpine", "3.20")
    assert image is not None and cluster.front.served() == image.size
    assert not run_module(capsys, "domains", defaults=defaults, **options)["changed"]
    options["domains"] = [{"name": f"new{number}"} for number in range(4)]
    unknown = run_module(capsys, "domains", defaults={"disks": [{"name": "root", "image": "debian-wbe"}]}, **options)
    assert [one["option"] for one in unknown["error"]["errors"]] == ["disks[0].image"] * 4
    assert "it has none of that name, but debian-web, alpine" in unknown["msg"]
