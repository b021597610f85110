# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No word stands twice in a row in what a user reads: pages, messages and the documentation of modules and roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from support.processes import TREE

TWICE = re.compile(r"(?<![\w./-])([A-Za-z]{2,})\s\1(?![\w-])")
ENDINGS = {".j2", ".md", ".py", ".yml"}


def doubled(text: str) -> list[str]:
    return [found[0] for found in TWICE.finditer(text)]


def read_by_users() -> Iterator[Path]:
    yield TREE / "README.md"
    for folder in ("changelogs", "docs", "playbooks", "plugins", "roles"):
        yield from (path for path in (TREE / folder).rglob("*") if path.suffix in ENDINGS)


def test_what_is_looked_for() -> None:
    assert doubled("of domain {self.name} on on {self.host}, on\non") == ["on on", "on\non"]
    assert doubled("on one, no-no no-name, is.is is_there") == []


def test_no_word_stands_twice() -> None:
    wrong = {str(path.relative_to(TREE)): doubled(path.read_text()) for path in read_by_users()}
    assert len(wrong) > 500
    assert {path: words for path, words in wrong.items() if words} == {}
