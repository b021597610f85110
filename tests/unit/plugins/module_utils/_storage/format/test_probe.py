# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.probe import format_of

NAME_IT = "name its format if you know it"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>\n<html>", "it is a web page"),
        (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "it is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "it is an XML document"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "it is an XML document"),
        (b'{"errors": [{"status": 404}]}', "it is a JSON document"),
        (b'{\n  "message": "Not Found"\n}', "it is a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "it is a pointer of Git LFS"),
    ],
)
def test_what_came_in_place_of_a_disk_is_said_and_no_format_asked_for(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=says) as caught:
        format_of(path, None)
    assert NAME_IT not in caught.value.message


@pytest.mark.parametrize("data", [b"\0" * 600, b" " * 600, b"<a disk of letters>", b"plain text"])
def test_other_bytes_may_be_a_raw_disk(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=NAME_IT):
        format_of(path, None)
    assert format_of(path, "raw") == "raw"
