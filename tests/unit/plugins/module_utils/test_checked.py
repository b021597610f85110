# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of settings: the value as it is used, or an error that names the place and the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._checked import (
    Check,
    ListOf,
    MapOf,
    ObjectOf,
    a_boolean,
    a_name,
    a_path,
    a_percentage,
    a_size,
    a_text,
    an_integer,
    known,
)
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput

HOST = ObjectOf({"name": a_name, "links": ListOf(a_text), "more": MapOf(an_integer(0))}, dict, ("name",))


@pytest.mark.parametrize(
    ("check", "value", "becomes"),
    [
        (a_name, "host-1.a_b", "host-1.a_b"),
        (a_path, "/var/lib", Path("/var/lib")),
        (a_size, "4KiB", 4096),
        (an_integer(0, 5), 5, 5),
        (a_boolean, False, False),
        (a_percentage, 12, 12.0),
        (HOST, {"name": "a", "links": ["x"], "more": {"any": 1}}, {"name": "a", "links": ("x",), "more": {"any": 1}}),
        (HOST, {"name": "a", "links": None}, {"name": "a"}),
    ],
)
def test_what_is_right_is_taken(check: Check, value: Any, becomes: Any) -> None:
    assert check(value, "file") == becomes


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (a_name, "-x", "file: '-x' is not a name"),
        (a_text, 1, "file: 1 is not a text."),
        (a_path, "/a/../b", "file: '/a/../b' is not an absolute path"),
        (a_size, True, "file: True is not a size"),
        (an_integer(0), -1, "file: -1 is not an integer of at least 0."),
        (an_integer(0, 5), 6, "file: 6 is not an integer from 0 to 5."),
        (an_integer(0, 5), True, "file: True is not an integer"),
        (a_boolean, "yes", "file: 'yes' is not true or false."),
        (a_percentage, 101, "file: 101 is not a percentage"),
        (ListOf(a_text), ["a", 2], "file[1]: 2 is not a text."),
        (MapOf(a_text), [], "file: [] is not an object."),
        (HOST, {"name": "a", "more": {"b": -1}}, "file: more: b: -1 is not an integer of at least 0."),
        (HOST, {"links": []}, "file: name is missing."),
        (HOST, {"name": "a", "link": 1}, "file: unknown key 'link'; it may have name, links, more."),
    ],
)
def test_what_is_wrong_is_named(check: Check, value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(value, "file")
    assert raised.value.message.startswith(message)


def test_what_a_newer_version_wrote_can_be_left_out() -> None:
    assert known(ListOf(HOST), [{"name": "a", "colour": "red", "more": {"any": 1}}]) == [{"name": "a", "more": {"any": 1}}]
