# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of several versions in one cluster: new keys are kept or ignored, and what is too new is refused and left as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, InvalidInput, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster import requests
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.requests import PullRequests, RequestState
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace import index
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.scrub import Scrub
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import ReadThrough
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.images import datastore, qcow2

STATE = RequestState("a", "pulling", 5, 9)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 2))


def newer(origin: tuple[Store, Manifest], folder: Path, **changes: Any) -> Store:
    """Return the store of a newer host."""
    shutil.copytree(origin[0].root, folder)
    store = Store(folder)
    path = store.manifest_path(origin[1].digest)
    data = {**json.loads(path.read_bytes()), **changes}
    path.unlink()
    path.write_text(json.dumps(data))
    return store


def test_new_keys_come_along_and_are_served_on(origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    image = origin[1]
    front = newer(origin, tmp_path / "front", licence="GPL", zones=[1, {"a": None}])
    one, two = Store(tmp_path / "1"), Store(tmp_path / "2")
    pull_image(one, image.digest, [DirectorySource(front.root)], now=0)
    pull_image(two, image.digest, [DirectorySource(one.root)], now=0)
    with two.lock(image.digest):
        two.change_description(pulled.described(os="BSD") if (pulled := two.find(image.digest)) else image)
    data = json.loads(two.manifest_path(image.digest).read_bytes())
    assert (data["licence"], data["zones"], data["os"]) == ("GPL", [1, {"a": None}], "BSD")
    assert ReadThrough(Store(tmp_path / "3"), image.digest, [DirectorySource(one.root)]).size == image.size


def test_a_source_that_is_too_new_is_passed_over_or_named(origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    image = origin[1]
    front, here = newer(origin, tmp_path / "front", schema=2), Store(tmp_path / "here")
    with pytest.raises(Unsupported, match=r"upgrade edge\.cloud on this host"):
        pull_image(here, image.digest, [DirectorySource(front.root)], now=0)
    assert list(here.root.glob("*.*")) == []
    pull_image(here, image.digest, [DirectorySource(front.root), DirectorySource(origin[0].root)], now=0)
    assert here.find(image.digest) == image


def test_an_image_that_is_too_new_is_left_as_it_is(origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    """After a downgrade, say."""
    image = origin[1]
    here = newer(origin, tmp_path / "here", schema=2, pieces="elsewhere")
    before = {path.name: path.read_bytes() for path in here.root.iterdir() if path.is_file()}
    assert here.find(image.digest) is None
    with pytest.raises(Corrupt, match=r"schema 2.*upgrade edge\.cloud on this host"):
        Scrub(here, [DirectorySource(origin[0].root)]).run(lambda: 0.0)
    with pytest.raises(Unsupported, match=r"schema 2.*upgrade edge\.cloud on this host"):
        pull_image(here, image.digest, [DirectorySource(origin[0].root)], now=0)
    with pytest.raises(Unsupported, match=r"schema 2.*upgrade edge\.cloud on this host"):
        datastore(here.root, origin[0].image_path(image.digest))
    assert {path.name: path.read_bytes() for path in here.root.iterdir() if path.is_file()} == before


def test_a_catalogue_of_a_newer_host(origin: tuple[Store, Manifest]) -> None:
    data = json.loads((origin[0].root / "index.json").read_bytes())
    entry = {**data["images"][0], "licence": "GPL"}
    new = json.dumps({**data, "signed": True, "images": [entry]}).encode()
    assert [one.digest for one in catalogue.parse(new, "here")] == [origin[1].digest]
    assert [one.id for one in index.parse(new, "here", "/srv").appliances] == [origin[1].digest]
    newest = json.dumps({**data, "schema": 2, "images": 5}).encode()
    for parse in (lambda: catalogue.parse(newest, "here"), lambda: index.parse(newest, "here", "/srv")):
        with pytest.raises(Unsupported, match=r"upgrade edge\.cloud on this host"):
            parse()
    with pytest.raises(InvalidInput, match="schema is None"):
        index.parse(json.dumps({**data, "schema": None}).encode(), "here", "/srv")


def test_a_pull_request_and_its_state_of_a_newer_host(tmp_path: Path) -> None:
    queue = PullRequests(tmp_path)
    queue.prepare()
    queue.asked.mkdir()
    hexadecimal = "a" * 64
    (queue.asked / hexadecimal).write_text(json.dumps({"host": "x", "schema": 7, "urgent": True}))
    assert queue.waiting() == [f"sha256:{hexadecimal}"]
    queue.take(f"sha256:{hexadecimal}", STATE)
    path = queue.states / f"{hexadecimal}.json"
    written = json.loads(path.read_bytes())
    assert requests.parse(json.dumps({**written, "eta": 5}).encode(), "here") == STATE
    newest = json.dumps({**written, "schema": 2, "state": "resting"}).encode()
    with pytest.raises(Unsupported, match=r"upgrade edge\.cloud on this host"):
        requests.parse(newest, "here")
    path.chmod(0o644)
    path.write_bytes(newest)
    assert queue.unfinished() == [f"sha256:{hexadecimal}"], "it is done again rather than forgotten"
