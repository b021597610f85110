# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of an XML override as others may see it: libvirt shows passwords of graphics to administrators only. Pure.

An override has no comments, document types and CDATA, so that its tags are found by a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape
from itertools import count

PASSWORD = "passwd"  # noqa: S105 - the name of an attribute
MARKER = "edge-hidden-"
SECRET = re.compile(rf"""(\s{PASSWORD}\s*=\s*)(["'])(.*?)\2""", re.DOTALL)
TAG = re.compile(r"""(<(?:"[^"]*"|'[^']*'|[^'">])*>)""")
QUOTED = re.compile(r"""<(?:\w+:)?(?:arg|env|entry)\b[^>]*?(?:value\s*=\s*(["'])(.*?)\1|>([^<]+)<)""", re.DOTALL)
LONG = 8  # a shorter argument, such as -device, would hide too much of what is shown
VALUE = re.compile(r"""(=\s*)(?:"[^"]*"|'[^']*')""")


def concealed(text: str) -> str:
    """Return an override with a numbered marker in place of each password, for the domain's metadata."""
    numbers = count(1)
    return _passwords_by(lambda _value: f"{MARKER}{next(numbers)}", text)


def canonical(text: str) -> str:
    """Return an override with its passwords written the way in which ``with_passwords`` writes them."""
    return _passwords_by(unescape, text)


def with_passwords(text: str, known: Mapping[str, str]) -> str:
    """Return an override with the passwords that are known by their markers."""
    return _passwords_by(lambda value: known.get(value, unescape(value)), text)


def _passwords_by(change: Callable[[str], str], text: str) -> str:
    def one(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}{escape(change(found[3]), quote=True)}{found[2]}"

    return "".join(SECRET.sub(one, part) if part.startswith("<") else part for part in TAG.split(text))


def is_marker(value: str | None) -> bool:
    """Return whether a value stands for a password that is not known here."""
    return value is not None and value.startswith(MARKER)


def secrets_in(text: str) -> set[str]:
    """Return what of an override may be a secret and may be quoted in errors of libvirt or QEMU: passwords, arguments, entries."""
    found = {unescape(one[3]) for part in TAG.split(text) for one in SECRET.finditer(part)}
    quoted = {unescape(one[2] or one[3] or "") for one in QUOTED.finditer(text)}
    return {one for one in found if one} | {one for one in quoted if len(one) >= LONG}


def outline(text: str) -> str:
    """Return an override with its elements and attributes, and no value: any of them can be a secret."""
    return "".join(
        VALUE.sub(r'\1"..."', part) if part.startswith("<") else "..." if part.strip() else part for part in TAG.split(text)
    )
