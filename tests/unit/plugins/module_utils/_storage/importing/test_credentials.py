# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials from a file: what cannot be sent is refused by its name, and never shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.credentials import TEXTS, credentials_of

WHOLE = [
    {"username": "u", "password": "p"},
    {"token": "t"},
    {"access_key": "a", "secret_key": "b", "session_token": "c", "region": "d"},
]


@pytest.mark.parametrize("odd", ["c4n4ry\ud800", 7, ["c4n4ry"], {"a": "c4n4ry"}], ids=ascii)
@pytest.mark.parametrize("key", TEXTS)
def test_what_is_no_text_is_refused_by_its_name(tmp_path: Path, key: str, odd: Any) -> None:
    whole = next(one for one in WHOLE if key in one)
    (tmp_path / "file").write_text(json.dumps({**whole, key: odd}))
    with pytest.raises(InvalidInput, match=rf"^credentials\.{key}: ") as caught:
        credentials_of({"file": str(tmp_path / "file")}, "https://example/a")
    assert "c4n4ry" not in str(caught.value.as_result())
