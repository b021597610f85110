# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A point leaves its host only when enough others hold it, and never on doubt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.outgoing import (
    Asking,
    newest_elsewhere,
    points_in,
    removable,
    remove,
)
from ansible_collections.edge.cloud.plugins.module_utils._errors import Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Disk, File, Generation, Point, Vm
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import LARGEST_JUMP

UUID = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"


def point(number: int, spec: dict[str, object] | None = None) -> Generation:
    disk = Disk("vda", None, 512).begun_again(File("sha256:" + "ab" * 32, 1), (1, number), 512)
    return Generation(Vm("web", UUID), 0, number, "2026-01-01T00:00:00Z", False, False, spec or {}, {}, (disk,))


def put(home: Path, generation: Generation, name: str = "") -> Path:
    folder = home / (name or generation.name)
    folder.mkdir(parents=True)
    (folder / DOCUMENT).write_bytes(generation.to_json())
    (folder / ("ab" * 32)).write_bytes(b"1")
    return folder


@dataclass
class Hosts:
    """Hosts that keep points, one that is down, and one whose connection breaks."""

    kept: dict[str, Point] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _ask(self, member: str, what: str) -> None:
        self.asked.append(f"{member} {what}")
        if member == "down":
            raise Unreachable("No route.")
        if member == "odd":
            raise OSError(5, "bad")

    def holds(self, member: str, generation: Generation) -> bool:
        self._ask(member, generation.name)
        return member == "good" or generation.number == 1

    def newest(self, member: str, uuid: str) -> Point | None:
        self._ask(member, uuid)
        return self.kept.get(member)


def test_a_host_that_does_not_answer_is_asked_once_and_holds_nothing() -> None:
    hosts = Hosts()
    asking = Asking(("down", "odd", "good", "behind"), hosts)
    assert [asking.is_held(point(number), 2) for number in (1, 2)] == [True, False]
    assert hosts.asked == ["down 0.1", "odd 0.1", "good 0.1", "behind 0.1", "good 0.2", "behind 0.2"]
    assert asking.is_held(point(2), 1)
    assert set(asking.silent) == {"down", "odd"}
    assert not Asking((), hosts).is_held(point(1), 1)


def test_the_first_point_of_a_vm_that_came_here_has_a_number_that_no_other_host_has() -> None:
    hosts = Hosts({"good": (3, 41), "behind": (3, 40)})
    assert newest_elsewhere(("good", "behind", "none"), hosts, UUID) == (3, 41)
    assert newest_elsewhere(("none",), hosts, UUID) == newest_elsewhere((), hosts, UUID) == (0, 0)
    for silent in ("down", "odd"):
        epoch, number = newest_elsewhere((silent, "behind"), hosts, UUID)
        assert epoch == 3 and 40 + 10**6 < number < 40 + LARGEST_JUMP


def test_points_that_are_held_may_go_and_older_ones_only_before_as_many_as_are_kept() -> None:
    points = [point(number) for number in (5, 4, 3, 2, 1)]

    def going(held: set[int], keep: int = 2) -> list[int]:
        return [one.number for one in removable(points, {(0, number) for number in held}, keep)]

    assert going(set()) == []
    assert going({3}) == [3], "one held point replaces no other"
    assert going({5, 3}) == [5, 3, 2, 1]
    assert going({5, 3}, keep=3) == [5, 3]
    assert going({7, 6}) == [5, 4, 3, 2, 1], "held ones that are gone from here count"


def test_only_points_of_this_vm_that_can_be_read_are_there_to_be_removed(tmp_path: Path) -> None:
    home = tmp_path / UUID
    for number in (9, 10):
        put(home, point(number))
    put(home, point(3), "0.4")
    (put(home, point(5)) / DOCUMENT).write_text("{")
    (put(home, point(6)) / DOCUMENT).unlink()
    put(home, Generation(Vm("web", UUID.replace("0", "1")), 0, 7, "2026-01-01T00:00:00Z", False, False, {}, {}, point(7).disks))
    put(home, point(8), ".0.8.point")
    (home / "journal.json").write_text("{}")
    (home / "0.12").write_text("a file")
    found = list(points_in(home))
    assert [one.number for one in found] == [10, 9]
    remove(home, found[1])
    assert not (home / "0.9").exists() and (home / "0.10").is_dir() and (home / ".0.8.point").is_dir()


def test_a_removal_that_was_broken_off_is_finished_and_shows_no_half_of_a_point(tmp_path: Path) -> None:
    home = tmp_path / UUID
    folder = put(home, point(1))
    folder.rename(home / ".0.1.gone")
    (home / ".0.1.gone" / DOCUMENT).unlink()
    assert list(points_in(home)) == []
    assert list(home.iterdir()) == []
