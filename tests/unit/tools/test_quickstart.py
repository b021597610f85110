# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that tools/quickstart.py builds: text for the guest's shell reaches no shell of this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "tools/quickstart.py"
SUMMARY = {"key": "/k", "user": "edge", "address": "192.0.2.5"}
HOSTILE = 'echo "$HOME"; id | cat > /tmp/x'


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delenv("QUICKSTART_COMMAND", raising=False)
    spec = importlib.util.spec_from_file_location("quickstart", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ssh_without_a_command_opens_a_shell(quickstart: ModuleType) -> None:
    assert quickstart.ssh(SUMMARY, [])[-1] == "edge@192.0.2.5"


def test_the_command_is_one_argument_of_ssh(quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    assert quickstart.ssh(SUMMARY, [])[-2:] == ["edge@192.0.2.5", HOSTILE]


def test_arguments_come_before_the_variable(quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    assert quickstart.ssh(SUMMARY, ["uptime", "-p"])[-3:] == ["edge@192.0.2.5", "uptime", "-p"]
    assert HOSTILE not in " ".join(quickstart.inside("ssh", ["uptime"]))


def test_the_command_goes_into_the_lab_host_as_one_word(quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    words = quickstart.inside("ssh", [])
    assert words[:3] == ["exec", "quickstart", "--"]
    assert words[3:] == ["env", f"QUICKSTART_COMMAND={HOSTILE}", "python3", "/opt/edge.cloud/tools/quickstart.py", "ssh"]


def test_arguments_of_the_playbook_stay_apart_in_the_lab_host(quickstart: ModuleType) -> None:
    assert quickstart.inside("up", ["-e", "quickstart_vm=a b; c"])[-3:] == ["up", "-e", "quickstart_vm=a b; c"]
