# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of the fault run of networks: a fault hits where it is told to, and a power cut leaves what was synced."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import network_host
import pytest
from network_faults import KINDS, NOTHING, Stage, dead, failed
from network_scene import NetworkHost, differences, usable
from network_scene import network_host as a_host
from support.outcomes import Outcome

(KIND,) = [kind for kind in KINDS if kind.module == "virtual_network"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[NetworkHost]:
    if reason := usable():
        pytest.skip(reason)
    with a_host(tmp_path / "host") as made:
        yield made


def test_a_kill_hits_at_each_of_some_steps_and_the_next_run_makes_the_same(host: NetworkHost) -> None:
    stage = Stage(host, random.Random(1))
    for state in (NOTHING, "first"):
        stage.made[KIND, state] = stage.bring(KIND, state)
    base = stage.bring(KIND, NOTHING)
    (whole,) = host.order(KIND.work("first", stop=10**6))
    assert not failed(whole) and whole["steps"] > 20
    found: list[Outcome] = []
    for step in (1, whole["steps"] // 2, whole["steps"]):
        base = stage.bring(KIND, NOTHING)
        (answer,) = host.order(KIND.work("first", stop=step))
        assert dead(answer) and answer["hit"]
        found.append(stage.judge(KIND, base, "first", answer["hit"]))
    assert found == [(False, False)] * 3


def test_what_is_changed_of_others_is_found(host: NetworkHost) -> None:
    before = host.look()
    host.run("bridge", "fdb", "del", "02:fe:00:00:01:01", "dev", "port0", "master")
    host.run("ip", "link", "set", "theirs", "mtu", "1400")
    host.run("nft", "add", "element", "inet", "theirs", "addresses", "{ 192.0.2.9 }")
    (host.etc / "edge/other.json").write_text("{}")
    changed, new = differences(host.look().theirs, before.theirs)
    assert not new
    assert {key.split()[0] for key in changed} == {"fdb", "link", "rules", "file"}


def test_a_power_cut_leaves_names_and_bytes_that_were_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_host, "ROOTS", (str(tmp_path),))
    kept, careless, careful = (tmp_path / name for name in ("kept", "careless", "careful"))
    kept.write_text("old text")
    disk = network_host.Disk()
    disk.begin()
    (tmp_path / "work").write_text("new text")
    (tmp_path / "work").rename(careless)
    assert disk.left() == {
        "last": {str(tmp_path): None, str(kept): "old text"},
        "late": {str(tmp_path): None, str(kept): "old text", str(careless): "new "},
    }
    with careful.open("w") as file:
        file.write("all of it")
        file.flush()
        disk.synced(file.fileno())
    careful.rename(kept)
    assert disk.left()["last"][str(careful)] == "all of it" and disk.left()["last"][str(kept)] == "old text"
    assert disk.left()["late"][str(kept)] == "all of it" and str(careful) not in disk.left()["late"]
    folder = os.open(tmp_path, os.O_RDONLY)
    disk.synced(folder)
    os.close(folder)
    assert disk.left()["last"][str(kept)] == "all of it"
