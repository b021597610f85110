# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes YAML that every reader takes for the same: as JSON, and as YAML where JSON means another thing in it.

JSON writes a character beyond U+FFFF as two surrogates, which YAML reads as two characters that none can encode. It leaves line
ends of Unicode raw, which YAML folds, and characters that YAML forbids. It writes 1e+16, a text in YAML 1.1, and NaN. YAML looks
for the colon after a key only so far. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ..._errors import InvalidInput

ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
SURROGATE = re.compile("[\ud800-\udfff]")
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ufffd\U00010000-\U0010ffff]")
LONGEST_KEY = 1000  # characters; 1024 are YAML's limit
DEEPEST = 64
STEP = "  "


def yaml_text(data: Any, where: str) -> str:
    """Return ``data`` as YAML in an order that does not change; raise InvalidInput with the path of what has none."""
    return _value(data, where, "") + "\n"


def encodable(text: str, where: str) -> str:
    """Return ``text`` if UTF-8 has all of it: half of a surrogate pair is not a character."""
    if SURROGATE.search(text):
        raise InvalidInput(
            f"{where}: it has half of a surrogate pair, which is not a character; write the character.", option=where
        )
    return text


def _value(value: Any, where: str, indent: str) -> str:
    if len(indent) > DEEPEST * len(STEP):
        raise InvalidInput(f"{where}: it is nested more than {DEEPEST} deep.", option=where)
    if isinstance(value, Mapping):
        return _mapping(value, where, indent)
    if isinstance(value, list | tuple):
        items = [_value(item, f"{where}[{place}]", indent + STEP) for place, item in enumerate(value)]
        return _block("[", items, "]", indent)
    return _scalar(value, where)


def _mapping(value: Mapping[Any, Any], where: str, indent: str) -> str:
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(f"{where}: the key {key!r:.40} is not a text; put it in quotes.", option=where)
    inner = indent + STEP
    items = []
    for key in sorted(value):
        head = _quoted(key, where)
        colon = ": " if len(head) <= LONGEST_KEY else f"\n{inner}: "
        mark = "" if len(head) <= LONGEST_KEY else "? "
        items.append(f"{mark}{head}{colon}{_value(value[key], f'{where}.{key:.60}', inner)}")
    return _block("{", items, "}", indent)


def _block(begin: str, items: list[str], end: str, indent: str) -> str:
    inside = f",\n{indent}{STEP}".join(items)
    return f"{begin}\n{indent}{STEP}{inside}\n{indent}{end}" if items else begin + end


def _scalar(value: Any, where: str) -> str:
    if isinstance(value, str):
        return _quoted(value, where)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    raise InvalidInput(f"{where}: a {type(value).__name__} has no place in YAML; write it as a text.", option=where)


def _quoted(text: str, where: str) -> str:
    written = json.dumps(encodable(text, where), ensure_ascii=False)
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    digits, exponent, power = repr(value).partition("e")
    return f"{digits}.0{exponent}{power}" if exponent and "." not in digits else repr(value)
