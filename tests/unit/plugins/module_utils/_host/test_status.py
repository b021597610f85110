# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What edge-host status tells of services that failed or are started again and again, and of certificates."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._host.cli import VERBS, Verb
from ansible_collections.edge.cloud.plugins.module_utils._host.status import (
    PROPERTIES,
    UNITS,
    Unit,
    certificate_warnings,
    failures,
    look,
    noted,
)
from support.runners import ScriptedRunner

NOW, UPTIME = datetime(2026, 11, 28, 12, tzinfo=UTC), 10_000.0
# As systemd 252 and 257 print it, between two tries of a server, of one that runs, and of a name that is not there.
SHOWN = """\
Type=exec
Restart=always
NRestarts=7
Result=exit-code
Id=edge-nbd.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
StateChangeTimestampMonotonic=9999000000
ActiveEnterTimestampMonotonic=1000000

NRestarts=0
Result=success
Id=edge-replica.service
LoadState=loaded
ActiveState=active
SubState=running
StateChangeTimestampMonotonic=2000000
ActiveEnterTimestampMonotonic=2000000

Result=success
Id=edge-fill.timer
LoadState=loaded
ActiveState=active
SubState=waiting
StateChangeTimestampMonotonic=2000000
ActiveEnterTimestampMonotonic=2000000

NRestarts=0
Result=success
Id=edge-gone.service
LoadState=not-found
ActiveState=inactive
SubState=dead
StateChangeTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
"""


def unit(**says: Any) -> Unit:
    known = {"name": "edge-a.service", "known": True, "state": "active", "substate": "running", "result": "success", "restarts": 0}
    return Unit(**{**known, "up_since": 0.0, "changed": 0.0, **says})


def test_a_service_that_failed_is_told_with_the_time(tmp_path: Path) -> None:
    (tmp_path / "edge-scrub").touch()
    (tmp_path / "edge-gc").touch()
    os.utime(tmp_path / "edge-scrub", (1_000_000_000, 1_000_000_000))
    units = {name: unit(name=name) for name in ("edge-gc.service", "edge-scrub.service")}
    found = failures(noted(tmp_path), units, NOW, UPTIME)
    assert [row["unit"] for row in found] == ["edge-gc.service", "edge-scrub.service"]
    assert found[1]["since"] == "2001-09-09T01:46:40+00:00"


def test_without_a_failure_nothing_is_told(tmp_path: Path) -> None:
    assert noted(tmp_path) == noted(tmp_path / "none") == {}
    assert failures({}, {"edge-a.service": unit()}, NOW, UPTIME) == []


def test_a_note_of_a_service_that_the_host_no_longer_has_is_not_told() -> None:
    gone = unit(known=False, state="inactive", substate="dead")
    assert failures({"edge-a.service": NOW}, {"edge-a.service": gone}, NOW, UPTIME) == []


def test_a_unit_that_systemd_has_as_failed_is_told_without_a_note() -> None:
    found = failures({}, {"edge-fill.path": unit(name="edge-fill.path", state="failed", changed=UPTIME - 60)}, NOW, UPTIME)
    assert found == [{"unit": "edge-fill.path", "since": "2026-11-28T11:59:00+00:00"}]


AGAIN: list[tuple[dict[str, Any], bool]] = [
    ({"state": "activating", "substate": "auto-restart", "result": "exit-code", "restarts": 3}, True),
    ({"state": "activating", "substate": "auto-restart-queued", "result": "signal", "restarts": 3}, True),
    ({"state": "activating", "substate": "auto-restart", "restarts": 3}, False),  # it ended well, as a server without work
    ({"state": "activating", "substate": "start-pre", "restarts": 3}, True),
    ({"state": "activating", "substate": "start"}, False),  # the first start since the boot
    ({"restarts": 3, "up_since": UPTIME - 1}, True),
    ({"restarts": 3, "up_since": UPTIME - 3600}, False),  # it failed once, and runs since
    ({"up_since": UPTIME - 1}, False),
    ({"state": "inactive", "substate": "dead", "restarts": 3}, False),  # a task that succeeded at last
]


@pytest.mark.parametrize(("says", "told"), AGAIN)
def test_what_is_started_again_is_told_until_it_is_up(says: dict[str, Any], told: bool) -> None:
    assert unit(**says).is_restarting(UPTIME) is told


def test_the_words_of_systemd_are_read() -> None:
    asked = ("systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *UNITS, "edge-gone.service")
    units = look(ScriptedRunner().expect(*asked, stdout=SHOWN), ["edge-gone.service"])
    assert [name for name, one in units.items() if one.known] == ["edge-nbd.service", "edge-replica.service", "edge-fill.timer"]
    told = [one.as_restarting() for one in units.values() if one.is_restarting(UPTIME)]
    assert told == [{"unit": "edge-nbd.service", "restarts": 7, "state": "activating (auto-restart)", "result": "exit-code"}]


def test_what_was_found_of_certificates_is_repeated(tmp_path: Path) -> None:
    file = tmp_path / "certificates.json"
    assert certificate_warnings(file, NOW) == []
    seen = {"failed": ["a hook failed"], "warnings": ["host.crt is to be renewed"], "looked": NOW.isoformat()}
    file.write_text(json.dumps(seen))
    assert certificate_warnings(file, NOW) == ["a hook failed", "host.crt is to be renewed"]
    file.write_text('{"warn')
    (told,) = certificate_warnings(file, NOW)
    assert "is not JSON" in told and "start edge-certificates-check.service" in told.lower()


@pytest.mark.parametrize(
    ("looked", "told"), [("2026-11-27T00:00:00+00:00", 0), ("2026-11-20T00:00:00+00:00", 1), ("soon", 1), (None, 1)]
)
def test_certificates_at_which_nothing_looks_any_more_are_told(tmp_path: Path, looked: str | None, told: int) -> None:
    file = tmp_path / "certificates.json"
    file.write_text(json.dumps({"failed": [], "warnings": [], "looked": looked}))
    found = certificate_warnings(file, NOW)
    assert len(found) == told and all("edge-certificates-check.timer" in one for one in found)


def test_a_front_end_alone_has_no_cluster_and_a_status(tmp_path: Path) -> None:
    verb = VERBS["status"]
    assert isinstance(verb, Verb) and verb.cluster(tmp_path / "none.json") is None
    (tmp_path / "cluster.json").write_text(json.dumps({"name": "site1", "host": "edge1", "images": {"root": str(tmp_path)}}))
    cluster = verb.cluster(tmp_path / "cluster.json")
    assert cluster is not None and cluster.host == "edge1"
