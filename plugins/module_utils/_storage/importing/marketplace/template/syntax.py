# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three forms in which OpenNebula's templates come: JSON, XML and its own text (``CPU="1"``, ``NIC=[NETWORK="a"]``).

All become the same attributes. Names are upper-case, as OpenNebula takes them; an attribute can be there several times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from xml.etree import ElementTree

from ....._errors import InvalidInput
from ....._json import load_json

LARGEST = 256 * 1024
MOST = 2000
Vector: TypeAlias = "dict[str, str]"
Attributes: TypeAlias = "list[tuple[str, str | Vector]]"
BLANK = re.compile(r"(?:[ \t\r\n\"]+|#[^\n]*(?:\n|\Z))*")  # OpenNebula passes over a quote too many after a value
IN_VECTOR = re.compile(r"[ \t\r\n]*")
NAME = re.compile(r"[A-Za-z0-9_]+")
EQUAL = re.compile(r"[ \t]*=[ \t\r]*")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
BARE = re.compile(r"[^=#\s,\[\]\"]+")


def attributes_of(data: Any, where: str) -> Attributes:
    """Return the attributes of a template: a JSON object, or a text of any of the three forms; raise InvalidInput."""
    if isinstance(data, str):
        text = data.strip()
        if len(text) > LARGEST:
            raise InvalidInput(f"{where} has more than {LARGEST} characters; it was not read.")
        if text.startswith("<"):
            return _of_xml(text, where)
        if not text.startswith("{"):
            return list(_of_text(text, where))
        data = load_json(text, where, LARGEST, InvalidInput)
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{where} is {data!a:.80}; a template is expected.")
    found = [one for name, value in data.items() for one in _of_json(str(name), value)]
    return _bounded(found, where)


def _bounded(found: Attributes, where: str) -> Attributes:
    texts = [text for _name, value in found for text in (value.values() if isinstance(value, dict) else (value,))]
    if len(found) + len(texts) > MOST or sum(map(len, texts)) > LARGEST:
        raise InvalidInput(f"{where} has more than {MOST} attributes, or {LARGEST} characters; it was not read.")
    return found


def _of_json(name: str, value: Any) -> Iterator[tuple[str, str | Vector]]:
    """Yield an attribute; one without a value is not there, as in OpenNebula."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, list):
                yield from _of_json(name, item)
    elif isinstance(value, Mapping):
        parts = ((str(key).upper(), _scalar(part)) for key, part in value.items())
        yield name.upper(), {key: part for key, part in parts if part is not None}
    elif (text := _scalar(value)) not in (None, ""):
        yield name.upper(), str(text)


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) else None


def _of_xml(text: str, where: str) -> Attributes:
    if "<!" in text.replace("<![CDATA[", "").replace("<!--", ""):
        raise InvalidInput(f"{where} is XML with a document type; it was not read.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except (ElementTree.ParseError, ValueError) as error:  # half a character of UTF-16
        raise InvalidInput(f"{where} is not XML: {error}.") from None
    inner = root if root.tag.upper() == "TEMPLATE" else root.find("TEMPLATE")
    found: Attributes = []
    for element in root if inner is None else inner:
        if len(element):
            found.append((element.tag.upper(), {part.tag.upper(): part.text or "" for part in element}))
        elif element.text and element.text.strip():
            found.append((element.tag.upper(), element.text))
    return _bounded(found, where)


def _of_text(text: str, where: str) -> Iterator[tuple[str, str | Vector]]:
    """Yield the attributes of OpenNebula's own syntax; within quotes only ``\\"`` is an escape."""
    at, count = _skip(BLANK, text, 0), 0
    while at < len(text):
        name, at = _name(text, at, where)
        if text.startswith("[", at):
            vector, at = _vector(text, at + 1, where)
            count += len(vector)
            yield name, vector
        else:
            value, at = _one_value(text, at, where)
            if value:
                yield name, value
        count += 1
        if count > MOST:
            raise InvalidInput(f"{where} has more than {MOST} attributes; it was not read.")
        at = _skip(BLANK, text, at)


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _name(text: str, at: int, where: str) -> tuple[str, int]:
    found = NAME.match(text, at)
    equal = EQUAL.match(text, found.end()) if found else None
    if found is None or equal is None:
        raise _bad(text, at, where, "NAME = VALUE")
    return found[0].upper(), equal.end()


def _one_value(text: str, at: int, where: str) -> tuple[str, int]:
    if text.startswith('"', at):
        found = QUOTED.match(text, at)
        if found is None:
            raise _bad(text, at, where, "the quote that ends the value")
        return found[1].replace('\\"', '"'), found.end()
    bare = BARE.match(text, at)
    return (bare[0], bare.end()) if bare else ("", at)


def _vector(text: str, at: int, where: str) -> tuple[Vector, int]:
    vector: Vector = {}
    while True:
        at = _skip(IN_VECTOR, text, at)
        if text.startswith("]", at):
            return vector, at + 1
        name, at = _name(text, at, where)
        vector[name], at = _one_value(text, _skip(IN_VECTOR, text, at), where)
        at = _skip(IN_VECTOR, text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith("]", at):
            raise _bad(text, at, where, ", or ]")
        if len(vector) > MOST:
            raise InvalidInput(f"{where} has more than {MOST} attributes; it was not read.")


def _bad(text: str, at: int, where: str, expected: str) -> InvalidInput:
    line = text.count("\n", 0, at) + 1
    return InvalidInput(f"{where}, line {line}: {text[at : at + 20]!a} is there, and {expected} is expected.")
