# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_packages with the real dpkg, and with an apt-get that writes what it was asked and does what a host would."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.modules import run_module

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda **options: run_module(capsys, "host_packages", **options)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that is not reached, and no such package: the calls are in the file."""
    calls = tmp_path / "calls"
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\necho "no $*" >&2\nexit 100\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return calls


def test_what_is_installed_needs_no_apt(run: Run, apt: Path) -> None:
    done = run(names=["dpkg", "libc6", "dpkg"])
    assert not done["changed"] and done["packages"] == {"installed": ["dpkg", "libc6"]}
    assert not apt.exists()


def test_what_another_package_provides_needs_no_apt(run: Run, apt: Path) -> None:
    rows = subprocess.run(["dpkg-query", "-W", "-f", "${Provides}\n"], capture_output=True, text=True, check=True).stdout
    provided = {word.split()[0] for word in rows.replace("\n", ",").split(",") if word.strip()}
    done = run(names=["dpkg", "awk"])
    assert "awk" in provided and not done["changed"] and not apt.exists()


def test_only_what_is_missing_is_installed_and_the_error_is_whole(run: Run, apt: Path) -> None:
    planned = run(names=["dpkg", "edge-none"], check=True)
    assert planned["actions"] == ["Install edge-none: not installed."] and not apt.exists()
    failed = run(names=["dpkg", "edge-none"])
    assert failed["error"]["code"] == "command_failed"
    assert apt.read_text().splitlines()[-1].endswith("install -- edge-none")
    assert "install -- edge-none" in failed["msg"] and failed["error"]["failed_action"] == planned["actions"][0]


@pytest.mark.parametrize("name", ["-o", "a b", "", "a=1"])
def test_what_is_no_name_is_refused(run: Run, apt: Path, name: str) -> None:
    failed = run(names=["dpkg", name])
    assert failed["error"]["option"] == "names[1]" and not apt.exists()
