# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/storage.md lists is what there is: the verbs of edge-host with their options, and the keys of cluster.json."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._host.cli import VERBS, Verb, Verbs

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = (DOCS / "storage.md").read_text()


def rows(head: str, text: str = TEXT) -> Iterable[list[str]]:
    """Yield the cells of a table, whose head is given."""
    for line in text.partition(f"{head}\n")[2].splitlines()[1:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", cell))


def test_every_verb_with_its_options() -> None:
    listed = {
        name: words(options) for first, _does, options in rows("| verb | does the same as | options |") for name in words(first)
    }
    assert listed == {name: set(verb.options) if isinstance(verb, Verb) else set() for name, verb in VERBS.items()}


def test_every_verb_about_recovery_points() -> None:
    text = (DOCS / "recovery.md").read_text()
    listed = {
        name: words(options) for first, _does, options in rows("| verb | what it does | options |", text) for name in words(first)
    }
    group = VERBS["point"]
    assert isinstance(group, Verbs)
    assert listed == {name: set(verb.options) for name, verb in group.verbs.items()}


def test_every_key_of_the_configuration() -> None:
    table = list(rows("| key | meaning |"))
    listed = {name for first, _meaning in table for name in words(first)}
    assert listed == {*_cluster.CLUSTER.checks, "schema"}
    (members,) = [meaning for first, meaning in table if "replicas" in words(first)]
    assert words(members) >= set(_cluster.MEMBER.checks)
    (images,) = [meaning for first, meaning in table if "images" in words(first)]
    assert words(images) == set(_cluster.IMAGES.checks)
    (recovery,) = [meaning for first, meaning in table if "recovery" in words(first)]
    assert words(recovery) == set(_cluster.RECOVERY.checks)
