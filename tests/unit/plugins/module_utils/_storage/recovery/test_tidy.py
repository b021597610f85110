# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes and what stays: the newest generations whole, short chains, the quota, and nothing removed in doubt."""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Corrupt, InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge_plan import Limits
from support.images import MIB
from support.recovery import CLUSTER, UUID, Machine, Replica


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return Replica.with_points(tmp_path_factory.mktemp("six"), 6)


def taken(six: Replica, root: Path, points: int) -> Replica:
    """Return a replica with the first points of a machine."""
    replica = six.copied(root)
    for number in range(points + 1, 7):
        replica.depot.document(UUID, f"0.{number}").unlink()
    replica.tidy(keep=6)
    return replica


def files(replica: Replica) -> set[str]:
    return {path.name for path in replica.depot.files(UUID).iterdir()}


def needed(replica: Replica) -> set[str]:
    return {file.digest[7:] for one in replica.depot.listed(UUID).generations for file in one.needs}


def test_the_newest_stay_with_all_that_they_need(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 5)
    found = replica.tidy(keep=3)
    assert replica.names == ["0.3", "0.4", "0.5"]
    assert found.dropped == [f"{UUID} 0.1", f"{UUID} 0.2"]
    assert files(replica) == needed(replica)
    replica.require_all()
    assert replica.tidy(keep=3).shown()["changed"] is False


@pytest.mark.parametrize(("newest", "older", "left"), [(4, 2, 4), (2, 6, 3), (10**30, 2, 5), ("4", 2, 3), (None, 2, 3)])
def test_a_vm_that_asks_for_more_keeps_more_by_its_newest_point(
    six: Replica, tmp_path: Path, newest: object, older: int, left: int
) -> None:
    replica = taken(six, tmp_path / "r", 5)
    for one in replica.depot.listed(UUID).generations:
        keep = newest if one.name == "0.5" else older
        replica.depot.document(UUID, one.name).write_bytes(replace(one, spec={"recovery": {"keep": keep}}).to_json())
    replica.tidy(keep=3)
    assert len(replica.names) == left and replica.names[-1] == "0.5"
    replica.require_all()
    replica.tidy(keep=3, quota=1)
    assert replica.names == ["0.4", "0.5"], "the quota goes before what a VM asks for"


def test_no_chain_is_longer_than_asked_and_no_point_is_lost(tmp_path: Path) -> None:
    rng = random.Random(5)
    machine = Machine(tmp_path / "machine")
    replica = Replica(machine, tmp_path / "recovery")
    for _number in range(9):
        machine.churn(rng)
        replica.intake.take(machine.point())
        assert replica.tidy(keep=6, longest=4).doubts == []
        lengths = [len(one.disks[0].chain) for one in replica.depot.listed(UUID).whole]
        assert max(lengths) <= 4
    assert replica.names == [f"0.{number}" for number in range(4, 10)]
    assert files(replica) == needed(replica)
    replica.require_all()


def test_fewer_than_two_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^keep: 1 is less than 2"):
        Limits(keep=1)


def test_generations_that_lack_files_do_not_count(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 4)
    newest = replica.depot.find(UUID)
    replica.depot.path_of(UUID, newest.disks[0].chain[-1].digest).unlink()
    replica.tidy(keep=2)
    assert replica.names == ["0.2", "0.3"]
    assert replica.depot.listed(UUID).damaged == {"0.4"}
    replica.require_all()


UNREADABLE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "newer": lambda path: path.write_text(json.dumps({**json.loads(path.read_bytes()), "schema": 9})),
    "of another VM": lambda path: path.write_text(path.read_text().replace(UUID, UUID.replace("6", "7"))),
    "another name": lambda path: path.rename(path.with_name("0.1.json.old")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nothing")),
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_what_cannot_be_read_keeps_all_files_and_spoils_only_itself(six: Replica, tmp_path: Path, how: str) -> None:
    replica = taken(six, tmp_path / "r", 4)
    UNREADABLE[how](replica.depot.document(UUID, "0.1"))
    before = files(replica)
    found = replica.tidy(keep=2)
    assert files(replica) == before
    assert found.removed == []
    assert "no file is removed while a document cannot be read" in found.doubts[0]
    assert replica.names == ["0.3", "0.4"]
    assert len(replica.depot.listed(UUID).unreadable) == 1
    replica.require_all()


def test_a_pinned_generation_stays_as_it_is(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 5)
    replica.depot.pin(UUID, "0.2", True)
    document = replica.depot.document(UUID, "0.2").read_bytes()
    replica.tidy(keep=2, longest=1, quota=1)
    assert replica.names == ["0.2", "0.4", "0.5"]
    assert replica.depot.document(UUID, "0.2").read_bytes() == document
    replica.require_all()
    replica.depot.pin(UUID, "0.2", False)
    replica.tidy(keep=2)
    assert replica.names == ["0.4", "0.5"]


def test_a_damaged_generation_can_be_unpinned_and_an_unknown_one_makes_no_folder(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 2)
    replica.depot.pin(UUID, "0.1", True)
    replica.depot.document(UUID, "0.1").write_bytes(b"{")
    with pytest.raises(Corrupt):
        replica.depot.pin(UUID, "0.1", True)
    replica.depot.pin(UUID, "0.1", False)
    assert replica.depot.listed(UUID).pinned == frozenset()
    for wanted in (False, True):
        with contextlib.suppress(NotFound):
            replica.depot.pin(UUID.replace("6", "5"), "0.1", wanted)
    assert replica.depot.vms() == [UUID]


def test_the_quota_merges_first_then_drops_the_oldest_never_below_two(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 6)
    full = replica.depot.bytes_used
    found = replica.tidy(keep=6, quota=full - 1)
    assert replica.depot.bytes_used < full
    assert len(replica.names) == 5
    assert found.over_quota == 0
    replica.require_all()
    found = replica.tidy(keep=6, quota=1)
    assert replica.names == ["0.5", "0.6"]
    assert found.over_quota == replica.depot.bytes_used - 1
    assert len(replica.depot.find(UUID, "0.6").disks[0].chain) == 2
    assert files(replica) == needed(replica)
    replica.require_all()


def test_the_vm_that_takes_most_loses_its_oldest_first(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 3)
    large = Machine(tmp_path / "large", uuid=UUID.replace("6", "9"))
    other = Replica(large, replica.depot.root)
    for number in range(4):
        large.write(0, 40 * CLUSTER, number + 1)
        other.intake.take(large.point())
    assert other.tidy(keep=6, quota=replica.depot.bytes_used - 1).over_quota == 0
    assert replica.names == ["0.1", "0.2", "0.3"]
    assert other.names == ["0.2", "0.3", "0.4"]
    other.require_all()


def test_no_generation_goes_for_a_quota_where_that_frees_nothing(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 6)
    replica.depot.document(UUID, "0.1").write_bytes(b"{")
    found = replica.tidy(keep=6, quota=1)
    assert (found.dropped, found.merged, found.removed) == ([], [], [])
    assert found.over_quota == replica.depot.bytes_used - 1
    replica.depot.document(UUID, "0.1").unlink()
    with replica.depot.reading(replica.depot.find(UUID)):
        assert len(replica.tidy(keep=6, quota=1).dropped) <= 1
    replica.require_all()


def test_a_file_that_is_read_stays_until_the_next_run(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 3)
    with replica.depot.reading(replica.depot.find(UUID, "0.1")) as paths:
        assert "stays" in " ".join(replica.tidy(keep=2).doubts)
        assert all(path.exists() for path in paths.values())
    assert replica.tidy(keep=2).doubts == []
    assert files(replica) == needed(replica)


def test_a_vm_that_another_process_changes_is_left_alone(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 3)
    with replica.depot.changing(UUID):
        assert "was left alone" in replica.tidy(keep=2).doubts[0]
        with pytest.raises(Busy), replica.depot.changing(UUID, wait=False):
            pass
    assert replica.names == ["0.1", "0.2", "0.3"]


def test_the_image_is_let_go_with_the_last_generation_that_stands_on_it(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 3)
    (mark,) = replica.depot.folder(UUID).glob("*.image")
    replica.tidy(keep=2)
    assert mark.exists()
    for name in replica.names:
        replica.depot.document(UUID, name).unlink()
    replica.tidy(keep=2)
    assert not mark.exists()
    assert files(replica) == set()


def test_an_image_that_came_after_the_generation_is_held_too(tmp_path: Path) -> None:
    replica = Replica(Machine(tmp_path / "machine"), tmp_path / "r")
    image = str(replica.machine.disk.image)
    taken = replace(replica.intake, images=None).take(replica.machine.point())
    assert taken.missing_images == (image,)
    assert replica.machine.images.uses_of(image, []).users == ()
    assert replica.tidy().doubts == []
    assert len(replica.machine.images.uses_of(image, []).users) == 1
    assert replica.tidy().doubts == []


def test_a_merge_without_space_leaves_the_chain_as_it_is(six: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = taken(six, tmp_path / "r", 3)
    before = files(replica)
    monkeypatch.setattr(_files, "RESERVE", 2**60)
    found = replica.tidy(keep=3, longest=2)
    assert "was not merged" in found.doubts[0]
    assert files(replica) == before
    replica.require_all()


def test_a_damaged_delta_spoils_only_the_merges_that_it_is_in(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 6)
    chain = replica.depot.find(UUID, None).disks[0].chain
    damaged = replica.depot.path_of(UUID, chain[2].digest)
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    found = replica.tidy(keep=6, longest=3)
    assert {text.split(":")[0] for text in found.doubts} == {f"{UUID} vda was not merged"}
    assert all(str(damaged) in text for text in found.doubts)
    after = [delta.of for delta in replica.depot.find(UUID, None).disks[0].chain]
    assert after == [(1, 2), (3, 3), (4, 6)]
    damaged.write_bytes(good)
    replica.require_all()


def test_files_that_a_killed_run_left_go(six: Replica, tmp_path: Path) -> None:
    replica = taken(six, tmp_path / "r", 2)
    stray = replica.depot.path_of(UUID, "sha256:" + "e" * 64)
    stray.write_bytes(b"x" * MIB)
    (replica.depot.partial / UUID).mkdir()
    (replica.depot.partial / UUID / "work").write_bytes(b"x")
    assert replica.tidy().bytes_freed == MIB
    assert list(replica.depot.partial.iterdir()) == []
    replica.require_all()
