# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a play costs each host and role: a line for each task at its start, and one for each host at its end.

The commands that a host runs write lines of their own into the same file (see roles_bench), which belong to the task before them.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: role_costs
type: aggregate
short_description: Write the cost of each host and role
"""


class CallbackModule(CallbackBase):
    """Writes to the file that ROLE_COSTS names."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "role_costs"

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Remember when a host began with a task."""
        self._begun[(host.get_name(), task._uuid)] = time.monotonic()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Say to which role the commands after this line belong."""
        role = task._role.get_name().rsplit(".", 1)[-1] if task._role else "facts and tasks"
        self._write({"role": role, "task": task.get_name().strip()})

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Count a handler like any other task."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Say how long a host took, and whether it changed something."""
        name, task = result._host.get_name(), result._task
        begun = self._begun.pop((name, task._uuid), None)
        seconds = time.monotonic() - begun if begun is not None else 0.0
        self._write({"host": name, "seconds": seconds, "changed": bool(result._result.get("changed"))})

    def _write(self, line: dict[str, Any]) -> None:
        with Path(os.environ["ROLE_COSTS"]).open("a") as file:
            file.write(json.dumps(line) + "\n")
