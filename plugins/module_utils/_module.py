# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The glue between AnsibleModule and the library: every module's main() is one call of run_module()."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._errors import EdgeError, from_os_error
from ._plan import Plan, State


def run_module(run: Callable[[AnsibleModule], Mapping[str, Any]], **spec: Any) -> None:
    """Build the module from ``spec``, call ``run`` and report its result; EdgeError becomes a clear failure.

    An OSError is reported with its file. Anything else is our own defect and keeps its traceback.
    """
    spec.setdefault("supports_check_mode", True)
    module = AnsibleModule(**spec)
    try:
        result = run(module)
    except EdgeError as error:
        module.fail_json(**error.as_result())
    except OSError as error:
        module.fail_json(**from_os_error(error).as_result())
    else:
        module.exit_json(**result)


def plan_result(
    plan: Plan[State], view: Callable[[State], Mapping[str, Any]], key: str, observed: State | None = None
) -> dict[str, Any]:
    """Return what a module reports of a plan: changed, actions, diff and, under ``key``, the object.

    ``observed`` is the state read back after a real run; in check mode it is the plan's prediction.
    """
    state = plan.after if observed is None else observed
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), key: dict(view(state))}
