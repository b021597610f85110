# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.context import context_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput


def read_by_a_shell(text: str, name: str) -> str:
    done = subprocess.run(
        ["bash", "-c", f'set -eu\n{text}\nprintf %s "${name}"'], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (True, "YES"),
        (False, "NO"),
        (1500, "1500"),
        (0.5, "0.5"),
        ("", ""),
        ("$6$salt$abc/.'x", "$6$salt$abc/.'x"),
        ("$(id) `id` ${HOME} \\ \"'!*", "$(id) `id` ${HOME} \\ \"'!*"),
        ("a\nb\n", "a\nb\n"),
        ("a\r\nb", "a\r\nb"),
        ("\U0001f680 ü", "\U0001f680 ü"),
        (["ssh-ed25519 A a", "ssh-ed25519 B b"], "ssh-ed25519 A a\nssh-ed25519 B b"),
        (["a", None, 1, True], "a\n1\nYES"),
        ([], ""),
    ],
)
def test_a_shell_reads_the_value(value: Any, seen: str) -> None:
    assert read_by_a_shell(context_text({"A": "x", "VALUE": value, "Z": "y"}), "VALUE") == seen


def test_null_leaves_a_variable_out() -> None:
    assert context_text({"START_SCRIPT": None, "A": "1"}) == "# Context variables\nA='1'\n"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"EXTRA": {"A": 1}}, "context.EXTRA"),
        ({"A": ["x", ["y"]]}, "context.A[1]"),
        ({"A": [{"x": 1}]}, "context.A[0]"),
        ({"A": "a\0b"}, "context.A"),
        ({"A": "\ud83d"}, "context.A"),
        ({"A": float("nan")}, "context.A"),
        ({"ETH0_MAC": 41135085296}, "context.ETH0_MAC"),
        ({"ETH0_IP6": 2895057742028}, "context.ETH0_IP6"),
        ({"DNS": ["192.0.2.1", 1.1]}, "context.DNS[1]"),
        ({"a": "1"}, "context.a"),
        ({"": "1"}, "context."),
        ({"1A": "1"}, "context.1A"),
        ({"A B": "1"}, "context.A B"),
        ({"A\n": "1"}, "context.A\n"),
        ({"Ä": "1"}, "context.Ä"),
        ({None: "1", "A": "2"}, "context.None"),
        ({"PATH": "/tmp"}, "context.PATH"),
        ({"LD_PRELOAD": "x"}, "context.LD_PRELOAD"),
        ({"UID": 0}, "context.UID"),
    ],
)
def test_what_no_shell_variable_can_be_is_named_and_its_value_not_shown(options: dict[Any, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        context_text(options)
    assert caught.value.details == {"option": where}
    assert caught.value.message.startswith(f"{where}: ")
