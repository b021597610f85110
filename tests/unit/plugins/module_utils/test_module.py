# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The glue: what a module prints when it ends well, fails with an error of ours or the system's, or is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, Refused
from ansible_collections.edge.cloud.plugins.module_utils._module import from_os_error, plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan

Run = Callable[[AnsibleModule], Mapping[str, Any]]


@pytest.fixture
def outcome(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    def ended(run: Run, *, check: bool = False, **spec: Any) -> tuple[int, dict[str, Any]]:
        with patch_module_args({"_ansible_check_mode": check}), pytest.raises(SystemExit) as caught:
            run_module(run, argument_spec={}, **spec)
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        return int(caught.value.code or 0), printed

    return ended


def test_a_result_comes_back(outcome: Any) -> None:
    code, printed = outcome(lambda _module: {"changed": True, "image": {"digest": "sha256:0"}})
    assert code == 0
    assert printed["changed"] is True
    assert printed["image"] == {"digest": "sha256:0"}


def test_check_mode_runs_the_module_unless_it_says_no(outcome: Any) -> None:
    assert outcome(lambda module: {"check": module.check_mode}, check=True)[1]["check"] is True
    assert outcome(lambda _module: {"ran": True}, check=True, supports_check_mode=False)[1]["skipped"] is True


def test_an_error_of_ours_is_a_failure_with_its_code(outcome: Any) -> None:
    def run(_module: AnsibleModule) -> dict[str, Any]:
        raise Refused("It would shrink; set allow_shrink.", size=1)

    code, printed = outcome(run)
    assert code == 1
    assert printed["failed"] is True
    assert printed["msg"] == "It would shrink; set allow_shrink."
    assert printed["error"] == {"code": "refused", "size": 1}


def test_a_failed_command_keeps_its_stderr(outcome: Any) -> None:
    def run(_module: AnsibleModule) -> dict[str, Any]:
        raise CommandFailed(["nft", "-f", "-"], 1, "Error: syntax error\n", done=["a"])

    printed = outcome(run)[1]
    assert printed["error"]["stderr"] == "Error: syntax error\n"
    assert printed["error"]["done"] == ["a"]


def test_an_error_of_the_system_names_its_file(outcome: Any, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    code, printed = outcome(lambda _module: {"text": missing.read_text()})
    assert code == 1
    assert printed["msg"] == f"No such file or directory ({missing})"
    assert printed["error"] == {"code": "error", "errno": 2, "path": str(missing)}


def test_a_full_file_system_is_no_space(outcome: Any) -> None:
    full = Path("/dev/full")

    def run(_module: AnsibleModule) -> dict[str, Any]:
        return {"written": full.write_text("a")}

    assert outcome(run)[1]["error"]["code"] == "no_space"
    assert "/x" in from_os_error(OSError(28, "No space left on device", "/x")).message


def test_a_defect_keeps_its_traceback() -> None:
    def run(_module: AnsibleModule) -> dict[str, Any]:
        raise ZeroDivisionError

    with patch_module_args({}), pytest.raises(ZeroDivisionError):
        run_module(run, argument_spec={})


@dataclass(frozen=True)
class Grow:
    """A step for these tests."""

    sentence: str = "Grow by one"

    def predict(self, state: int) -> int:
        return state + 1


def view(state: int) -> dict[str, Any]:
    return {"size": state}


def test_a_plan_as_a_result() -> None:
    plan = Plan(1, (Grow(), Grow()))
    predicted = plan_result(plan, view, "disk")
    assert predicted == {
        "changed": True,
        "actions": ["Grow by one", "Grow by one"],
        "diff": {"before": {"size": 1}, "after": {"size": 3}},
        "disk": {"size": 3},
    }
    assert plan_result(plan, view, "disk", observed=3) == predicted
    assert plan_result(Plan(1), view, "disk") == {
        "changed": False,
        "actions": [],
        "diff": {"before": {}, "after": {}},
        "disk": {"size": 1},
    }
    assert plan_result(Plan(0), view, "disk", observed=0)["disk"] == {"size": 0}
