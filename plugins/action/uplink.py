# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the module uplink: it confirms a change over a fresh connection, or tells that it was undone."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

PAUSE = 1.0
FOR_UNDOING = 60.0  # seconds after the timer in which the host should be reached again
TRIES = 3


class ActionModule(ActionBase):
    """Runs the module, and again over a new connection to confirm what it tries."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See ActionBase."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._vars = task_vars
        options = {name: value for name, value in self._task.args.items() if name not in ("token", "fresh")}
        fresh = self._connection.transport != "local"
        done = self._prepared({**options, "fresh": fresh})
        token = done.pop("token", None)
        if token and not done.get("failed"):
            done = self._confirmed(options, token, done)
        return {**result, **done}

    def _ask(self, options: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module(module_name="edge.cloud.uplink", module_args=options, task_vars=self._vars)
        return done

    def _prepared(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the module says; a change that another run left on trial is waited for."""
        done = self._ask(options)
        for _try in range(TRIES):
            error = done.get("error") or {}
            if error.get("code") != "busy" or "seconds" not in error:
                break
            self._display.v(done["msg"])
            time.sleep(float(error["seconds"]))
            done = self._ask(options)
        return done

    def _confirmed(self, options: dict[str, Any], token: str, prepared: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the change: confirmed, or a failure that says what became of it."""
        seconds = float(prepared.pop("seconds"))
        end = time.monotonic() + seconds
        said, ending, undone = "no fresh connection came about", "", False
        while not undone and time.monotonic() < end + FOR_UNDOING:
            time.sleep(PAUSE)
            answer = self._over_a_fresh_connection({**options, "token": token})
            error = answer.get("error") or {}
            if not answer.get("failed"):
                return {**prepared, "uplink": answer["uplink"]}
            if error.get("code") == "not_found":
                return {**answer, "actions": prepared.get("actions", [])}
            if error.get("word"):  # it arrived over the changed network; what is connected now was so since
                token = f"{token.partition(':')[0]}:{error['word']}"
            if error.get("code") == "conflict":
                undone, ending = bool(error.get("undone")), str(answer["msg"])
            else:
                said = str(answer.get("msg") or answer.get("module_stderr"))
        state = "The host has its old network." if undone else "The host was not reached since; its timer should have undone it."
        return {
            "failed": True,
            "changed": False,
            "msg": f"name: the change of the uplink was not confirmed within {seconds:g} s: {said} {ending} {state}",
            "error": {"code": "rolled_back" if undone else "unreachable", "option": "name", "token": token.partition(":")[0]},
            "actions": prepared.get("actions", []),
        }

    def _over_a_fresh_connection(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the module's answer over a connection that did not exist before, or what prevents that."""
        try:
            if hasattr(self._connection, "reset"):
                self._connection.reset()
            return self._ask(options)
        except AnsibleConnectionFailure as error:
            return {"failed": True, "msg": f"no fresh connection came about ({error})"}
