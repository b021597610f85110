# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge-certificates has each hook take a new certificate up once, again after a failure, and warns before an end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.programs import loaded

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
        pair = self.ca.issue("host1", seconds=days * DAY)
        (self.pki / "host.key").write_bytes(pair.key.read_bytes())
        (self.pki / "host.crt").write_bytes(pair.cert.read_bytes())

    def hook(self, text: str, name: str = "edge-test", *, first: str = "#!/bin/sh\n") -> None:
        (self.hooks / name).write_text(f"{first}{text}\n")
        (self.hooks / name).chmod(0o755)

    def run(self, verb: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), verb, *words, str(self.pki), str(self.hooks), str(self.state)]
        known = {**{key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}, **environment}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=known)

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


def test_from_half_of_its_life_on_a_certificate_is_to_be_renewed_and_the_check_does_not_fail(host: Host) -> None:
    host.renew(1)  # of three days, two are over
    for verb, told in (("take-up", False), ("check", True)):
        done = host.run(verb)
        assert done.returncode == 0 and ("is to be renewed" in done.stderr) is told
        (warning,) = host.seen()["warnings"]
        assert "ansible-playbook PLAYBOOK --limit host1" in warning
    assert host.run("check", JOURNAL_STREAM="8:1").stderr.startswith("<4>"), "a warning in the journal, not an error"


@pytest.mark.parametrize(("days", "due"), [("366", True), ("300", False), ("0", False)])
def test_it_is_to_be_renewed_when_the_role_would_do_it(host: Host, days: str, due: bool) -> None:
    assert host.run("check", f"--renew-before-days={days}").returncode == 0
    assert len(host.seen()["warnings"]) == due


def test_a_certificate_that_ends_soon_is_an_error_in_the_journal(host: Host) -> None:
    host.renew(-1)
    assert host.run("check", "--renew-before-days=0", JOURNAL_STREAM="8:1").stderr.startswith("<3>")


def test_a_ca_is_changed_by_its_playbook(host: Host) -> None:
    shutil.copy(host.ca.ca_file, host.pki / "ca.crt")  # it ends in an hour
    done = host.run("check")
    assert done.returncode == 1 and "ansible-playbook edge.cloud.rotate_ca" in done.stderr
    assert "--limit" not in done.stderr


def test_a_state_that_is_no_state_is_made_again(host: Host) -> None:
    host.state.write_text('{"taken_up": ')
    assert host.run("take-up").returncode == 0
    assert host.runs() == 1


def test_a_hook_that_cannot_be_run_or_hangs_stops_no_other(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.hook("true", "a-no-program", first="")
    host.hook("printf '\\377' >&2; exit 1", "b-other-locale")
    host.hook("sleep 1000 & wait", "c-hangs")
    host.hook("echo run >> " + str(host.count), "edge-test~")
    program = loaded(PROGRAM)
    monkeypatch.setattr(program, "HOOK_SECONDS", 1)
    assert program.main("take-up", str(host.pki), str(host.hooks), str(host.state)) == 1
    assert [one.split("/")[-1] for one in host.seen()["failed"]] == [
        "a-no-program cannot be run: Exec format error",
        "b-other-locale failed (1): \N{REPLACEMENT CHARACTER}",
        "c-hangs did not end within 1 s and was killed",
    ]
    assert host.runs() == 1


BROKEN: dict[str, Callable[[Host], object]] = {
    "holds no whole certificate": lambda host: (host.pki / "host.crt").write_bytes(b""),
    "no whole certificate": lambda host: (host.pki / "host.crt").write_bytes((host.pki / "host.crt").read_bytes()[:300]),
    "host.key is not its key": lambda host: (host.pki / "host.key").write_bytes(host.ca.issue("host1").key.read_bytes()),
    "host.crt cannot be used": lambda host: (host.pki / "host.key").write_bytes(b""),
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_a_power_cut_left_is_told(host: Host, why: str) -> None:
    assert host.run("check").returncode == 0
    BROKEN[why](host)
    done = host.run("check")
    assert done.returncode == 1 and why in done.stderr and "Traceback" not in done.stderr


def test_a_certificate_that_is_being_written_is_not_looked_at(host: Host) -> None:
    assert host.run("take-up").returncode == 0
    (host.pki / ".ansible_tmp1host.crt").write_text("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n")
    (host.pki / "gone.crt").symlink_to("nowhere")
    assert host.run("check").returncode == 0 and host.runs() == 1


def test_a_folder_that_is_gone_is_told(host: Host) -> None:
    shutil.rmtree(host.pki)
    done = host.run("check")
    assert done.returncode == 1 and "There is no folder" in done.stderr and "Traceback" not in done.stderr
