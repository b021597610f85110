# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to what a domain says of itself and what its operating system expects."""

from __future__ import annotations

import re
from typing import Any

from ..._errors import InvalidInput
from ..model.request import DomainOptions
from ..model.spec import DomainSpec
from .values import choose

LONGEST = {"title": 255, "description": 16384}
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def about_fields(options: DomainOptions, before: DomainSpec | None) -> dict[str, Any]:
    """Return title, description and operating system; the empty text removes one."""
    texts = {field: _text(field, getattr(options, field), before) for field in LONGEST}
    return {**texts, "os": choose(options.os, before and before.os, "linux")}


def _text(field: str, asked: str | None, before: DomainSpec | None) -> str | None:
    if asked is None:
        return getattr(before, field) if before else None
    text = asked.strip()
    if len(text) > LONGEST[field] or UNPRINTABLE.search(text) or (field == "title" and "\n" in text):
        kind = "one line" if field == "title" else "a text"
        raise InvalidInput(f"{field}: it must be {kind} of at most {LONGEST[field]} characters.", option=field, value=asked)
    return text or None
