# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the module host_library: it sends the collection's library with the task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.edge.cloud.plugins.module_utils._host.library import pack

LIBRARY = Path(__file__).resolve().parents[1] / "module_utils"


class ActionModule(ActionBase):
    """Runs the module with this collection's library as the archive."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See ActionBase."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {**self._task.args, "archive": pack(LIBRARY)}
        done = self._execute_module(module_name="edge.cloud.host_library", module_args=arguments, task_vars=task_vars)
        return {**result, **done}
