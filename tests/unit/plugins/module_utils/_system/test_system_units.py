# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan does to units, with systemctl's answers as text; a real systemd is in the lab test of host_files."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._system.apply import Host
from ansible_collections.edge.cloud.plugins.module_utils._system.entry import Entry, Found
from ansible_collections.edge.cloud.plugins.module_utils._system.plan import State, plan
from ansible_collections.edge.cloud.plugins.module_utils._system.units import FoundUnit, Systemd, Unit
from support.runners import ScriptedRunner

ME: dict[str, Any] = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name, "mode": 0o644}
NAME = "edge-a.service"
PATH = f"/etc/systemd/system/{NAME}"
SERVICE = "[Service]\nExecStart=/usr/bin/sleep 1\n"
INSTALL = "[Install]\nWantedBy=multi-user.target\n"


def found(text: str) -> Found:
    return Found("file", "root", "root", 0o644, text.encode())


def actions(before: str, after: str, enabled: str = "enabled", **unit: Any) -> list[str]:
    """Return what is done to an enabled unit whose file changes."""
    entry = Entry("units[0]", PATH, "file", True, mode=0o644, data=after.encode())
    wanted = Unit("units[0]", NAME, enabled=True)
    state = State({PATH: found(before)}, {NAME: FoundUnit(True, enabled, **unit)})
    return [f"{step.verb} {step.unit}".strip() for step in plan([entry], [wanted], state).steps if hasattr(step, "verb")]


@pytest.mark.parametrize(
    ("before", "after", "enabled", "done"),
    [
        (SERVICE, SERVICE + INSTALL, "static", ["reenable edge-a.service", "daemon-reload"]),
        (
            SERVICE + INSTALL,
            SERVICE + INSTALL.replace("multi-user", "timers"),
            "enabled",
            ["reenable edge-a.service", "daemon-reload"],
        ),
        (SERVICE + INSTALL, SERVICE.replace("1", "2") + INSTALL + "# why\n", "enabled", ["daemon-reload"]),
        (
            SERVICE + INSTALL,
            SERVICE + INSTALL.replace("multi-user", "timers"),
            "disabled",
            ["enable edge-a.service", "daemon-reload"],
        ),
    ],
)
def test_a_unit_is_enabled_anew_for_another_install_section(before: str, after: str, enabled: str, done: list[str]) -> None:
    assert actions(before, after, enabled) == done


def test_a_run_that_broke_off_before_that_is_made_up_for() -> None:
    assert actions(SERVICE + INSTALL, SERVICE + INSTALL, relink=True) == ["reenable edge-a.service", "daemon-reload"]


@pytest.mark.parametrize(
    "folder", ["/etc/systemd/system/b.service.d", "/usr/lib/systemd/system", "/run/systemd/system", "/lib/systemd/system"]
)
def test_systemd_reads_its_units_for_a_file_in_each_of_its_folders(folder: str) -> None:
    path = f"{folder}/b.conf"
    steps = plan([Entry("files[0]", path, "file", True)], [], State({path: Found("absent")}, {})).steps
    assert [step.sentence for step in steps][1:] == [f"Have systemd read its units: {path} changed."]


def carried_out(folder: Path, runner: ScriptedRunner, *names: str) -> Path:
    """Write files, each with a unit of its name that runs and watches it; return the folder of the notes."""
    entries = [Entry("files[0]", str(folder / name), "file", True, **ME, data=b"x", validate="check %s") for name in names]
    units = [Unit("units[0]", f"{name}.service", restart_on=(str(folder / name),)) for name in names]
    state = State(
        {entry.path: Found("absent") for entry in entries}, {unit.name: FoundUnit(True, "static", running=True) for unit in units}
    )
    notes = folder / "notes"
    host = Host(runner, Systemd(runner, notes))
    with pytest.raises((InvalidInput, CommandFailed)):
        host.carry_out(plan(entries, units, state), units)
    runner.done()
    return notes


def test_a_file_that_is_refused_leaves_no_restart_for_the_next_run(tmp_path: Path) -> None:
    runner = ScriptedRunner().expect("check", f"{tmp_path}/.a.edge-new").expect("check", f"{tmp_path}/.b.edge-new", rc=1)
    notes = carried_out(tmp_path, runner, "a", "b")
    assert [path.name for path in notes.iterdir()] == ["a.service"]
    assert (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_restart_that_fails_is_noted(tmp_path: Path) -> None:
    runner = ScriptedRunner().expect("check", f"{tmp_path}/.a.edge-new").expect("systemctl", "restart", "--", "a.service", rc=1)
    assert [path.name for path in carried_out(tmp_path, runner, "a").iterdir()] == ["a.service"]
