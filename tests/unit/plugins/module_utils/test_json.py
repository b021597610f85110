# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from outside: what is refused, by which error, and that it names where it came from."""

import json

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._json import load_json, load_object

NESTED = b"[" * 200_000


def test_what_is_read() -> None:
    assert load_json(b"[1]", "here", 3) == [1]
    assert load_object('{"a": 1}', "here", 8) == {"a": 1}


@pytest.mark.parametrize("data", [b"", b"{", b"<html>", b"\xff\xfe\x00", NESTED])
def test_what_is_not_json(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"^here is not JSON: ") as caught:
        load_json(data, "here", len(NESTED))
    assert caught.value.details == {"where": "here"}
    assert len(caught.value.message) < 300


def test_more_than_the_limit_is_not_read() -> None:
    with pytest.raises(InvalidInput, match=r"^here is larger than 3 bytes"):
        load_json(json.dumps([1, 2]), "here", 3, InvalidInput)


def test_an_object_is_asked_for() -> None:
    with pytest.raises(InvalidInput, match=r"^here is not a JSON object\.$"):
        load_object(b"[]", "here", 2, InvalidInput)
