# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault run of recovery points finds the harm that it looks for, and its programs stop where they are to."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from recovery.hypervisor import BLOCK, SIZE, pattern, written
from recovery.replica import GIVEN, Scene, scene
from recovery.replica_rows import ALL, WORKS, judge
from support.recovery import UUID

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
PULL = WORKS[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("place"), random.Random(1)) as found:
        yield found


def test_a_program_waits_before_its_step_and_a_kill_there_hits(place: Scene) -> None:
    one = place.fresh()
    held = one.programs.start("point", "pull", stop=3).until_hit()
    assert held.hit and held.poll() is None
    held.kill(alone=False)
    assert held.result() == {"rc": -signal.SIGKILL}
    held = one.programs.start("point", "pull", stop=3).until_hit()
    held.go_on()
    assert len(held.result()["taken"]) == len(GIVEN)
    assert one.programs.start("point", "list", stop=10_000).until_hit().hit == ""
    one.done()


def test_harm_is_found(place: Scene) -> None:
    one = place.fresh()
    depot = one.replica.depot
    assert one.harm(ALL) == [] == one.restores()
    assert one.harm({*ALL, "0.10"}) == ["0.10 is gone"]
    newest = depot.find(UUID).disks[0].chain[-1]
    path = depot.path_of(UUID, newest.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    assert any("lacks" in wrong for wrong in one.harm(ALL)) and one.restores()
    (depot.files(UUID) / ("f" * 64)).touch()
    os.truncate(path, 1)
    assert "0.9 is damaged" in one.harm(ALL)


def test_a_kill_that_loses_nothing_is_neither_lost_nor_doubled(place: Scene) -> None:
    one = place.fresh()
    held = one.programs.start("point", "pull", stop=20).until_hit()
    held.kill()
    held.result()
    assert judge(one, PULL, "a kill") == (False, False)


def test_a_gap_and_damage_of_the_stream_are_found(tmp_path: Path) -> None:
    raw = tmp_path / "raw"

    def stream(*numbers: int) -> int:
        raw.write_bytes(b"".join(bytes([pattern(number)]) * BLOCK if number >= 0 else bytes(BLOCK) for number in numbers))
        os.truncate(raw, SIZE)
        return written(raw)

    assert stream(0, 1, 2) == 3
    assert stream() == 0
    with pytest.raises(AssertionError, match="block 2 is there and block 1 is not"):
        stream(0, -1, 2)
    with pytest.raises(AssertionError, match="block 1 is damaged"):
        stream(0, 7, 2)
