# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the documentation and metadata that nothing else would miss."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

TREE = Path(__file__).resolve().parents[3]
DOCUMENTED = [
    path for folder in ("modules", "inventory", "callback", "doc_fragments") for path in TREE.glob(f"plugins/{folder}/*.py")
]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_nothing_was_added_in_a_version_that_is_to_come(path: Path) -> None:
    ours = yaml.safe_load((TREE / "galaxy.yml").read_text())["version"]
    added = re.findall(r"^ *version_added: *[\"']?([0-9.]+)", path.read_text(), re.MULTILINE)
    assert [version for version in added if numbers(version) > numbers(ours)] == []


@pytest.mark.parametrize("page", ["docs/quickstart.md", "README.md", "inventories/quickstart/group_vars/all.yml"])
def test_a_size_in_an_example_has_a_unit(page: str) -> None:
    text = (TREE / page).read_text()
    assert re.findall(r"-e quickstart_(?:memory|disk)=[0-9]+(?![0-9]*[KMGT])", text) == []
