# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors: a stable code each, a whole message, and details that are JSON."""

from __future__ import annotations

import errno
import json

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _errors
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    CommandFailed,
    Conflict,
    EdgeError,
    NoSpace,
    Refused,
    about_option,
    message_of,
    print_defect,
)

CODES = {
    "EdgeError": "error",
    "InvalidInput": "invalid_input",
    "NotFound": "not_found",
    "Conflict": "conflict",
    "Unsupported": "unsupported",
    "Busy": "busy",
    "TimedOut": "timed_out",
    "Corrupt": "corrupt",
    "Unreachable": "unreachable",
    "NoSpace": "no_space",
    "DiskFailed": "disk_failed",
    "Refused": "refused",
    "CommandFailed": "command_failed",
}


def test_every_error_has_its_own_stable_code() -> None:
    found = {name: kind.code for name, kind in vars(_errors).items() if isinstance(kind, type) and issubclass(kind, EdgeError)}
    assert found == CODES
    assert len(set(found.values())) == len(found)


def test_an_error_as_a_result() -> None:
    error = Conflict("br0 is a bond.", name="br0")
    assert error.as_result() == {"msg": "br0 is a bond.", "error": {"code": "conflict", "name": "br0"}}
    assert str(error) == "br0 is a bond."


def test_a_failed_command_passes_its_words_on_whole() -> None:
    stderr = "qemu-img: Could not open 'x'\nqemu-img: second line\n"
    error = CommandFailed(("qemu-img", "info", "x"), 1, stderr, path="x")
    assert stderr.strip() in error.message
    assert "exit code 1" in error.message
    result = error.as_result()
    assert result["error"] == {"code": "command_failed", "argv": ["qemu-img", "info", "x"], "rc": 1, "stderr": stderr, "path": "x"}
    assert json.loads(json.dumps(result)) == result
    assert (error.argv, error.rc, error.stderr) == (("qemu-img", "info", "x"), 1, stderr)


def test_a_command_that_reported_nothing() -> None:
    assert CommandFailed(["false"], 1, " \n").message == "false failed with exit code 1: (it printed no error)"


def test_an_error_about_a_value_begins_with_its_option_once() -> None:
    with pytest.raises(Refused) as caught, about_option("disks"), about_option("disks[0].source"):
        raise Refused("/x is refused.", path="/x")
    assert caught.value.as_result() == {
        "msg": "disks[0].source: /x is refused.",
        "error": {"code": "refused", "path": "/x", "option": "disks[0].source"},
    }
    assert str(caught.value) == caught.value.message


def test_an_error_of_the_host_names_no_option() -> None:
    with pytest.raises(NoSpace) as caught, about_option("source"):
        raise NoSpace("No space left.")
    assert caught.value.as_result() == {"msg": "No space left.", "error": {"code": "no_space"}}


@pytest.mark.parametrize(("error", "message", "printed"), [
    (NoSpace("The store is full."), "The store is full.", ""),
    (OSError(errno.EIO, "Input/output error", "/dev/sdx"), "Input/output error (/dev/sdx)", ""),
    (KeyError("epoch"), "a defect in the host's program: KeyError('epoch'); its journal says where.", "KeyError: 'epoch'"),
])  # fmt: skip
def test_a_message_is_only_that_and_a_defect_is_printed_by_what_catches_it(
    error: Exception, message: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message_of(error) == message
    assert capsys.readouterr() == ("", "")
    print_defect(error)
    assert capsys.readouterr().err.strip() == printed
