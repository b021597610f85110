# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources over the real nginx with client certificates: the right ones get images, everybody else gets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, InvalidInput, NotFound, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.replica import sources_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource
from support.certificates import Authority, Pair
from support.image_server import Served, nginx
from support.images import datastore, qcow2


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("images")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 10))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, image: tuple[Store, Manifest], authority: Authority) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("nginx") / "served"
    with nginx(folder, image[0].root, authority, authority.issue("127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="module")
def client(authority: Authority) -> Pair:
    return authority.issue("host1.example")


def test_an_image_comes_over_one_connection(
    served: Served, image: tuple[Store, Manifest], authority: Authority, client: Pair, tmp_path: Path
) -> None:
    source = HttpsSource(served.url, Trust(authority.ca_file, client.cert, client.key))
    assert [entry.digest for entry in source.catalogue()] == [image[1].digest]
    here = Store(tmp_path / "here")
    done = pull_image(here, image[1].digest, [source], now=0)
    assert done.bytes_fetched == image[1].size
    assert here.verify(image[1].digest) == []
    asked = [line.split('"')[1] for line in served.requests()]
    assert asked[-3:] == [f"GET /{image[1].hex}.{kind} HTTP/1.1" for kind in ("json", "pieces", "qcow2")]


def test_what_is_not_there_is_not_found(served: Served, authority: Authority, client: Pair) -> None:
    source = HttpsSource(served.url, Trust(authority.ca_file, client.cert, client.key))
    with pytest.raises(NotFound, match="404"):
        source.manifest("sha256:" + "0" * 64)


def refused(url: str, trust: Trust, words: str) -> None:
    source = HttpsSource(url, trust, seconds=60)
    with pytest.raises(Unreachable, match=words):
        source.catalogue()


def test_a_client_without_our_certificate_gets_nothing(served: Served, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other CA").issue("host1.example")
    refused(served.url, Trust(authority.ca_file), "client certificate")
    refused(served.url, Trust(authority.ca_file, other.cert, other.key), "client certificate")


def test_an_expired_client_gets_nothing(served: Served, authority: Authority) -> None:
    old = authority.issue("host2.example", seconds=-60)
    refused(served.url, Trust(authority.ca_file, old.cert, old.key), "client certificate")


def test_a_server_of_another_ca_is_not_believed(served: Served, client: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other CA").ca_file
    refused(served.url, Trust(other, client.cert, client.key), "certificate is not accepted")
    refused(served.url, Trust(None, client.cert, client.key), "certificate is not accepted")


def test_a_server_of_another_name_is_not_believed(served: Served, authority: Authority, client: Pair) -> None:
    url = served.url.replace("127.0.0.1", "localhost")
    refused(url, Trust(authority.ca_file, client.cert, client.key), "certificate is not accepted.*[Hh]ostname mismatch")


def test_an_expired_server_is_not_believed(
    image: tuple[Store, Manifest], authority: Authority, client: Pair, tmp_path: Path
) -> None:
    with nginx(tmp_path / "old", image[0].root, authority, authority.issue("127.0.0.1", seconds=-60)) as server:
        refused(server.url, Trust(authority.ca_file, client.cert, client.key), "expired")


def test_nobody_at_home(authority: Authority) -> None:
    refused("https://127.0.0.1:9/", Trust(authority.ca_file), "refused")


def test_a_catalogue_that_is_none_is_corrupt(
    image: tuple[Store, Manifest], authority: Authority, client: Pair, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "index.json").write_text("<html>no</html>")
    (tmp_path / "root" / f"{image[1].hex}.json").write_bytes(b"x" * 70_000_000)
    with nginx(tmp_path / "bad", tmp_path / "root", authority, authority.issue("127.0.0.1")) as server:
        source = HttpsSource(server.url, Trust(authority.ca_file, client.cert, client.key))
        with pytest.raises(Corrupt, match="not JSON"):
            source.catalogue()
        with pytest.raises(Corrupt, match="larger than"):
            source.manifest(image[1].digest)


@pytest.mark.parametrize("text", ["http://frontend.example/", "ftp://x/", "relative", "file:///x", "https://user@x/", "https:///x"])
def test_only_authenticated_sources_are_taken(text: str) -> None:
    with pytest.raises(InvalidInput):
        sources_of([text], Trust())


def test_certificate_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no\.crt"):
        HttpsSource("https://x.example/", Trust(tmp_path / "no.crt"))
