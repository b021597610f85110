# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on this machine, which is in no cluster."""

from __future__ import annotations

import pytest
from support.modules import run_module


@pytest.mark.parametrize("check", [False, True])
def test_a_host_in_no_cluster(capsys: pytest.CaptureFixture[str], check: bool) -> None:
    result = run_module(capsys, "cluster_membership_info", check=check)
    assert not result["failed"] and not result["changed"]
    assert result["membership"]["running"] is None and "127.0.0.1" in result["membership"]["addresses"]
