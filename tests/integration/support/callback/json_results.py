# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stdout callback for tests: one JSON line for each result."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: json_results
type: stdout
short_description: One JSON line for each result
description: Prints task, host and result of each task as one line of JSON.
extends_documentation_fragment: default_callback
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json_results"

    def _print(self, result: Any, **more: Any) -> None:
        row = {"task": result._task.get_name(), "host": result._host.get_name(), "result": {**result._result, **more}}
        self._display.display(json.dumps(row, default=str))

    def v2_runner_on_ok(self, result: Any) -> None:
        self._print(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._print(result, failed=True, ignored=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._print(result, failed=True, unreachable=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._print(result, failed=False, skipped=True)
