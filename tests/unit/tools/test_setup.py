# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/setup.py installs for the playbooks: of the package ansible only the collections that galaxy.yml names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.programs import loaded

TREE = Path(__file__).parents[3]


@pytest.fixture
def setup() -> Any:
    return loaded(TREE / "tools/setup.py")


def test_the_collections_are_those_of_galaxy(setup: Any) -> None:
    assert set(setup.COLLECTIONS) == set(yaml.safe_load((TREE / "galaxy.yml").read_text())["dependencies"])


def test_every_requirement_is_either_the_bundle_or_installed(setup: Any) -> None:
    text = (TREE / "requirements/run.txt").read_text()
    bundle, others = setup.split_bundle(text)
    assert bundle.startswith("ansible==") and bundle.count("==") == 1 and "--hash=sha256:" in bundle
    assert sorted((bundle + others).splitlines()) == sorted(text.splitlines())
    assert "\nansible-core==" in f"\n{others}" and "\nansible==" not in f"\n{others}"
