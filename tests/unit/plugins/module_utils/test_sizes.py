# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._sizes import parse_size, show_size
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "size"), [("512MiB", 2**29), ("2G", 2**31), ("2gb", 2**31), ("1024", 1024), ("7B", 7), ("3TiB", 3 * 2**40), ("0", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "memory") == size


@pytest.mark.parametrize("text", ["", "GiB", "1.5GiB", "-1", "1XB", "1 G i B", "0x10", "9" * 16])
def test_what_is_not_a_size_is_named_with_its_option(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^disks\[1\]\.size: ") as found:
        parse_size(text, "disks[1].size")
    assert found.value.details["option"] == "disks[1].size"


@given(st.integers(0, 10**14))
def test_a_shown_size_reads_back(size: int) -> None:
    assert parse_size(show_size(size), "x") == size
