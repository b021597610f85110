# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that tools/quickstart.py builds: text for the guest's shell reaches no shell of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.programs import loaded

TREE = Path(__file__).parents[3]
PROGRAM = TREE / "tools/quickstart.py"
SUMMARY = {"key": "/k", "user": "edge", "address": "192.0.2.5"}
HOSTILE = 'echo "$HOME"; id | cat > /tmp/x'


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("QUICKSTART_COMMAND", raising=False)
    return loaded(PROGRAM)


def test_ssh_without_a_command_opens_a_shell(quickstart: Any) -> None:
    assert quickstart.ssh(SUMMARY, [])[-1] == "edge@192.0.2.5"


def test_the_command_is_one_argument_of_ssh(quickstart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    assert quickstart.ssh(SUMMARY, [])[-2:] == ["edge@192.0.2.5", HOSTILE]


def test_arguments_come_before_the_variable(quickstart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    assert quickstart.ssh(SUMMARY, ["uptime", "-p"])[-3:] == ["edge@192.0.2.5", "uptime", "-p"]
    assert HOSTILE not in " ".join(quickstart.inside("ssh", ["uptime"]))


def test_the_command_goes_into_the_lab_host_as_one_word(quickstart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTART_COMMAND", HOSTILE)
    words = quickstart.inside("ssh", [])
    assert words[:3] == ["exec", "quickstart", "--"]
    assert words[3:] == ["env", f"QUICKSTART_COMMAND={HOSTILE}", "python3", "/opt/edge.cloud/tools/quickstart.py", "ssh"]


def test_arguments_of_the_playbook_stay_apart_in_the_lab_host(quickstart: Any) -> None:
    assert quickstart.inside("up", ["-e", "quickstart_vm=a b; c"])[-3:] == ["up", "-e", "quickstart_vm=a b; c"]


def test_packages_that_the_roles_install_are_installed_at_once(quickstart: Any) -> None:
    """Else each role would run apt again; nginx alone is installed by its role, which keeps it from starting."""
    wanted: set[str] = set()
    for role in ("pki", "host", "frontend", "replica", "hypervisor", "appliance", "image_server"):
        folder = TREE / "roles" / role
        variables = [yaml.safe_load(path.read_text()) or {} for path in folder.glob("[vd][ae]*/main.yml")]
        lists = {name: value for found in variables for name, value in found.items() if isinstance(value, list)}
        for task in yaml.safe_load((folder / "tasks/main.yml").read_text()):
            names = task.get("ansible.builtin.apt", {}).get("name", [])
            names = lists.get(str(names).strip("{} "), names)
            wanted |= set(names if isinstance(names, list) else [names])
        wanted |= set(lists.get("appliance_build_packages", []))
    missing = {name for name in wanted if "{{" not in name} - set(quickstart.wanted_packages())
    assert missing == set()
    assert "nginx-light" not in quickstart.wanted_packages()
    assert "qemu-system-x86" in quickstart.wanted_packages()


def test_packages_come_while_ansible_is_prepared(quickstart: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """setup.py is replaced by a program that notes how it was called, and takes its time for the packages."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "inventories/quickstart/group_vars").mkdir(parents=True)
    (tmp_path / "inventories/quickstart/group_vars/all.yml").write_text("quickstart_packages:\n  - a\n  - b-c\n")
    (tmp_path / "tools/setup.py").write_text(
        "import sys, time, pathlib\nlog = pathlib.Path(__file__).with_name('log')\n"
        "aside = sys.argv[1:] == ['packages', 'a', 'b-c']\n"
        "while aside and 'run' not in log.read_text(): time.sleep(0.01)\n"
        "with log.open('a') as out: out.write(' '.join(sys.argv[1:]) + '\\n')\n"
        "sys.exit(1 if aside else 0)\n"
    )
    monkeypatch.setattr(quickstart, "TREE", tmp_path)
    quickstart.prepare([])
    assert (tmp_path / "tools/log").read_text().splitlines() == ["packages", "run", "packages a b-c"], "all ended, side by side"
    (tmp_path / "tools/log").unlink()
    quickstart.prepare(["--check"])
    assert "packages a" not in (tmp_path / "tools/log").read_text(), "check mode installs nothing"
