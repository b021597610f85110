# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay, compared with what restic itself would keep, and the plan that makes and removes them."""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.model import Backup, Source, State, read_snapshots
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.plan import Wanted, plan_absent, plan_present
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.retention import PERIODS, Retention
from hypothesis import given
from hypothesis import strategies as st

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
BEGIN = datetime(2025, 12, 20, tzinfo=UTC)
NOW = BEGIN + timedelta(days=600)


def backup(time: datetime, number: int, uuid: str = UUID) -> Backup:
    return Backup(Source(uuid, "web", f"0.{number}", time.isoformat()), time, f"{number:064x}", "edge1")


TIMES = st.lists(st.integers(0, 400 * 24), min_size=1, max_size=30, unique=True).map(
    lambda hours: [backup(BEGIN + timedelta(hours=hour), number + 1) for number, hour in enumerate(sorted(hours))]
)
COUNTS = st.fixed_dictionaries({name: st.integers(0, 4) for name in ("last", *PERIODS)}).filter(lambda found: any(found.values()))


@given(TIMES, COUNTS)
def test_what_goes_has_a_later_one_in_each_period(backups: list[Backup], counts: dict[str, int]) -> None:
    gone = Retention(**counts).outdated(backups)
    stay = [one for one in backups if one not in gone]
    assert backups[-1] in stay
    assert len(stay) <= sum(counts.values())
    assert Retention(**counts).outdated(stay) == ()
    for name, period in PERIODS.items():
        newest = {period(one.time): one for one in backups}
        assert all(one in stay for one in sorted(newest.values(), key=lambda one: one.time)[len(newest) - counts[name] :])


@given(TIMES, COUNTS, st.integers(1, 500 * 24))
def test_a_plan_leaves_nothing_to_do_and_others_alone(backups: list[Backup], counts: dict[str, int], hour: int) -> None:
    wanted = replace(backup(BEGIN + timedelta(hours=hour), 99), id="")
    other = backup(BEGIN, 7, UUID.replace("6", "7"))
    state = State(True, (other, *backups))
    plan = plan_present(state, "/srv", Wanted(wanted.source, wanted), Retention(**counts), prune=True, now=NOW)
    assert {wanted, other} <= set(plan.after.backups)
    again = plan_present(plan.after, "/srv", Wanted(wanted.source), Retention(**counts), prune=True, now=NOW)
    assert not again.changed


def test_points_are_in_the_order_of_their_numbers_whatever_clocks_said() -> None:
    """A hypervisor's clock was a year ahead when it made 0.9, before it knew the time."""
    backups = (backup(BEGIN + timedelta(days=365), 9), backup(BEGIN, 10), backup(BEGIN + timedelta(days=1), 11))
    assert [one.source.generation for one in State(True, backups).of(backups[0].source)] == ["0.9", "0.10", "0.11"]
    assert [one.source.generation for one in Retention(last=1).outdated(backups)] == ["0.9", "0.10"]
    assert [one.source.generation for one in Retention(last=1, yearly=1).outdated(backups)] == ["0.9", "0.10"]


def test_files_that_are_backed_up_now_stay_though_the_clock_is_behind() -> None:
    files = [Backup(Source(files="etc"), BEGIN + timedelta(days=day), f"{day:064x}", "edge1") for day in (3, 4)]
    wanted = Backup(Source(files="etc"), BEGIN)
    plan = plan_present(State(True, tuple(files)), "/srv", Wanted(wanted.source, wanted), Retention(last=1), prune=False, now=BEGIN)
    assert plan.actions == ["Back up the files etc."]
    late = plan_present(State(True, tuple(files)), "/srv", Wanted(wanted.source, wanted), Retention(last=1), prune=False, now=NOW)
    assert wanted in late.after.backups and files[1] in late.after.backups


def test_what_is_of_a_time_to_come_takes_no_place_and_stays() -> None:
    """As whoever may only add backups would add them, so that retention takes all others."""
    real = [backup(BEGIN + timedelta(days=day), day) for day in (1, 2)]
    added = [backup(BEGIN + timedelta(days=900 + day), 900 + day) for day in range(5)]
    plan = plan_present(State(True, (*real, *added)), "/srv", Wanted(real[1].source), Retention(last=2), prune=False, now=NOW)
    assert not plan.changed


def test_two_backups_of_one_point_count_once() -> None:
    """Two replicas that start within the same minutes make one each."""
    twins = [replace(backup(BEGIN + timedelta(hours=1), 2), id=f"{number:064x}") for number in (20, 21)]
    before = backup(BEGIN, 1)
    assert Retention(last=2).outdated([before, *twins]) == ()
    assert Retention(last=1).outdated([before, *twins]) == (before,)


def test_a_plan_of_a_new_repository() -> None:
    wanted = backup(BEGIN, 1)
    plan = plan_present(State(False), "/srv", Wanted(wanted.source, wanted), None, prune=True, now=NOW)
    assert plan.actions == ["Make the repository /srv.", "Back up the recovery point 0.1 of the VM web."]
    assert plan.after == State(True, (wanted,))
    assert not plan_absent(plan.after, [], prune=True).changed


def test_snapshots_of_others_are_left_out() -> None:
    ours = {
        "id": "a" * 64,
        "time": "2026-05-01T12:00:01.123456789+02:00",
        "tags": ["edge", f"edge-vm={UUID}", "edge-generation=0.1"],
    }
    forged = ["edge", f"edge-vm={UUID}", "edge-generation=newest"]
    others = [{"id": "b" * 64, "time": "2026-05-01T10:00:00Z", "tags": tags} for tags in (None, ["edge"], ["other"], forged)]
    (found,) = read_snapshots([*others, ours])
    assert (found.source.uuid, found.time) == (UUID, datetime(2026, 5, 1, 10, 0, 1, 123456, UTC))
    with pytest.raises(Corrupt, match="not an ID"):
        read_snapshots([{**ours, "id": "latest"}])


@pytest.mark.slow
def test_restic_would_keep_the_same(tmp_path: Path) -> None:
    """But for the oldest of all, which newer versions of restic keep for a period that has too few."""
    rng = random.Random(3)
    times = sorted(BEGIN + timedelta(hours=hour) for hour in rng.sample(range(60 * 24), 7))
    times += [times[-1] + timedelta(minutes=number) for number in (1, 2)]
    environment = {**os.environ, "RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": str(tmp_path / "repository"), "TZ": "UTC"}
    environment["RESTIC_CACHE_DIR"] = str(tmp_path / "cache")

    def restic(*argv: str) -> str:
        return subprocess.run(["restic", *argv], env=environment, check=True, capture_output=True, text=True).stdout

    restic("init")
    (tmp_path / "file").write_text("x")
    for number, time in enumerate(times, 1):
        tags = ["--tag", "edge", "--tag", f"edge-vm={UUID}", "--tag", f"edge-generation=0.{number}"]
        restic("backup", str(tmp_path / "file"), "--time", time.strftime("%Y-%m-%d %H:%M:%S"), *tags)
    backups = read_snapshots(json.loads(restic("snapshots", "--json")))
    assert [one.time for one in backups] == times
    for counts in ({"last": 2}, {"hourly": 3}, {"daily": 4, "weekly": 2}, {"weekly": 3, "monthly": 2}, {"last": 1, "yearly": 2}):
        options = [word for name, number in counts.items() for word in (f"--keep-{name}", str(number))]
        (group,) = json.loads(restic("forget", "--dry-run", "--json", "--group-by", "", *options))
        kept = {one["id"] for one in group["keep"]}
        reasons = {one["snapshot"]["id"]: one["matches"] for one in group["reasons"] if "id" in one["snapshot"]}
        kept -= {one for one, matches in reasons.items() if all("oldest" in word for word in matches)}
        assert kept == {one.id for one in backups} - {one.id for one in Retention(**counts).outdated(backups)}, counts
