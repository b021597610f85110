# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's images over the real nginx: each byte leaves the Front-end once, whoever asks, whoever dies."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.cluster_replica import ClusterReplica
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.pull_policy import ranked
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.replica import Choice
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.cluster_hosts import NAME, Host, Site, site
from support.images import datastore, qcow2
from support.modules import run_module
from support.waiting import LIMIT, until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    store, image = datastore(folder / "store", qcow2(folder / "a.qcow2", 24))
    catalogue.write(store)
    return store, image


@pytest.fixture
def here(tmp_path: Path, origin: tuple[Store, Manifest]) -> Iterator[Site]:
    with site(tmp_path, ["r1", "r2"], ["h1", "h2", "h3"], rate="12m") as made:
        shutil.copytree(origin[0].root, made.front.store.root, dirs_exist_ok=True)
        yield made


def in_order(made: Site, image: Manifest) -> list[Host]:
    """Return the replicas in the image's order."""
    names = [member.name for member in ranked(image.digest, [host.member for host in made.replicas])]
    return [next(host for host in made.replicas if host.name == name) for name in names]


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    printed = process.communicate(timeout=LIMIT)[0]
    assert process.returncode == code, printed
    result: dict[str, Any] = json.loads(printed)
    return result


def whole(host: Host, image: Manifest) -> bool:
    return host.store.find(image.digest) == image and host.store.verify(image.digest) == []


def test_three_hosts_at_the_same_moment_cost_one_image(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    results = [ended(process) for process in [host.edge_host("pull", "--name", "debian", "--version", "1") for host in here.peers]]
    assert all(whole(host, image) for host in here.peers)
    assert all(result["bytes_fetched"] == image.size for result in results)
    assert here.front.served() == image.size
    first, second = in_order(here, image)
    assert whole(first, image)
    assert second.store.find(image.digest) is None
    ended(second.edge_host("fill"))
    assert whole(second, image), "a replica has what the others have"
    assert here.front.served() == image.size
    assert [entry.digest for entry in catalogue.parse((second.store.root / "index.json").read_bytes(), "")] == [image.digest]
    ended(here.peers[0].edge_host("pull", "--name", "debian"))


def test_the_replicas_themselves_cost_one_image(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    for process in [host.edge_host("pull", "--digest", image.digest) for host in here.replicas]:
        ended(process)
    assert all(whole(host, image) for host in here.replicas)
    assert here.front.served() == image.size


def test_the_replica_that_moves_it_dies(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    first, second = in_order(here, image)
    pulls = [host.edge_host("pull", "--digest", image.digest) for host in here.peers[:2]]
    partial = first.store.partial_path(image.digest)
    until(lambda: partial.exists() and partial.stat().st_size > 4 * MIB)
    first.kill()
    assert not first.store.image_path(image.digest).exists(), "it had all of it before it died"
    for process in pulls:
        ended(process)
    assert all(whole(host, image) for host in here.peers[:2])
    assert whole(second, image)
    assert here.front.served() < 2 * image.size
    first.start()
    ended(first.edge_host("fill"))
    assert whole(first, image), "it comes back and fills itself from the other"
    assert here.front.served() < 2 * image.size


def test_without_any_replica_the_front_end_serves(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    for host in here.replicas:
        host.kill()
    assert ended(here.peers[0].edge_host("pull", "--digest", image.digest))["sources"] == [here.front.member.url]
    shown = ended(here.peers[1].edge_host("pull", "--digest", image.digest))
    assert shown["sources"][0].startswith("https://127.0.0.1:"), "what a peer has is not asked of the Front-end"
    assert shown["sources"] == [here.peers[0].member.url]
    assert here.front.served() == image.size


def test_a_replica_does_not_choose_the_image_of_a_name(here: Site, origin: tuple[Store, Manifest]) -> None:
    image, other = origin[1], "sha256:" + "5" * 64
    listed = json.loads((origin[0].root / "index.json").read_bytes())["images"]
    for host in here.replicas:
        host.store.prepare()
        (host.store.root / "index.json").write_text(json.dumps({"images": [{**one, "digest": other} for one in listed]}))
    replica = ClusterReplica.of(here.peers[0].cluster)
    for choice in (Choice(name="debian", version="1"), Choice(name="debian")):
        assert replica.resolve(choice) == image.digest
    here.front.kill()
    assert replica.resolve(Choice(name="debian", version="1")) == other, "nobody else is there to ask"


def test_what_nobody_has_is_reported_in_the_replica_s_words(here: Site) -> None:
    replica = ClusterReplica.of(here.peers[0].cluster)
    wanted = "sha256:" + "5" * 64
    with pytest.raises(NotFound, match=r"The replica r[12] reports: .*could not be pulled from any source"):
        replica.pull(wanted, now=0)
    with pytest.raises(NotFound, match=r"The replica r[12] reports"):
        replica.pull(wanted, now=0)


def test_with_everybody_away_it_says_who(here: Site, origin: tuple[Store, Manifest]) -> None:
    for host in (here.front, *here.replicas):
        host.kill()
    with pytest.raises(Unreachable, match=r"In the cluster: .*r1"):
        ClusterReplica.of(here.peers[0].cluster).pull(origin[1].digest, now=0)


def test_a_filler_that_is_killed_goes_on_with_what_it_took(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    first, _second = in_order(here, image)
    first.stopped.set()  # no path unit: this test starts the filler itself
    (first.folder / "wanted/asked" / image.hex).write_text("{}")
    (first.folder / "wanted/asked/no-wish").touch()
    filler = first.edge_host("fill")
    partial = first.store.partial_path(image.digest)
    until(lambda: partial.exists() and partial.stat().st_size > 4 * MIB)
    assert list((first.folder / "wanted/asked").iterdir()) == []
    filler.kill()
    assert filler.wait() == -signal.SIGKILL
    assert ended(first.edge_host("fill"))["pulled"] == [image.digest]
    assert whole(first, image)
    assert json.loads((first.folder / f"wanted/state/{image.hex}.json").read_text())["state"] == "done"
    assert here.front.served() <= image.size + 5 * MIB


def test_a_replica_keeps_to_its_quota_when_it_copies(here: Site, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    first, second = in_order(here, image)
    ended(first.edge_host("pull", "--digest", image.digest))
    here.describe(quota_bytes=image.size - 1)
    assert ended(second.edge_host("fill"))["pulled"] == []
    assert second.store.find(image.digest) is None


def test_a_replica_that_is_down_or_refuses_another_one_is_named(here: Site, origin: tuple[Store, Manifest]) -> None:
    first, second = in_order(here, origin[1])
    ended(first.edge_host("pull", "--digest", origin[1].digest))
    first.kill()
    assert list(ended(second.edge_host("fill"))["unreachable"]) == [first.member.url]
    first.readers = ("a host that was there before",)
    first.start()
    told = ended(second.edge_host("fill"))
    assert told["pulled"] == [] and "403" in told["unreachable"][first.member.url]
    first.kill()
    first.readers = (NAME,)
    first.start()
    told = ended(second.edge_host("fill"))
    assert told["unreachable"] == {} and told["pulled"] == [origin[1].digest]


def test_who_is_no_replica_is_not_filled(here: Site) -> None:
    assert ended(here.peers[0].edge_host("fill"), 1)["error"]["code"] == "unsupported"


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "MOVE", "POST"])
@pytest.mark.parametrize("known", [True, False])
def test_client_without_our_certificate_and_tricks_get_nothing_from_requests(here: Site, method: str, known: bool) -> None:
    replica = here.replicas[0]
    context = ssl.create_default_context(cafile=replica.pki / "ca.crt")
    if known:
        context.load_cert_chain(replica.pki / "host.crt", replica.pki / "host.key")
    hex_ = "7" * 64
    paths = [
        f"wanted/{hex_}",
        f"wanted/{hex_}.json",
        "wanted/x",
        f"wanted/../{hex_}",
        f"wanted/{hex_}/x",
        "wanted/",
        f"{hex_}.json",
    ]
    for path in paths:
        allowed = known and method == "PUT" and path == paths[0]
        request = urllib.request.Request(f"{replica.member.url}{path}", b"{}", method=method)
        try:
            with urllib.request.urlopen(request, context=context, timeout=LIMIT) as response:
                assert allowed, (method, path, response.status)
        except urllib.error.HTTPError as error:
            assert not allowed, (method, path, error.status)
            assert error.status in (400, 403, 404, 405)
    if known and method == "PUT":
        big = urllib.request.Request(f"{replica.member.url}{paths[0]}", b"x" * 2000, method="PUT")
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(big, context=context, timeout=LIMIT)
    assert {path.name for path in (replica.folder / "wanted/asked").iterdir()} <= {hex_}


def test_the_module_takes_the_rule_of_the_cluster(
    here: Site, origin: tuple[Store, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    image, host = origin[1], here.peers[0]
    options = {"root": str(host.store.root), "cluster_file": str(host.config), "disk_directories": []}
    checked = run_module(capsys, "replica_image", check=True, name="debian", version="1", **options)
    pulled = run_module(capsys, "replica_image", name="debian", version="1", **options)
    assert (checked["actions"], checked["image"]["digest"]) == (pulled["actions"], pulled["image"]["digest"])
    assert pulled["sources"][0] in {replica.member.url for replica in here.replicas}
    assert whole(host, image)
    assert here.front.served() == image.size
    assert not run_module(capsys, "replica_image", name="debian", version="1", **options)["changed"]


def test_modules_without_sources_take_the_rule_of_the_host_s_cluster(
    here: Site, origin: tuple[Store, Manifest], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, host = origin[1], here.peers[0]
    options = {"root": str(host.store.root), "disk_directories": []}
    monkeypatch.setattr(_cluster, "FILE", here.front.folder / "none.json")
    alone = run_module(capsys, "replica_image", name="debian", **options)
    assert alone["error"]["code"] == "not_found" and "There are no sources to ask" in alone["msg"]
    monkeypatch.setattr(_cluster, "FILE", host.config)
    pulled = run_module(capsys, "replica_image", name="debian", **options)
    assert pulled["sources"][0] in {replica.member.url for replica in here.replicas} and whole(host, image)
    path = host.store.image_path(image.digest)
    path.chmod(0o644)
    path.write_bytes(b"\0" * image.size)
    assert run_module(capsys, "image_scrub", **options)["repaired"] == [image.digest] and whole(host, image)
    host.config.write_text("{")
    for wanted in ({"state": "absent"}, {"sources": [str(origin[0].root)]}):
        assert run_module(capsys, "replica_image", name="debian", version="1", **options, **wanted)["changed"], wanted


def test_the_newest_here_stands_for_a_name_while_nobody_can_be_asked(here: Site, origin: tuple[Store, Manifest]) -> None:
    host = here.peers[0]
    ended(host.edge_host("pull", "--name", "debian"))
    for other in (here.front, *here.replicas):
        other.kill()
    assert ended(host.edge_host("pull", "--name", "debian"))["changed"] is False
    with pytest.raises(Unreachable):
        ClusterReplica.of(host.cluster).resolve(Choice(name="debian", version="2"))
