# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of a host's NBD server, without nbdkit: their bytes, and what they hold while they are open."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Member, Tls
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._host.images import quick_sources
from ansible_collections.edge.cloud.plugins.module_utils._host.nbd_export import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.certificates import Authority
from support.images import datastore, qcow2
from support.waiting import LIMIT


class Watched(DirectorySource):
    """A source that remembers whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_an_image_and_its_manifest_are_exported_and_their_sources_closed_with_them(tmp_path: Path) -> None:
    origin, image = datastore(tmp_path / "origin", qcow2(tmp_path / "a.qcow2", 2))
    made: list[Watched] = []

    def sources() -> list[Watched]:
        made.append(Watched(origin.root))
        return made[-1:]

    exports = Exports(Store(tmp_path / "here"), sources)
    handle = exports.open(image.hex)
    assert exports.open(image.hex) == handle and len(made) == 1
    whole = origin.image_path(image.digest).read_bytes()
    assert exports.read(handle, 0, exports.size(handle)) == whole
    assert exports.read(handle, 70_000, 100) == whole[70_000:70_100]

    text = exports.open(f"{image.hex}.json")
    assert exports.read(text, 0, exports.size(text)) == image.to_json()
    assert json.loads(exports.read(text, 0, exports.size(text)))["digest"] == image.digest

    exports.close(handle)
    assert not made[0].closed
    exports.close(handle)
    exports.close(text)
    assert [source.closed for source in made] == [True, True]


@pytest.mark.parametrize("name", ["", "a", "../x", "0" * 63, "0" * 65, "0" * 64 + ".qcow2", "0" * 64 + ".json.json", "0" * 64])
def test_other_names_do_not_exist(tmp_path: Path, name: str) -> None:
    exports = Exports(Store(tmp_path / "here"), lambda: [DirectorySource(tmp_path / "empty")])
    with pytest.raises(NotFound):
        exports.open(name)


def test_a_hypervisor_asks_the_nbd_servers_of_replicas_first_and_a_replica_asks_none(tmp_path: Path) -> None:
    replicas = (
        Member("r1", "https://r1.example:8444/", "nbds://r1.example:10809"),
        Member("r2", "https://r2.example:8444/"),
    )
    front = "https://front.example:8443/"
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("h1.example")
    tls = Tls(authority.ca_file, pair.cert, pair.key)
    hypervisor = quick_sources(Cluster("site", "h1", replicas, frontends=(front,), tls=tls))
    assert [source.name for source in hypervisor] == [replicas[0].nbd, replicas[0].url, replicas[1].url, front]
    replica = quick_sources(Cluster("site", "r2", replicas, frontends=(front,), tls=tls))
    assert [source.name for source in replica] == [replicas[0].url, front]


class Slow(Watched):
    """A source that answers about one image only when it is told to."""

    def __init__(self, root: Path, slow: str) -> None:
        super().__init__(root)
        self.slow = slow
        self.asked, self.answer = Event(), Event()

    def manifest(self, digest: str) -> Manifest:
        if digest == self.slow:
            self.asked.set()
            assert self.answer.wait(LIMIT)
        return super().manifest(digest)


def test_a_source_that_does_not_answer_delays_only_its_own_image(tmp_path: Path) -> None:
    origin, slow = datastore(tmp_path / "origin", qcow2(tmp_path / "a.qcow2", 1))
    _origin, quick = datastore(tmp_path / "origin", qcow2(tmp_path / "b.qcow2", 1, 2), version="2")
    source = Slow(origin.root, slow.digest)
    made: list[Slow] = []

    def sources() -> list[Slow]:
        made.append(source)
        return [source]

    exports = Exports(Store(tmp_path / "here"), sources)
    with ThreadPoolExecutor(3) as threads:
        try:
            waiting = [threads.submit(exports.open, slow.hex) for _client in range(2)]
            assert source.asked.wait(LIMIT)
            other = threads.submit(lambda: exports.close(exports.open(quick.hex)))
            other.result(LIMIT)
            assert not any(one.done() for one in waiting)
        finally:
            source.answer.set()
        assert [one.result(LIMIT) for one in waiting] == [slow.hex, slow.hex]
    assert len(made) == 2, "one for the quick image, one for both clients of the slow one"
    source.closed = False
    assert exports.read(slow.hex, 0, slow.size) == origin.image_path(slow.digest).read_bytes()
    exports.close(slow.hex)
    assert not source.closed
    exports.close(slow.hex)
    assert source.closed


def test_an_open_that_failed_leaves_nothing_and_the_next_one_may_succeed(tmp_path: Path) -> None:
    origin, image = datastore(tmp_path / "origin", qcow2(tmp_path / "a.qcow2", 1))
    sources = [Watched(tmp_path / "empty"), Watched(origin.root)]
    exports = Exports(Store(tmp_path / "here"), lambda: sources[:1])
    for _try in range(2):
        with pytest.raises(NotFound):
            exports.open(image.hex)
        assert sources[0].closed
        sources[0].closed = False
    with pytest.raises(KeyError):
        exports.size(image.hex)
    sources.pop(0)
    exports.close(exports.open(image.hex))
    assert sources[0].closed
