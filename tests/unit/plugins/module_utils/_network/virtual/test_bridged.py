# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about IP rules that see bridged frames, with the real nft(8) in a name space."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.bridged import warnings
from support.netspace import Space, spaces


@pytest.fixture
def space() -> Iterator[Space]:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    with spaces(1) as (found,):
        yield found


def test_who_drops_bridged_frames_is_named(space: Space, tmp_path: Path) -> None:
    assert warnings(space, tmp_path / "not loaded") == []
    switch = tmp_path / "bridge-nf-call-iptables"
    (tmp_path / "bridge-nf-call-ip6tables").write_text("1\n")
    switch.write_text("1\n")
    assert warnings(space, tmp_path) == []
    # As Docker does
    space.run(
        ("nft", "-f", "-"), stdin="table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }\n"
    )
    (found,) = warnings(space, tmp_path)
    assert "table ip filter, chain FORWARD" in found
    assert "bridge-nf-call-iptables to 0" in found
    switch.write_text("0\n")
    assert warnings(space, tmp_path) == []


def test_without_nft_nothing_is_said(space: Space, tmp_path: Path) -> None:
    (tmp_path / "bridge-nf-call-iptables").write_text("1\n")

    class Without(Space):
        def argv(self, *words: str) -> list[str]:
            return super().argv("no-such-program", *words[1:])

    assert warnings(Without(space.pid), tmp_path) == []
