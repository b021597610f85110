# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``edge-host point drill`` refuses before it asks libvirt, and what ``status`` shows of drills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill import notes as drills
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill.notes import AGAIN, DAY, DrillNote
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.progress import Progress
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._host import point_run
from ansible_collections.edge.cloud.plugins.module_utils._host.point_drill import drill

UUID = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
GOOD = DrillNote("web", UUID, 1000.0, "0.4", 23.04, "", 1000.0, "0.4")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "^vm: "),
        ({"vm": "web", "timeout": "0"}, "^timeout: "),
        ({"vm": "web", "timeout": "soon"}, "^timeout: "),
        ({"vm": "web", "memory": "much"}, "^memory: "),
        ({"days": "0"}, "^days: "),
        ({"days": "7", "vm": "web"}, "^days: .* leave out vm"),
        ({"days": "7", "text": "login:"}, "^days: .* leave out text"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        drill(Cluster("site", "h1", ()), options)


def test_a_drill_is_due_before_its_days_are_over_and_a_failed_one_again_after_hours() -> None:
    assert DrillNote("web", UUID, 0).is_due(7, 0)
    assert not GOOD.is_due(7, 1000 + 5 * DAY) and GOOD.is_due(7, 1000 + 6 * DAY)
    assert GOOD.is_due(7, 999), "a clock that was set back must not put it off"
    failed = replace(GOOD, tried=2000.0, error="no sign")
    assert not failed.is_due(7, 2000 + AGAIN - 1) and failed.is_due(7, 2000 + AGAIN)


def test_what_was_noted_is_read_again_and_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    for note in (GOOD, DrillNote("db", UUID, 5.0, None, error="it did not come up")):
        drills.write(tmp_path / "drills", note)
        assert drills.read(tmp_path / "drills", UUID) == note
    path = tmp_path / "drills" / f"{UUID}.json"
    for text in ("", "{", "[]", '{"schema": 1}', '{"schema": 2}', path.read_text().replace("5.0", '"x"')):
        path.write_text(text)
        assert drills.read(tmp_path / "drills", UUID) is None, text


def test_status_has_the_last_drill_of_a_vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_run, "FOLDERS", Folders(recovery=str(tmp_path)))
    notes.write(tmp_path / "status", Progress("web", UUID, 0, 900))
    drills.write(tmp_path / "drills", GOOD)
    (found,) = point_run.status(Cluster("site", "h1", ()), {})["vms"]
    assert found["drill"] == {
        "generation": "0.4", "drilled_at": "1970-01-01T00:16:40Z", "well": True, "error": None, "seconds": 23.0,
        "last_well_at": "1970-01-01T00:16:40Z", "last_well_generation": "0.4",
    }  # fmt: skip
    (tmp_path / "drills" / f"{UUID}.json").unlink()
    assert point_run.status(Cluster("site", "h1", ()), {})["vms"][0]["drill"] is None
