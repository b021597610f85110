# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of exported recovery points on a replica: granted, refused, renewed, over, and right after a kill at any step."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._generation import export_name
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing import granting
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.granting import Granting, Pass
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.records import SECONDS, Lease, LeaseFolder, parse
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import QEMU
from support.recovery import CLUSTER, UUID, Replica

NOW = 1_000_000.0
ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


@dataclass
class Site:
    """A replica with the folder of leases."""

    replica: Replica
    leases: LeaseFolder
    images: Store | None = None

    @property
    def exports(self) -> Exports:
        return Exports(self.replica.depot, QEMU, self.images or self.replica.machine.images)

    def ask(self, lease: str, generation: str = "0.1", word: str = "keep", host: str = "hyper1", vm: str = UUID) -> None:
        """Put a request as the web server does."""
        self.leases.asked.mkdir(parents=True, exist_ok=True)
        (self.leases.asked / f"{host}.{lease}.{vm}.{generation}.{word}").write_text("{}")

    def run(self, now: float = NOW, boot: str = "first") -> Pass:
        return Granting(self.exports, self.leases, 10810, self.restart, boot).run(now)

    def restart(self) -> None:
        with (self.leases.folder / "starts").open("a") as file:
            file.write(json.dumps(sorted(self.exports.nodes()[0])) + "\n")

    @property
    def starts(self) -> list[list[str]]:
        """The exports at each start of the NBD server."""
        path = self.leases.folder / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def state(self, lease: str, host: str = "hyper1") -> Lease | None:
        path = self.leases.states / f"{host}.{lease}.json"
        return parse(path.read_bytes(), str(path)) if path.exists() else None

    @property
    def left(self) -> list[str]:
        """What there is of leases, beside the note of what the server has."""
        found = [path for folder in (self.leases.asked, self.leases.states) for path in folder.glob("*")]
        return sorted(path.name for path in [*found, *self.replica.depot.root.glob("*/*.lease")])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return Replica.with_points(tmp_path_factory.mktemp("prepared"), 3)


@pytest.fixture
def site(prepared: Replica, tmp_path: Path) -> Site:
    return Site(prepared.copied(tmp_path / "recovery"), LeaseFolder(tmp_path / "leases"))


def export(generation: str) -> str:
    return export_name(UUID, generation, "vda")


def test_a_lease_is_granted_renewed_and_ended_and_the_server_is_started_again_only_for_a_change(site: Site) -> None:
    site.ask(ONE)
    assert site.run().restarted and not list(site.leases.asked.iterdir())
    (state,) = [site.state(ONE)]
    assert state and (state.state, state.port, state.until, state.point) == ("granted", 10810, NOW + SECONDS, (UUID, "0.1"))
    assert [(disk["target"], disk["name"]) for disk in state.disks] == [("vda", export("0.1"))]
    site.ask(ONE)
    site.ask(TWO, host="hyper2")
    assert not site.run(NOW + 60).restarted
    renewed = site.state(ONE)
    assert renewed and renewed.until == NOW + 60 + SECONDS and renewed.disks == state.disks
    site.ask(ONE, word="end")
    assert not site.run(NOW + 120).restarted and site.state(ONE) is None
    site.ask(TWO, word="end", host="hyper2")
    assert site.run(NOW + 180).restarted and site.starts == [[export("0.1")], []]
    assert site.left == []


def test_what_is_not_renewed_ends_and_what_is_goes_on(site: Site) -> None:
    for lease, generation in ((ONE, "0.1"), (TWO, "0.2")):
        site.ask(lease, generation)
    site.run()
    site.ask(TWO, "0.2")
    site.run(NOW + SECONDS / 2)
    done = site.run(NOW + SECONDS)
    assert done.restarted and [one.lease for one in done.granted] == [TWO]
    assert site.starts[-1] == [export("0.2")] and site.state(ONE) is None


def test_a_replica_that_was_off_for_long_gives_hosts_an_hour_to_renew(site: Site) -> None:
    site.ask(ONE)
    site.ask(TWO, "0.9")
    site.run()
    later = NOW + 5 * SECONDS
    done = site.run(later, boot="second")
    assert [(one.lease, one.until) for one in done.granted] == [(ONE, later + SECONDS)] and not done.refused
    assert len(site.run(later + SECONDS - 1, boot="second").granted) == 1
    site.run(later + SECONDS, boot="second")
    assert site.left == []


@pytest.mark.parametrize("step", [-10 * SECONDS, -1.0])
def test_a_clock_that_is_set_back_keeps_no_lease_for_ever(site: Site, step: float) -> None:
    site.ask(ONE)
    site.run()
    site.run(NOW + step)
    state = site.state(ONE)
    assert state and state.until == NOW + step + SECONDS


def test_what_is_leased_stays_as_it_is_and_goes_after_it(site: Site) -> None:
    before, replica = site.replica.depot.find(UUID, "0.1"), site.replica
    site.ask(ONE)
    site.run()
    for number in range(4, 8):
        replica.machine.write(number * CLUSTER, CLUSTER, number + 1)
        replica.intake.take(replica.machine.point())
    replica.tidy(keep=2, longest=2)
    assert replica.names == ["0.1", "0.6", "0.7"] and replica.depot.find(UUID, "0.1") == before
    site.run(NOW + SECONDS)
    replica.tidy(keep=2, longest=2)
    assert replica.names == ["0.6", "0.7"]


def test_an_export_by_hand_and_a_lease_end_each_by_itself(site: Site) -> None:
    site.exports.begin(UUID, "0.1")
    site.ask(ONE)
    site.run()
    assert site.exports.end(UUID, "0.1") and not site.exports.end(UUID, "0.1")
    assert list(site.exports.nodes()[0]) == [export("0.1")], "the host still reads it"
    site.exports.begin(UUID, "0.1")
    site.ask(ONE, word="end")
    site.run()
    assert site.left == [] and site.starts[-1] == [export("0.1")]


@pytest.mark.parametrize(
    ("vm", "generation", "code", "words"),
    [
        (UUID, "0.9", "not_found", "generation: .* has no generation 0.9"),
        ("0fa459ea-ee8a-4ca4-894e-db77e160355e", "0.1", "not_found", "generation: .* has no generation 0.1"),
    ],
)
def test_an_unknown_point_is_refused_with_the_reason_for_a_while(
    site: Site, vm: str, generation: str, code: str, words: str
) -> None:
    site.ask(ONE, generation, vm=vm)
    done = site.run()
    state = site.state(ONE)
    assert state and (state.state, state.code, state.disks) == ("refused", code, ()) and not done.restarted
    with pytest.raises(Exception, match=words):
        raise Corrupt(state.error)
    site.run(NOW + granting.REFUSED_SECONDS)
    assert site.left == []


def test_a_point_whose_image_is_not_here_is_refused_and_granted_when_it_is(site: Site, tmp_path: Path) -> None:
    site.images = Store(tmp_path / "empty")
    site.ask(ONE)
    site.run()
    state = site.state(ONE)
    assert state and state.state == "refused" and "pull them first" in state.error
    assert site.replica.depot.leased() == frozenset()
    site.images = None
    site.ask(ONE)
    assert [one.lease for one in site.run().granted] == [ONE]


def test_a_disk_that_cannot_be_opened_is_refused(site: Site) -> None:
    newest = site.replica.depot.find(UUID, "0.3").disks[0].chain[-1]
    site.replica.depot.path_of(UUID, newest.digest).write_bytes(bytes(newest.size))
    site.ask(ONE, "0.3")
    assert [one.lease for one in site.run().refused] == [ONE] and site.starts == []


def test_no_host_and_not_all_hosts_together_have_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "MOST_LEASES", 2)
    monkeypatch.setattr(granting, "MOST_POINTS", 2)
    for lease in (ONE, TWO, THREE):
        site.ask(lease)
    assert len(site.run().granted) == 2
    refused = [one for one in map(site.state, (ONE, TWO, THREE)) if one and one.state == "refused"]
    assert [one.code for one in refused] == ["busy"] and "a host may have 2 at once" in refused[0].error
    site.ask(ONE, "0.2", host="hyper2")
    site.ask(TWO, "0.3", host="hyper2")
    site.ask(THREE, "0.1", host="hyper2")
    done = site.run()
    assert [(one.host, one.generation) for one in done.refused if one.host == "hyper2"] == [("hyper2", "0.3")]
    assert "2 are possible at once" in next(one.error for one in done.refused if one.host == "hyper2")
    assert site.starts[-1] == sorted([export("0.1"), export("0.2")])


def test_while_a_vms_points_are_changed_a_lease_waits_and_the_others_do_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "LOCK_SECONDS", 0.0)
    site.ask(ONE)
    with site.replica.depot.changing(UUID):
        done = site.run()
        assert [one.lease for one in done.waiting] == [ONE] and not site.starts
    assert [one.lease for one in site.run().granted] == [ONE]
    site.ask(ONE, word="end")
    with site.replica.depot.changing(UUID):
        site.run()
        assert site.state(ONE), "its mark is there, so its state is, too"
    site.run()
    assert site.left == []


def test_names_that_are_no_requests_go_and_states_that_are_damaged_too(site: Site) -> None:
    site.ask(ONE)
    site.run()
    for name in ("x", f"hyper1.{ONE}.{UUID}.0.1.drop", f"hyper1.{ONE}.0.1.keep"):
        (site.leases.asked / name).touch()
    (site.leases.states / f"hyper1.{ONE}.json").chmod(0o600)
    (site.leases.states / f"hyper1.{ONE}.json").write_text("{")
    shutil.copy(site.leases.states / f"hyper1.{ONE}.json", site.leases.states / f"hyper2.{TWO}.json")
    site.run()
    assert site.left == [] and site.starts[-1] == []


def test_a_state_of_a_newer_version_is_left_alone(site: Site) -> None:
    site.ask(ONE)
    site.run()
    path = site.leases.states / f"hyper1.{ONE}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(Unsupported, match=r"upgrade edge\.cloud"):
        site.run()
    assert path.exists() and site.replica.depot.leased() == {(UUID, "0.1")}


@pytest.mark.parametrize(
    "change", [{"state": "mine"}, {"port": -1}, {"disks": [{"name": "x"}]}, {"until": "1"}, {"vm": 1}, {"disks": 1}]
)
def test_a_state_of_another_host_may_be_anything(change: dict[str, object]) -> None:
    data = {
        "host": "h",
        "lease": ONE,
        "vm": UUID,
        "generation": "0.1",
        "state": "granted",
        "port": 1,
        "until": 1.0,
        "disks": [],
        **change,
    }
    with pytest.raises(Corrupt, match="is not the state of a lease"):
        parse(json.dumps(data).encode(), "here")


def killed_at(site: Site, now: float, steps: int) -> bool:
    """Have a process run a pass and end before a change of a name or the start of the server; return whether it did."""
    left = [steps]

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
            return real(*arguments, **more)

        return call

    if (child := os.fork()) == 0:
        for name in ("rename", "unlink", "touch"):
            setattr(Path, name, counted(getattr(Path, name)))
        Site.restart = counted(Site.restart)  # type: ignore[method-assign]
        site.run(now)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("word", ["keep", "end", "over"])
def test_a_kill_before_any_step_leaves_what_the_next_pass_finishes(prepared: Replica, tmp_path: Path, word: str) -> None:
    for at in range(60):
        folder = tmp_path / str(at)
        site = Site(prepared.copied(folder / "recovery"), LeaseFolder(folder / "leases"))
        later = NOW
        if word != "keep":
            site.ask(ONE)
            site.run()
            later += SECONDS if word == "over" else 0
        if word != "over":
            site.ask(ONE, word=word)
        killed = killed_at(site, later, at)
        begun = list(site.leases.folder.glob("asked/*")) + list(site.leases.folder.glob("state/*"))
        assert begun or not site.replica.depot.leased(), "the path or the timer starts the next pass"
        site.run(later)
        kept = [export("0.1")] if word == "keep" else []
        assert site.starts[-1] == kept and bool(site.replica.depot.leased()) == bool(kept)
        assert len(site.left) == 2 * len(kept)
        if not killed:
            assert at > 4
            return
    raise AssertionError("it has more steps than that")
