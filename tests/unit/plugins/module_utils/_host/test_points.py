# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verbs of ``edge-host point`` make of their options."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._host.points import whole_number


@pytest.mark.parametrize(("given", "found"), [("1", 1), ("65535", 65535), ("0080", 80), (8445, 8445)])
def test_a_whole_number_is_taken_as_text_of_a_shell_or_of_json(given: Any, found: int) -> None:
    assert whole_number({"port": given}, "port", 1, 65535, 7) == found


def test_without_one_it_is_the_default() -> None:
    assert whole_number({}, "port", 1, 65535, 7) == whole_number({"port": None}, "port", 1, 65535, 7) == 7
    assert whole_number({}, "port", 0, 65535, 0) == 0


@pytest.mark.parametrize("given", ["", "0", "65536", "-1", "+1", "1.0", "1e3", "0x10", " 1", "1\n", "1_000", "٣", "9" * 5000])
def test_any_other_text_is_refused_with_the_limits(given: str) -> None:
    with pytest.raises(InvalidInput, match=r"^port: .{2,90} is not a whole number from 1 to 65535"):
        whole_number({"port": given}, "port", 1, 65535, 7)


def test_a_missing_one_without_a_default_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^port: '' is not a whole number from 1 to 65535"):
        whole_number({}, "port", 1, 65535)
