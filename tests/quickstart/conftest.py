# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout of its own and a bare lab host of each release, in a lab beside any other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_lab.api import Lab, unusable
from edge_lab.locking import locked
from edge_lab.settings import Settings
from support.checkout import NAME, Checkout

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def checkout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout beside a fresh host; two test runs take turns."""
    if reason := unusable():
        pytest.skip(reason)
    copy = tmp_path_factory.mktemp("checkout") / "edge.cloud"
    made = shutil.ignore_patterns(
        ".git", ".venv*", ".quickstart", ".ansible", "build", "collections", "__pycache__", ".*_cache", ".hypothesis"
    )
    shutil.copytree(TREE, copy, ignore=made, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_LAB", NAME)
        patch.delenv("EDGE_LAB_SUBNET", raising=False)
        turn = Path(f"/run/edge-lab-{NAME}.turn")
        with locked(turn, "tests of the quick start"):
            lab = Lab(Settings.from_environment())
            lab.clear()
            lab.up(names=["quickstart"], release=request.param, variant="minimal")
            yield Checkout(copy, request.param, lab)
            lab.clear()
            turn.unlink()
