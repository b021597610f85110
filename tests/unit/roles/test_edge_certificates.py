# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge-certificates has each hook take a new certificate up once, again after a failure, and warns before an end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority

PROGRAM = Path(__file__).resolve().parents[3] / "roles/pki/files/edge-certificates"
DAY = 86400


class Host:
    """A folder of certificates, one hook that counts its runs, and the state."""

    def __init__(self, folder: Path) -> None:
        self.pki, self.hooks, self.state, self.count = folder / "pki", folder / "hooks", folder / "state.json", folder / "count"
        self.ca = Authority(folder / "ca")
        for made in (self.pki, self.hooks):
            made.mkdir()
        self.renew(365)
        self.hook("echo run >> " + str(self.count))

    def renew(self, days: int) -> None:
        (self.pki / "host.crt").write_bytes(self.ca.issue("host1", seconds=days * DAY).cert.read_bytes())

    def hook(self, text: str) -> None:
        (self.hooks / "edge-test").write_text(f"#!/bin/sh\n{text}\n")
        (self.hooks / "edge-test").chmod(0o755)

    def run(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), verb, str(self.pki), str(self.hooks), str(self.state)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    def runs(self) -> int:
        return len(self.count.read_text().split()) if self.count.exists() else 0

    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_new_certificate_is_taken_up_once(host: Host) -> None:
    for runs in (1, 1):
        assert host.run("take-up").returncode == 0
        assert host.runs() == runs
    host.renew(300)
    assert host.run("check").returncode == 0
    assert host.runs() == 2


def test_a_hook_that_fails_is_told_and_run_again(host: Host) -> None:
    host.hook("echo no socket >&2; exit 3")
    done = host.run("take-up")
    assert done.returncode == 1 and "edge-test failed (3): no socket" in done.stderr
    assert "no socket" in host.seen()["failed"][0]
    host.hook("echo run >> " + str(host.count))
    assert host.run("take-up").returncode == 0
    assert host.runs() == 1 and host.seen()["failed"] == []


@pytest.mark.parametrize(("days", "warned"), [(365, False), (92, False), (-1, True)])
def test_an_end_that_is_near_fails_the_check_and_not_the_play(host: Host, days: int, warned: bool) -> None:
    host.renew(days)
    done = host.run("check")
    assert (done.returncode == 1) is warned and ("ends on" in done.stderr) is warned
    assert host.seen()["certificates"][0]["near"] is warned
    assert host.run("take-up").returncode == 0


def test_a_state_that_is_no_state_is_made_again(host: Host) -> None:
    host.state.write_text('{"taken_up": ')
    assert host.run("take-up").returncode == 0
    assert host.runs() == 1
