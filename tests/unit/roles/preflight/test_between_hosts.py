# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's own tasks, run on hosts beside each other, here this machine under two names: what both have is told of both."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play

HOSTS = ("a.example", "b.example")
LOOK = {"ansible.builtin.include_role": {"name": "edge.cloud.preflight", "tasks_from": "hosts"}}
QUIET: dict[str, Any] = {"preflight_host_ports": [], "preflight_folders": [], "preflight_host_addresses": {}}


def looked(folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    inventory = folder / "two.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {name: {} for name in HOSTS}}}))
    play = {"hosts": ",".join(HOSTS), "vars": {**QUIET, **options}, "tasks": [LOOK]}
    return local_play(folder, play, "-i", str(inventory))


@pytest.fixture
def same_id() -> None:
    if not Path("/etc/machine-id").read_text().strip():
        pytest.skip("this machine has no machine id")


@pytest.mark.usefixtures("same_id")
def test_two_hosts_with_one_machine_id_are_refused_before_anything_is_changed(tmp_path: Path) -> None:
    done = looked(tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Nothing was changed. This has to be mended first:" in done.stdout
    for own, other in (HOSTS, HOSTS[::-1]):
        assert f"/etc/machine-id of {own} is that of {other} too" in done.stdout
    assert "The clock of" not in done.stdout, "it is one clock"


def test_a_name_that_no_host_resolves_is_told_with_its_address(tmp_path: Path) -> None:
    done = looked(tmp_path, preflight_host_addresses={"nowhere.invalid": "192.0.2.1"})
    assert "nowhere.invalid does not resolve here" in done.stdout and "with the address 192.0.2.1" in done.stdout


def test_a_clock_that_is_ahead_of_the_limit_is_told(tmp_path: Path) -> None:
    """With a limit an hour in the past, which every clock is ahead of."""
    done = looked(tmp_path, preflight_clock_seconds="-3600")
    assert done.returncode == 2
    assert all(f"The clock of {name} is " in done.stdout for name in HOSTS)
    assert "ahead of this controller" in done.stdout
