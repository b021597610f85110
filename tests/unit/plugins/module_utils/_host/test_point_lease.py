# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point lease`` over the real nginx and qemu-storage-daemon of a replica: granted, read, renewed, ended, refused."""

from __future__ import annotations

import filecmp
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Member
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Busy,
    EdgeError,
    InvalidInput,
    NotFound,
    Refused,
    TimedOut,
    Unreachable,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._generation import export_name
from ansible_collections.edge.cloud.plugins.module_utils._host import point_lease
from ansible_collections.edge.cloud.plugins.module_utils._host.point_lease import Leases, lease
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing import granting
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.records import SECONDS
from support.image_server import free_port
from support.leasing import LeasingReplica, leasing_replica
from support.recovery import UUID, Replica
from support.waiting import until

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return Replica.with_points(tmp_path_factory.mktemp("prepared"), 2)


@pytest.fixture
def replica(prepared: Replica, tmp_path: Path) -> Iterator[LeasingReplica]:
    copied = prepared.copied(tmp_path / "recovery")
    with leasing_replica(tmp_path / "rep1", copied, ["hyper1", "hyper2"], ["front"]) as found:
        yield found


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    monkeypatch.setattr(point_lease, "ROOT", folder)
    return folder


def asked(cluster: Cluster, **options: Any) -> dict[str, Any]:
    return lease(cluster, {"timeout": "60", **options})


def notes(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("leases/*"))


def test_a_host_has_the_newest_point_exported_reads_it_and_ends_it(replica: LeasingReplica, root: Path, tmp_path: Path) -> None:
    cluster = replica.cluster("hyper1")
    found = asked(cluster, vm=UUID)
    (disk,) = found["disks"]
    assert (found["generation"], found["replica"], disk["name"]) == ("0.2", "rep1", export_name(UUID, "0.2", "vda"))
    assert found["server"] == f"nbds://127.0.0.1:{replica.nbd.port}" and notes(root) == [f"{found['lease']}.json"]
    done = replica.nbd.read("hyper1", disk["name"], raw := tmp_path / "raw")
    assert done.returncode == 0, done.stderr
    assert filecmp.cmp(raw, replica.replica.machine.contents["0.2"], shallow=False)
    again = asked(cluster, lease=found["lease"])
    assert {key: again[key] for key in ("disks", "server")} == {key: found[key] for key in ("disks", "server")}
    assert replica.starts == 1, "what reads is not disturbed"
    asked(cluster, lease=found["lease"], end=True)
    until(lambda: not replica.replica.depot.leased())
    until(lambda: replica.process is None)
    until(lambda: not list(replica.leases.states.iterdir()))
    assert notes(root) == []


def test_a_lease_of_a_host_that_died_ends_by_itself_and_one_that_is_renewed_does_not(replica: LeasingReplica) -> None:
    dead = asked(replica.cluster("hyper1"), vm=UUID, generation="0.1")
    lives = asked(replica.cluster("hyper2"), vm=UUID, generation="0.2")
    assert replica.replica.depot.leased() == {(UUID, "0.1"), (UUID, "0.2")}
    replica.hour = SECONDS / 2
    asked(replica.cluster("hyper2"), lease=lives["lease"])
    replica.hour = SECONDS + 60
    replica.grant()  # as the timer has it
    assert replica.replica.depot.leased() == {(UUID, "0.2")}
    assert replica.nbd.read("hyper1", dead["disks"][0]["name"], replica.folder / "none").returncode != 0
    again = asked(replica.cluster("hyper1"), lease=dead["lease"])
    assert again["disks"] == dead["disks"], "one that comes back in time reads as before"


def test_a_host_that_may_not_read_points_is_refused_and_nothing_is_exported(replica: LeasingReplica, root: Path) -> None:
    leases = Leases(replica.cluster("front"), root)
    with pytest.raises(Refused, match=r"^generation: no replica exports 0\.1 .*rep1 lets this host read no recovery points"):
        leases.take(UUID, "0.1", "", 30)
    assert notes(root) == [] and not list(replica.leases.asked.iterdir()) and replica.starts == 0


def test_what_a_replica_refuses_is_an_error_of_its_kind(
    replica: LeasingReplica, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = replica.cluster("hyper1")
    with pytest.raises(NotFound, match=r"^generation: no replica of the cluster keeps a recovery point 0\.9"):
        asked(cluster, vm=UUID, generation="0.9")
    with pytest.raises(NotFound, match=r"^generation: no replica exports 0\.9 .*refuses to export it: generation: .* it has 0\.1"):
        Leases(cluster, root).take(UUID, "0.9", "", 30)
    monkeypatch.setattr(granting, "MOST_LEASES", 1)
    asked(cluster, vm=UUID)
    with pytest.raises(Busy, match="hyper1 has 1 exports already, and a host may have 1 at once"):
        asked(cluster, vm=UUID)
    assert len(notes(root)) == 1 and replica.starts == 1


def test_another_replica_is_asked_where_one_is_gone_or_exports_nothing(replica: LeasingReplica, root: Path) -> None:
    gone = Member("rep0", f"https://127.0.0.1:{free_port()}/")
    for other in (gone, Member("rep0", f"https://127.0.0.1:{replica.points.port}/")):
        assert Leases(replica.cluster("hyper1", other), root).take(UUID, "0.1", "", 60)[0].replica == "rep1"
    only = replace(replica.cluster("hyper1"), replicas=(gone,), points=(replace(gone, keeps=True),))
    with pytest.raises(Unreachable, match=r"^generation: no replica exports 0\.1 .*rep0"):
        Leases(only, root).take(UUID, "0.1", "", 30)


def test_a_replica_without_the_server_says_what_to_set(replica: LeasingReplica, root: Path) -> None:
    bare = Member("rep1", f"https://127.0.0.1:{replica.points.port}/", keeps=True)
    own = replica.cluster("hyper1")
    with pytest.raises(Unsupported, match=r"rep1 exports no recovery points on request; set replica_points_nbd"):
        Leases(Cluster("site", "hyper1", (bare,), points=(bare,), tls=own.tls), root).take(UUID, "0.1", "", 30)
    assert notes(root) == []


def test_a_replica_that_begins_nothing_is_given_up_in_time(replica: LeasingReplica, root: Path) -> None:
    replica.stopped.set()
    with pytest.raises(TimedOut, match=r"did not export it within 1 s: it has not begun; does edge-points-leases\.path run"):
        Leases(replica.cluster("hyper1"), root).take(UUID, "0.1", "", 1)
    assert notes(root) == []
    replica.grant()
    assert not replica.replica.depot.leased(), "what was given up is not exported later"


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({}, InvalidInput, "^vm: it is missing"),
        ({"vm": "web", "end": True}, InvalidInput, "^lease: it is missing"),
        ({"lease": "1" * 32, "vm": "web"}, InvalidInput, "^vm: leave it out"),
        ({"lease": "1" * 32}, NotFound, "^lease: this host has no lease '1"),
        ({"vm": "web", "timeout": "0"}, InvalidInput, "^timeout: '0' is not a whole number from 1 to 86400"),
        ({"vm": "web", "user": "../x"}, InvalidInput, "^name: "),
        ({"vm": "web"}, NotFound, "^vm: no replica of the cluster keeps"),
    ],
)
def test_what_is_refused_here(options: dict[str, Any], kind: type[EdgeError], words: str) -> None:
    with pytest.raises(kind, match=words):
        lease(Cluster("site", "hyper1"), options)


def test_a_lease_is_renewed_while_its_vm_waits_and_ended_when_it_has_its_disks(
    replica: LeasingReplica, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_lease, "RENEW_SECONDS", 0.1)
    leases, waiting = Leases(replica.cluster("hyper1"), root), {"db"}
    found = {user: leases.take(UUID, generation, user, 60)[0] for user, generation in (("db", "0.1"), ("gone", "0.2"))}

    def until_of(user: str) -> float:
        return max((one.until for one in replica.leases.leases() if one.lease == found[user].lease), default=0.0)

    replica.hour = SECONDS + 60
    with leases.renewed(waiting.__contains__):
        until(lambda: until_of("db") > time.time() + SECONDS + 60)
    replica.grant()
    assert replica.replica.depot.leased() == {(UUID, "0.1")} and until_of("gone") == 0.0
    leases.forget_over(waiting.__contains__, time.time() + SECONDS + 1)
    assert notes(root) == [f"{found['db'].lease}.json"]
    assert leases.end_for({"db"}) == ["End the lease of the recovery point 0.1 at rep1 for domain db"]
    until(lambda: not list(replica.leases.states.iterdir()))
    assert notes(root) == [] and not replica.replica.depot.leased() and leases.end_for({"db"}) == []


def test_a_replica_that_is_down_for_a_while_ends_no_block_and_is_asked_again(
    replica: LeasingReplica, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(point_lease, "RENEW_SECONDS", 0.1)
    held, first, _host = Leases(replica.cluster("hyper1"), root).take(UUID, "0.1", "db", 60)
    gone = replace(replica.cluster("hyper1"), replicas=(Member("rep1", f"https://127.0.0.1:{free_port()}/"),))
    said: list[str] = []

    def failed() -> bool:
        said.append(capsys.readouterr().err)
        return "The lease of 0.1 for the VM db was not renewed: The replica rep1: " in "".join(said)

    with Leases(gone, root).renewed(lambda _user: True):
        until(failed)
    assert Leases(replica.cluster("hyper1"), root).keep(held, 60)[0].disks == first.disks


def test_a_damaged_note_is_dropped_and_a_newer_one_left_alone(root: Path) -> None:
    (root / "leases").mkdir()
    (root / "leases" / f"{'2' * 32}.json").write_text('{"schema": 2}')
    (root / "leases" / f"{'1' * 32}.json").write_text("{}")
    assert list(Leases(Cluster("site", "h"), root).held()) == [] and notes(root) == [f"{'2' * 32}.json"]
