# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points pulled from the real nginx: equal bytes, each byte once, and one bad VM or host costs only itself."""

from __future__ import annotations

import random
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, parse
from ansible_collections.edge.cloud.plugins.module_utils._host.point_keepers import TlsKeepers
from ansible_collections.edge.cloud.plugins.module_utils._storage.replication.host_pull import Here, HostPull, Outcome
from ansible_collections.edge.cloud.plugins.module_utils._storage.replication.pull import Pull
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from support.certificates import Authority
from support.image_server import free_port
from support.points_server import Maker, member, points_server
from support.recovery import CLUSTER, UUID, Machine, Replica, with_document
from support.role_server import Server

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
OTHER = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
LONG_AGO = 10.0**10  # far beyond the instants of points


@contextmanager
def served(folder: Path, authority: Authority) -> Iterator[Server]:
    with points_server(folder, authority, ["b", "x"], ["b"], ["a", "b"]) as server:
        yield server


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "a")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def server(maker: Maker, authority: Authority) -> Iterator[Server]:
    with served(maker.folder, authority) as found:
        yield found


@pytest.fixture
def replica(machine: Machine, tmp_path: Path) -> Replica:
    return Replica(machine, tmp_path / "b/points")


def here(
    replica: Replica, server: Server, *, replicas: Sequence[str] = ("b",), givers: Sequence[Member] = (), who: str = "b"
) -> Here:
    pair = server.pairs[who]
    replica.depot.prepare_root()
    named = [Member(name, f"https://{name}/") for name in replicas]
    return Here("b", replica.intake, named, givers, Trust(server.authority.ca_file, pair.cert, pair.key), lambda: LONG_AGO)


def pull(replica: Replica, *servers: Server, **more: object) -> Outcome:
    hosts = [member("a" if number == 0 else f"a{number}", server) for number, server in enumerate(servers)]
    return Pull(here(replica, servers[0], **more), lambda _count: None, time.monotonic).run(hosts)  # type: ignore[arg-type]


def test_the_vm_s_host_sees_what_a_replica_keeps(
    maker: Maker, machine: Machine, server: Server, tmp_path: Path, authority: Authority
) -> None:
    machine.write(0, 4096, 1)
    folder = machine.point()
    maker.give(machine, folder)
    made = parse((folder / DOCUMENT).read_bytes(), "made")
    with points_server(tmp_path / "b-host", authority, ["a", "x"], ["b"], ["a"]) as theirs:
        kept = tmp_path / "b-host/recovery/points"
        pair, stranger = theirs.pairs["a"], theirs.pairs["x"]
        replica = Replica(machine, kept)
        keepers = TlsKeepers({"b": member("b", theirs)}, Trust(authority.ca_file, pair.cert, pair.key))
        assert (keepers.holds("b", made), keepers.newest("b", UUID)) == (False, None)
        assert pull(replica, server).taken == [f"{UUID} 0.1"]
        assert (keepers.holds("b", made), keepers.newest("b", UUID)) == (True, (0, 1))
        assert not keepers.holds("b", replace(made, instant="2020-01-01T00:00:00Z"))
        keepers.close()
        refused = TlsKeepers({"b": member("b", theirs)}, Trust(authority.ca_file, stranger.cert, stranger.key))
        for ask in (lambda: refused.holds("b", made), lambda: refused.newest("b", UUID)):
            with pytest.raises(EdgeError) as failed:
                ask()
            assert not isinstance(failed.value, NotFound)
        refused.close()


def test_points_arrive_in_order_with_equal_bytes_and_only_once(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    for number in range(3):
        machine.write(number * CLUSTER, 2 * CLUSTER, number + 1)
        maker.publish(machine)
    found = pull(replica, server)
    assert (found.taken, found.failed, found.unreachable) == ([f"{UUID} 0.{number}" for number in (1, 2, 3)], {}, {})
    assert found.bytes_fetched == sum(path.stat().st_size for path in replica.depot.files(UUID).iterdir())
    replica.require_all()
    assert list((replica.depot.partial / "pulled/a").glob("*/*")) == []
    again = pull(replica, server)
    assert (again.taken, again.bytes_fetched) == ([], 0)
    machine.write(0, CLUSTER, 9)
    last = maker.publish(machine)
    found = pull(replica, server)
    new = [path for path in last.iterdir() if path.name != DOCUMENT]
    assert (found.taken, found.bytes_fetched) == ([f"{UUID} 0.4"], sum(path.stat().st_size for path in new))
    replica.require_content("0.4")


def test_points_that_were_dropped_here_are_not_taken_again(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    for number in range(4):
        machine.write(number * CLUSTER, CLUSTER, number + 1)
        maker.publish(machine)
    pull(replica, server)
    replica.tidy(keep=2)
    assert replica.names == ["0.3", "0.4"]
    assert pull(replica, server).bytes_fetched == 0
    assert replica.names == ["0.3", "0.4"]


def test_an_interrupted_file_goes_on_and_a_wrong_one_is_fetched_again(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    for start in range(0, 40, 2):
        machine.write(start * CLUSTER, CLUSTER, start + 1)
    given = maker.publish(machine)
    (delta,) = (path for path in given.iterdir() if path.stat().st_size > CLUSTER)
    whole = sum(path.stat().st_size for path in given.iterdir() if path.name != DOCUMENT)
    part = replica.depot.partial / f"pulled/a/{UUID}/0.1/{delta.name}"
    half = delta.read_bytes()[: delta.stat().st_size // 2]
    replica.depot.prepare_root()
    part.parent.mkdir(parents=True)
    part.write_bytes(random.Random(1).randbytes(len(half)))
    found = pull(replica, server)
    assert found.taken == [] and "digest" in found.failed[f"a {UUID}"] and not part.exists()
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(half)
    found = pull(replica, server)
    assert (found.taken, found.bytes_fetched) == ([f"{UUID} 0.1"], whole - len(half))
    replica.require_all()


def test_one_bad_vm_holds_up_no_other(maker: Maker, machine: Machine, server: Server, replica: Replica, tmp_path: Path) -> None:
    for uuid in ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", OTHER):
        shutil.copytree(machine.point(), maker.outgoing / uuid / "0.1")  # of another VM than its folder says
    bad = Machine(tmp_path / "bad", uuid="00000000-0000-4000-8000-000000000003")
    given = maker.publish(bad)
    for path in given.iterdir():
        if path.name != DOCUMENT:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    machine.number, machine.disk = 0, replica.machine.disk
    good = Machine(tmp_path / "good")
    good.write(0, CLUSTER, 3)
    maker.publish(good)
    found = pull(replica, server)
    assert found.taken == [f"{UUID} 0.1"] and len(found.failed) == 4 and found.unreachable == {}


def test_hosts_that_are_down_or_silent_cost_only_themselves(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    maker.publish(machine)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [
            Member("down", f"https://127.0.0.1:{free_port()}/"),
            Member("silent", f"https://127.0.0.1:{silent.getsockname()[1]}/"),
            member("a", server),
        ]
        found = Pull(here(replica, server), lambda _count: None, time.monotonic).run(hosts)
    assert found.taken == [f"{UUID} 0.1"]
    assert set(found.unreachable) == {"down", "silent"} and found.failed == {}


def test_a_host_that_may_not_read_is_refused(maker: Maker, machine: Machine, server: Server, replica: Replica) -> None:
    maker.publish(machine)
    found = HostPull(here(replica, server, who="x"), member("a", server), lambda _count: None).run()
    assert found.taken == [] and "403" in found.failed["a"]


def test_a_replica_that_comes_later_leaves_a_point_to_others_until_it_is_old(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    given = maker.publish(machine)
    with_document(given, machine.generation, spec={"recovery": {"replicas": 1, "interval": 60}})
    others = [f"r{number}" for number in range(20)]
    young = here(replica, server, replicas=["b", *others])
    object.__setattr__(young, "now", lambda: 0.0)
    found = HostPull(young, member("a", server), lambda _count: None).run()
    assert (found.taken, found.left_to_others, found.bytes_fetched) == ([], [f"{UUID} 0.1"], 0)
    assert pull(replica, server, replicas=["b", *others]).taken == [f"{UUID} 0.1"]


def test_a_new_replica_gets_what_is_gone_from_the_host_from_another_one(
    maker: Maker, machine: Machine, server: Server, replica: Replica, tmp_path: Path
) -> None:
    (tmp_path / "c/recovery").mkdir(parents=True)
    old = Replica(machine, tmp_path / "c/recovery/points")
    for number in range(10):
        machine.write(number * CLUSTER, CLUSTER, number + 1)
        old.intake.take(machine.point())
    old.tidy()
    machine.write(CLUSTER // 2, CLUSTER, 77)
    maker.publish(machine)
    found = pull(replica, server)
    assert found.taken == [] and "no other replica gives an earlier point" in found.failed[f"a {UUID}"]
    with served(tmp_path / "c", server.authority) as second:
        found = pull(replica, server, replicas=["b", "c"], givers=[member("c", second)])
    assert (found.taken, found.failed) == ([f"{UUID} 0.10", f"{UUID} 0.11"], {})
    replica.require_all()


def test_a_pull_whose_time_is_over_ends_and_the_next_one_goes_on(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    for number in range(3):
        machine.write(number * CLUSTER, CLUSTER, number + 1)
        maker.publish(machine)
    ticks = iter(range(1000))
    short = Pull(here(replica, server), lambda _count: None, lambda: float(next(ticks)), seconds=4.0)
    found = short.run([member("a", server)])
    assert found.failed == {} and len(found.taken) < 3
    assert found.taken + pull(replica, server).taken == [f"{UUID} 0.{number}" for number in (1, 2, 3)]


def test_what_is_on_its_way_from_hosts_and_vms_that_are_gone_is_removed(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    maker.publish(machine)
    replica.depot.prepare_root()
    folder = replica.depot.partial / "pulled"
    gone = [folder / name for name in (f"old/{UUID}/0.1", f"a@old/{UUID}/0.1", f"a/{OTHER}/0.1", f"a/{UUID}/0.7")]
    for path in gone:
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x")
    assert pull(replica, server).taken == [f"{UUID} 0.1"]
    assert [path for path in gone if path.exists()] == []


def test_a_full_quota_lets_the_oldest_go_for_the_next_point(
    maker: Maker, machine: Machine, server: Server, replica: Replica
) -> None:
    for number in range(5):
        machine.write(0, 8 * CLUSTER, number + 1)
        maker.publish(machine)
    pull(replica, server)
    quota = replica.depot.bytes_used + 1
    replica.intake = replace(replica.intake, quota=quota)
    for number in (6, 7):
        machine.write(0, 8 * CLUSTER, number)
        maker.publish(machine)
    found = pull(replica, server)
    assert (found.taken, found.failed) == ([f"{UUID} 0.6", f"{UUID} 0.7"], {})
    assert replica.names[-1] == "0.7" and len(replica.names) >= 2 and found.dropped[0] == f"{UUID} 0.1"
    assert replica.depot.bytes_used <= quota
    replica.require_all()


def test_a_point_that_cannot_fit_or_is_of_a_large_vm_costs_no_small_one_its_generations(
    maker: Maker, machine: Machine, server: Server, replica: Replica, tmp_path: Path
) -> None:
    small = Machine(tmp_path / "small", uuid=OTHER)
    for number in range(4):
        small.write(0, CLUSTER, number + 1)
        replica.intake.take(small.point())
    for number in range(2):
        machine.write(0, 8 * CLUSTER, number + 1)
        replica.intake.take(machine.point())
    replica.intake = replace(replica.intake, quota=replica.depot.bytes_used + 1)
    kept = Replica(small, replica.depot.root)
    machine.write(0, 2 * CLUSTER, 9)
    maker.publish(machine)
    found = pull(replica, server)
    assert list(found.failed) == [f"a {UUID}"] and "quota" in found.failed[f"a {UUID}"]
    assert (found.dropped, kept.names, replica.names) == ([], ["0.1", "0.2", "0.3", "0.4"], ["0.1", "0.2"])
