# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the module host_library: it sends the collection's library to a host that lacks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.edge.cloud.plugins.module_utils._host.library import digest_of, pack, read

LIBRARY = Path(__file__).resolve().parents[1] / "module_utils"


class ActionModule(ActionBase):
    """Runs the module with the name of this collection's library, and again with the library if the host lacks it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See ActionBase."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = {name: value for name, value in self._task.args.items() if name not in ("archive", "version")}
        done = self._ask({**options, "version": digest_of(read(LIBRARY))}, task_vars)
        if done.get("changed") and options.get("state") != "absent" and not self._task.check_mode:
            done = self._ask({**options, "archive": pack(LIBRARY)}, task_vars)
        return {**result, **done}

    def _ask(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module(
            module_name="edge.cloud.host_library", module_args=arguments, task_vars=task_vars
        )
        return done
