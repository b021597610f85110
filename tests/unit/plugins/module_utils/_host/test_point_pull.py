# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point pull``: where it runs, what is a failure, and the images that it requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Images, Member, Recovery, Tls
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, EdgeError, Unreachable, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._host.point_pull import PAUSE_SECONDS, pull, request
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.requests import PullRequests, RequestState
from ansible_collections.edge.cloud.plugins.module_utils._storage.replication.turns import rank
from support.certificates import Authority
from support.image_server import free_port
from support.points_server import Maker, member, points_server
from support.recovery import UUID, Machine, with_document

needs_nginx = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
DIGEST = "sha256:" + "a" * 64


def cluster(folder: Path, authority: Authority, *points: Member) -> Cluster:
    pair = authority.issue("b")
    own = Member("b", "https://b/")
    return Cluster(
        "site",
        "b",
        replicas=(own,),
        points=(own, *points),
        images=Images(root=folder / "images", wanted=folder / "wanted"),
        recovery=Recovery(folder / "points"),
        tls=Tls(authority.ca_file, pair.cert, pair.key),
    )


def down() -> Member:
    return Member("down", f"https://127.0.0.1:{free_port()}/")


def test_only_on_a_replica() -> None:
    with pytest.raises(Unsupported, match="not a replica"):
        pull(Cluster("site", "h", replicas=(Member("b", "https://b/"),)), {})


@needs_nginx
def test_a_pull_takes_points_and_requests_the_images_below_them(tmp_path: Path, authority: Authority) -> None:
    maker, machine = Maker(tmp_path / "a"), Machine(tmp_path / "machine")
    machine.write(0, 4096, 1)
    maker.publish(machine)
    with points_server(maker.folder, authority, ["b"], ["b"], ["b"]) as server:
        found = cluster(tmp_path, authority, member("a", server), down())
        told = pull(found, {})
        assert (told["changed"], told["taken"], set(told["unreachable"])) == (True, [f"{UUID} 0.1"], {"down"})
        image = machine.disk.image
        assert told["missing_images"] == told["requested"] == [image]
        assert PullRequests(tmp_path / "wanted").waiting() == [image]
        again = pull(found, {})
        assert (again["changed"], again["missing_images"]) == (False, [image])
        with _files.locked(tmp_path / "points/partial/pull.lock"), pytest.raises(Busy, match="already"):
            pull(found, {})
        (maker.outgoing / UUID / "0.2").mkdir(mode=0o711)
        (maker.outgoing / UUID / "0.2/generation.json").write_text("{}")
        with pytest.raises(EdgeError, match=f"a {UUID}: .*generation.json") as failed:
            pull(found, {})
        assert failed.value.details["taken"] == []


@needs_nginx
def test_a_replica_that_keeps_no_points_has_no_turn(tmp_path: Path, authority: Authority) -> None:
    maker, machine = Maker(tmp_path / "a"), Machine(tmp_path / "machine")
    folder = machine.point()
    with_document(folder, machine.generation, instant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    maker.give(machine, folder)
    own = Member("b", "https://b/")
    others = [Member(f"c{number}", f"https://c{number}/") for number in range(20)]
    before = next(one for one in others if rank(UUID, [own, one], "a", "b") == 1)
    with points_server(maker.folder, authority, ["b"], ["b"], ["b"]) as server:
        found = replace(cluster(tmp_path, authority, member("a", server)), replicas=(own, before))
        assert pull(found, {})["taken"] == [f"{UUID} 0.1"]
        keeps = replace(found, points=(*found.points, replace(before, url=down().url)), recovery=Recovery(tmp_path / "other"))
        assert pull(keeps, {})["left_to_others"] == [f"{UUID} 0.1"]


def test_that_no_host_is_reached_is_a_failure(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(Unreachable, match="No host was reached"):
        pull(cluster(tmp_path, authority, down()), {})
    assert pull(cluster(tmp_path, authority), {})["changed"] is False


def test_an_image_that_is_on_its_way_or_failed_a_moment_ago_is_not_requested_again(tmp_path: Path) -> None:
    requests = PullRequests(tmp_path)
    requests.prepare()
    for state, updated, asked in (
        ("pulling", 0, False),
        ("failed", 1000, False),
        ("failed", 1000 - PAUSE_SECONDS, True),
        ("done", 0, True),
    ):
        requests.write(DIGEST, RequestState("run", state, updated=updated))
        assert request(requests, [DIGEST], 1000) == ([DIGEST] if asked else [])
        assert requests.waiting() == ([DIGEST] if asked else [])
        (requests.asked / DIGEST.removeprefix("sha256:")).unlink(missing_ok=True)
