# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica that is taken off a host: timers end before the folders that their services need."""

from __future__ import annotations

from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"


def test_what_timers_start_is_stopped_before_the_folders_of_the_server_go() -> None:
    tasks = yaml.safe_load((ROLES / "replica/tasks/absent.yml").read_text())
    (stops,) = [place for place, task in enumerate(tasks) if task.get("ansible.builtin.include_tasks") == "points_absent.yml"]
    (removes,) = [place for place, task in enumerate(tasks) if "image_server_wanted" in task.get("vars", {})]
    folder = tasks[removes]["vars"]["image_server_wanted"]
    needs = (ROLES / "replica/templates/edge-points-pull.service.j2").read_text()
    assert folder in needs, "the service that a timer starts does not start without the folder"
    assert stops < removes
