# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The glue between AnsibleModule and the library: every module's main() is one call of run_module()."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._errors import EdgeError, InvalidInput, from_os_error
from ._misread import check_written
from ._plan import Plan, State
from ._secrets import Spec, shown_options, without_secrets


class QuietModule(AnsibleModule):
    """An AnsibleModule whose results and log show no value of a free dictionary or text, and no secret of a URL.

    Ansible itself can only mask the values of an option in all output, which for a free dictionary would also hide each ``true``
    and ``1`` there. ``free`` has the specifications of options that are free dictionaries for Ansible.
    """

    def __init__(self, *, free: Mapping[str, Spec], **spec: Any) -> None:
        self._free = free
        self.misread: EdgeError | None = None
        super().__init__(**spec)

    def _load_params(self) -> None:
        super()._load_params()
        try:
            check_written(self.params, self.argument_spec, self._free)
        except InvalidInput as error:
            self.misread = error  # reported when the module can fail

    @property
    def _invocation(self) -> dict[str, Any]:
        return {"module_args": shown_options(self.params, self.argument_spec, self._free)}

    def _log_invocation(self) -> None:
        if self.misread:  # the log cannot hold what is not text
            return
        shown = self._invocation["module_args"]
        self.log("Invoked with " + " ".join(f"{name}={value}" for name, value in shown.items()))

    def exit_json(self, **kwargs: Any) -> None:
        """End the module; see AnsibleModule."""
        super().exit_json(**{"invocation": self._invocation, **kwargs})

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """End the module with an error; see AnsibleModule."""
        super().fail_json(without_secrets(msg), **{"invocation": self._invocation, **kwargs})


def run_module(run: Callable[[AnsibleModule], Mapping[str, Any]], *, free: Mapping[str, Spec] | None = None, **spec: Any) -> None:
    """Build the module from ``spec``, call ``run`` and report its result; EdgeError becomes a clear failure.

    An OSError is reported with its file. Anything else is our own defect and keeps its traceback. ``free``: see QuietModule.
    """
    spec.setdefault("supports_check_mode", True)
    module = QuietModule(free=free or {}, **spec)
    try:
        result = _run(run, module)
    except EdgeError as error:
        module.fail_json(**error.as_result())
    except OSError as error:
        module.fail_json(**from_os_error(error).as_result())
    else:
        module.exit_json(**result)


def _run(run: Callable[[AnsibleModule], Mapping[str, Any]], module: QuietModule) -> Mapping[str, Any]:
    if module.misread:
        raise module.misread
    return run(module)


def plan_result(
    plan: Plan[State], view: Callable[[State], Mapping[str, Any]], key: str, observed: State | None = None
) -> dict[str, Any]:
    """Return what a module reports of a plan: changed, actions, diff and, under ``key``, the object.

    ``observed`` is the state read back after a real run; in check mode it is the plan's prediction.
    """
    state = plan.after if observed is None else observed
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), key: dict(view(state))}
