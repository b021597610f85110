# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waits between attempts grow, end for something new, and start over after a success."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._host.backoff import (
    names_in,
    succeeded,
    wait_after_failure,
)


def test_each_failure_waits_longer_up_to_a_limit(tmp_path: Path) -> None:
    count, watched = tmp_path / "run/failures", tmp_path / "none"
    slept: list[float] = []
    waits = [wait_after_failure(count, watched, names_in(watched), slept.append) for _ in range(7)]
    assert waits == [10.0, 20.0, 40.0, 80.0, 120.0, 120.0, 120.0] and sum(slept) == sum(waits)
    succeeded(count)
    assert wait_after_failure(count, watched, names_in(watched), slept.append) == 10.0


def test_something_new_ends_the_wait_and_what_was_there_does_not(tmp_path: Path) -> None:
    watched = tmp_path / "arriving"
    watched.mkdir()
    (watched / "old").touch()
    known = names_in(watched)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            (watched / "new").touch()

    assert wait_after_failure(tmp_path / "failures", watched, known, sleep) == sum(slept) == 4.0


def test_a_damaged_count_is_none(tmp_path: Path) -> None:
    (tmp_path / "failures").write_text("x")
    assert wait_after_failure(tmp_path / "failures", tmp_path, names_in(tmp_path / "none"), lambda _seconds: None) == 0.0
