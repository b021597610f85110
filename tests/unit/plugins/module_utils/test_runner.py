# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both runners, on real commands: the same answers, the same errors, and nothing left running after a timeout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, EdgeError, TimedOut, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, ModuleRunner, Runner, SubprocessRunner
from support.waiting import LIMIT


def module_runner() -> Runner:
    with patch_module_args({}):
        return ModuleRunner(AnsibleModule(argument_spec={}))


RUNNERS: dict[str, Callable[[], Runner]] = {"module": module_runner, "subprocess": SubprocessRunner}


@pytest.fixture(params=sorted(RUNNERS))
def runner(request: pytest.FixtureRequest) -> Runner:
    return RUNNERS[request.param]()


def outcome(runner: Runner, *argv: str, **options: object) -> tuple[str, object]:
    try:
        return "completed", runner.run(argv, **options)  # type: ignore[arg-type]
    except EdgeError as error:
        return "failed", error.as_result()


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (("echo", "a  b", "$HOME", "*", "; true"), {}),
        (("printf", "no newline"), {}),
        (("printf", "ä €\\n"), {}),
        (("cat",), {"stdin": "first\nsecond"}),
        (("cat",), {"stdin": "no newline is added"}),
        (("cat",), {"stdin": "ä €\n"}),
        (("true",), {"stdin": "more than a pipe holds " * 10_000}),
        (("printf", "\\377 is not UTF-8"), {}),
        (("sh", "-c", "echo out; echo err >&2; exit 3"), {}),
        (("sh", "-c", "echo out; echo err >&2; exit 3"), {"check": False}),
        (("sh", "-c", "exit 124"), {}),
        (("sh", "-c", "exit 124"), {"timeout": LIMIT}),
        (("false",), {"check": False}),
        (("sh", "-c", "echo $LC_ALL $LANG $LANGUAGE"), {}),
        (("a-program-that-is-nowhere", "--help"), {}),
        (("a-program-that-is-nowhere",), {"check": False}),
        (("a-program-that-is-nowhere",), {"timeout": 5}),
        (("sleep", "3600"), {"timeout": 0.3}),
        (("sleep", "3600"), {"timeout": 0.3, "check": False}),
        (("echo", "in time"), {"timeout": LIMIT}),
        (("sh", "-c", "exit 7"), {"timeout": LIMIT}),
    ],
)
def test_both_runners_answer_the_same(argv: tuple[str, ...], options: dict[str, object]) -> None:
    answers = {name: outcome(make(), *argv, **options) for name, make in RUNNERS.items()}
    assert answers["module"] == answers["subprocess"]


def test_output_and_exit_code(runner: Runner) -> None:
    done = runner.run(("sh", "-c", "echo out; echo err >&2; exit 3"), check=False)
    assert done == Completed(3, "out\n", "err\n")


def test_sbin_is_searched_though_the_users_path_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert module_runner().run(("ldconfig", "--version")).rc == 0


def test_arguments_are_never_a_shells(runner: Runner, tmp_path: Path) -> None:
    words = f"$(touch {tmp_path}/made); `touch {tmp_path}/made` > {tmp_path}/made"
    assert runner.run(("echo", words)).stdout == words + "\n"
    assert not list(tmp_path.iterdir())


def test_the_c_locale_holds_whatever_the_user_has(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    assert runner.run(("sh", "-c", "echo $LC_ALL:$LANGUAGE")).stdout == "C.UTF-8:\n"


def test_a_failure_carries_stderr(runner: Runner) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner.run(("ls", "/no/such/file"))
    assert "No such file or directory" in caught.value.stderr
    assert caught.value.stderr.strip() in caught.value.message
    assert caught.value.rc == 2
    assert caught.value.argv == ("ls", "/no/such/file")


def test_a_missing_program_is_named(runner: Runner) -> None:
    with pytest.raises(Unsupported, match="a-program-that-is-nowhere is not installed") as caught:
        runner.run(("a-program-that-is-nowhere",))
    assert caught.value.details == {"program": "a-program-that-is-nowhere"}


def test_a_timeout_ends_the_command(runner: Runner, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    for seconds in (0.5, 5.0, 50.0):  # a busy machine may need longer to begin
        with pytest.raises(TimedOut) as caught:
            runner.run(("sh", "-c", f"echo $$ > {noted}; exec sleep 3600"), timeout=seconds)
        assert caught.value.details["seconds"] == seconds
        if noted.exists() and noted.read_text():
            break
    pid = noted.read_text().strip()
    state = Path("/proc", pid, "stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_timeout_ends_what_the_command_started(runner: Runner) -> None:
    with pytest.raises(TimedOut):
        runner.run(("sh", "-c", "sleep 3600 & wait"), timeout=0.5)


def test_a_command_without_input_does_not_wait_for_ours(runner: Runner) -> None:
    assert runner.run(("cat",), timeout=LIMIT).stdout == ""


def test_a_timeout_ends_a_command_that_does_not_want_to(runner: Runner) -> None:
    with pytest.raises(TimedOut):
        runner.run(("sh", "-c", "trap '' TERM; while :; do sleep 1; done"), timeout=0.5)


def test_environment_is_of_the_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_OLD", "kept")
    found = SubprocessRunner({"EDGE_SECRET": "s3cret"}).run(["env"]).stdout.splitlines()
    assert {"EDGE_SECRET=s3cret", "EDGE_OLD=kept", "LC_ALL=C.UTF-8"} <= set(found)
    assert "EDGE_SECRET" not in os.environ
