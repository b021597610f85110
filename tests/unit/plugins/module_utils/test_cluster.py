# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host believes of its cluster: all of a file, or nothing with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import LARGEST, Cluster, Member, load, parse
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, NotFound, Unsupported

SMALL = {"name": "site1", "host": "edge1"}


def parsed(**values: Any) -> Cluster:
    return parse(json.dumps({**SMALL, **values}).encode(), "cluster.json")


def test_the_least_has_the_defaults() -> None:
    cluster = parsed()
    assert (cluster.name, cluster.host, cluster.replicas, cluster.is_replica, cluster.url) == ("site1", "edge1", (), False, None)
    assert cluster.images.root == Path("/var/lib/edge/images")
    assert cluster.tls.key_file == Path("/etc/edge/pki/host.key")


def test_all_of_it() -> None:
    nbd = "nbds://edge1.example:10809"
    replicas = [
        {"name": "edge1", "url": "https://edge1.example:8444", "nbd": f"{nbd}/"},
        {"name": "edge2", "url": "https://192.0.2.2:8444/"},
    ]
    cluster = parsed(
        replicas=replicas,
        peers=[{"name": "edge3", "url": "https://[2001:db8::3]:8444/"}],
        frontends=["https://frontend.example:8443/"],
        images={"quota_bytes": "40GiB", "quota_percent": 50, "minimum_age": 0, "rate_limit": None, "root": "/srv/images"},
        tls={"ca_file": "/etc/ca.crt"},
    )
    assert cluster.replicas == (Member("edge1", "https://edge1.example:8444/", nbd), Member("edge2", "https://192.0.2.2:8444/"))
    assert cluster.is_replica
    assert cluster.url == "https://edge1.example:8444/"
    assert cluster.others(cluster.replicas) == (Member("edge2", "https://192.0.2.2:8444/"),)
    assert (cluster.images.quota_bytes, cluster.images.quota_percent, cluster.images.rate_limit) == (40 * 2**30, 50.0, None)
    assert cluster.images.root == Path("/srv/images")


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"host": None}, "host is missing"),
        ({"nmae": "x"}, "unknown key 'nmae'; it may have name, host"),
        ({"name": "a b"}, "name: 'a b' is not a name"),
        ({"name": "../x"}, "is not a name"),
        ({"replicas": {}}, "replicas: {} is not a list"),
        ({"replicas": [{"name": "a"}]}, r"replicas\[0\]: url is missing"),
        ({"replicas": [{"name": "a", "url": "http://a/"}]}, r"replicas\[0\]: url: 'http://a/' is not a URL of the form https"),
        ({"replicas": [{"name": "a", "url": "https://a/", "nbd": "nbd://a"}]}, r"nbd: 'nbd://a' is not a URL of the form nbds://"),
        ({"replicas": [{"name": "a", "url": "https://a/", "nbd": "nbds://a/b"}]}, "'nbds://a/b' has a path"),
        ({"frontends": ["https://u:p@a/"]}, r"frontends\[0\]"),
        ({"frontends": ["https://a:99999/"]}, "no port from 0 to 65535"),
        ({"frontends": ["https://a/ x\n"]}, "is not a URL"),
        ({"frontends": [5]}, "is not a URL"),
        ({"peers": [{"name": "a", "url": "https://a/"}] * 2}, "the host a is named twice"),
        ({"images": []}, "images: .* is not an object"),
        ({"images": {"root": "images"}}, "images: root: 'images' is not an absolute path"),
        ({"images": {"root": "/a/../etc"}}, "without '..'"),
        ({"images": {"quota_bytes": "much"}}, "'much' is not a size"),
        ({"images": {"quota_bytes": True}}, "True is not a size"),
        ({"images": {"quota_percent": 101}}, "101 is not a percentage"),
        ({"images": {"minimum_age": -1}}, "-1 is not an integer of at least 0"),
        ({"images": {"rate_limit": 0}}, "0 is not an integer of at least 1"),
        ({"images": {"disk_directories": "/x"}}, "disk_directories: '/x' is not a list"),
        ({"tls": {"key_file": 5}}, "tls: key_file"),
        ({"points": [{"name": "a", "url": "https://a/", "keeps": "no"}]}, r"points\[0\]: keeps: 'no' is not true or false"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], answer: str) -> None:
    with pytest.raises(InvalidInput, match=f"cluster.json.*{answer}"):
        parsed(**values)


def test_replicas_keep_recovery_points_unless_the_file_says_who_does() -> None:
    replicas = [{"name": name, "url": f"https://{name}/"} for name in ("a", "b")]
    points = [
        {**replicas[0], "keeps": False},
        replicas[1],
        {"name": "c", "url": "https://c/"},
        {"name": "d", "url": "https://d/", "keeps": True},
    ]
    assert [one.name for one in parsed(replicas=replicas, points=points).keepers] == ["b", "d"]


def test_a_host_that_is_a_version_behind_its_file_reads_it(tmp_path: Path) -> None:
    new = {
        "schema": 1,
        "zone": "a",
        "images": {"tier": 2, "root": "/srv"},
        "peers": [{"name": "a", "url": "https://a/", "weight": 3}],
    }
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps({**SMALL, **new}))
    cluster = load(path)
    assert (cluster.images.root, cluster.peers) == (Path("/srv"), (Member("a", "https://a/"),))
    with pytest.raises(InvalidInput, match="unknown key 'zone'"):
        load(path, strict=True)
    path.write_text(json.dumps({**SMALL, "schema": 2}))
    with pytest.raises(Unsupported, match=r"cluster\.json has schema 2, .*; upgrade edge\.cloud on this host"):
        load(path)
    path.write_text(json.dumps({**SMALL, "schema": "new"}))
    with pytest.raises(InvalidInput, match="schema is 'new'"):
        load(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"cluster\.json"):
        parse(data, "cluster.json")


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    with pytest.raises(NotFound, match=r"role edge\.cloud\.host"):
        load(path)
    path.write_text(json.dumps(SMALL))
    assert load(path).host == "edge1"
    path.write_bytes(b" " * (LARGEST + 1))
    with pytest.raises(InvalidInput, match="larger than"):
        load(path)
