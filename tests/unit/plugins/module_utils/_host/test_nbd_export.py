# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exports of a host's NBD server, without nbdkit: their bytes, and what they hold while they are open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Member, Tls
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._host.images import quick_sources
from ansible_collections.edge.cloud.plugins.module_utils._host.nbd_export import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.certificates import Authority
from support.images import datastore, qcow2


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
