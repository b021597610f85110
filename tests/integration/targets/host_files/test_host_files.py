# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.host_files with a real systemd, on a lab host of each release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from edge_lab.api import Lab, LabHost, unusable
from support.playbook import play

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
UNIT = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
UNIT_FILE = "/etc/systemd/system/edge-a.service"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest) -> Iterator[LabHost]:
    if reason := unusable():
        pytest.skip(reason)
    lab = Lab()
    (found,) = lab.up(names=[f"files-{request.param}"], release=request.param)
    yield found
    lab.down(found.name)


@pytest.fixture
def run(host: LabHost) -> Run:
    def run_once(check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        (result,) = play([{"edge.cloud.host_files": options}], inventory=str(Lab().inventory), hosts=host.name, check=check, ok=ok)
        return result

    return run_once


def declared(settings: str = "1", unit: str = UNIT) -> dict[str, Any]:
    return {
        "files": [{"path": "/etc/edge-a.conf", "content": settings}],
        "units": [
            {"name": "edge-a.service", "content": unit, "enabled": True, "state": "started", "restart_on": ["/etc/edge-a.conf"]}
        ],
    }


def started(host: LabHost) -> str:
    return host.run(["systemctl", "show", "--value", "-p", "InvocationID", "edge-a.service"]).stdout.strip()


def test_a_unit_lives_with_its_files(host: LabHost, run: Run) -> None:
    planned, made = run(check=True, **declared()), run(**declared())
    assert planned["actions"] == made["actions"] and made["restarted"] == ["edge-a.service"]
    assert sum("read its units" in action for action in made["actions"]) == 1
    assert host.run(["systemctl", "is-enabled", "edge-a.service"]).stdout == "enabled\n"
    assert run(**declared())["actions"] == []
    before = started(host)
    changed = run(**declared("2"))
    assert changed["actions"][-1] == "Restart edge-a.service: /etc/edge-a.conf changed."
    assert started(host) != before and run(**declared("2"))["actions"] == []
    other = run(**declared("2", UNIT.replace("infinity", "1000000")))
    assert other["restarted"] == ["edge-a.service"]
    assert "1000000" in host.run(["systemctl", "status", "edge-a.service"]).stdout
    gone = run(**{**declared(), "state": "absent"})
    assert gone["changed"] and not run(**{**declared(), "state": "absent"})["changed"]
    assert host.run(["systemctl", "cat", "edge-a.service"], check=False).returncode != 0
    left = host.run(["sh", "-c", "ls /etc/systemd/system/*/edge-a.service /etc/edge-a.conf /run/edge/restart/*"], check=False)
    assert left.stdout == ""


def test_a_template_of_units_has_a_file_only(host: LabHost, run: Run) -> None:
    options = {"units": [{"name": "edge-b@.service", "content": UNIT}, {"name": "edge-b@1.service", "state": "started"}]}
    assert run(**options)["restarted"] == ["edge-b@1.service"] and run(**options)["actions"] == []
    gone = run(**{**options, "state": "absent"})["actions"]
    assert gone[:2] == ["Stop edge-b@1.service: it runs.", "Remove /etc/systemd/system/edge-b@.service."]


def test_a_restart_that_a_run_left_out_is_made_up_for(host: LabHost, run: Run) -> None:
    run(**declared())
    host.run(["sh", "-c", f"printf '# seen\\n' >> {UNIT_FILE}"])
    assert "Have systemd read its units" in " ".join(run(**declared())["actions"])
    before = started(host)
    host.run(["sh", "-c", "mkdir -p /run/edge/restart && touch /run/edge/restart/edge-a.service"])
    assert run(**declared())["actions"] == ["Restart edge-a.service: a run that broke off had changed its files."]
    assert started(host) != before and run(**declared())["actions"] == []
    run(**{**declared(), "state": "absent"})
