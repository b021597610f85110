# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of properties that are both written to and read from XML elements, so that the two cannot drift apart.

A path is relative to its element: ``driver@cache`` is an attribute, ``serial`` a text, ``readonly?`` is true where it is there,
``@type`` an attribute of the element itself. None removes what the path names; nothing else of the element is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._sizes import KIB

SCALES = {"b": 1, "bytes": 1}
SCALES |= {f"{letter}iB": KIB**power for power, letter in enumerate("KMGTPE", start=1)}
SCALES |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGTPE", start=1)}
SCALES |= {letter: KIB**power for power, letter in enumerate("KMGTPE", start=1)} | {"k": KIB}


def _same(value: str) -> str:
    return value


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def from_yes(text: str) -> bool:
    """Return whether the text is libvirt's yes."""
    return text in ("yes", "on")


def to_yes(value: bool) -> str | None:
    """Return yes, or None for libvirt's default."""
    return "yes" if value else None


def or_nothing(number: int) -> str | None:
    """Return the number, None for 0."""
    return str(number) if number else None


@dataclass(frozen=True)
class Property:
    """One field of a model and the place that it has in the XML; ``absent`` is its value where there is no such place."""

    field: str
    path: str
    decode: Callable[[str], Any] = _same
    absent: Any = None
    encode: Callable[[Any], str | None] = _text

    def read(self, element: Element) -> Any:
        """Return the field's value."""
        if self.path.endswith("?"):
            return element.find(self.path[:-1]) is not None
        text = read_path(element, self.path)
        return self.absent if text is None else self.decode(text)

    def write(self, element: Element, value: Any) -> None:
        """Write ``value`` into the XML; None and the empty text remove its place."""
        if self.path.endswith("?"):
            write_path(element, self.path[:-1], "" if value else None)
        else:
            write_path(element, self.path, self.encode(value))


def _split(path: str) -> tuple[list[str], str | None]:
    place, _at, attribute = path.partition("@")
    return [part for part in place.split("/") if part], attribute or None


def read_path(element: Element, path: str) -> str | None:
    """Return the attribute or text that ``path`` names, None where it is not there."""
    parts, attribute = _split(path)
    found = element.find("/".join(parts)) if parts else element
    if found is None:
        return None
    return found.get(attribute) if attribute else (found.text or "").strip()


def write_path(element: Element, path: str, text: str | None) -> None:
    """Set the attribute or text that ``path`` names, making elements on the way; None removes it and what it leaves empty."""
    parts, attribute = _split(path)
    chain = [element]
    for part in parts:
        found = chain[-1].find(part)
        if found is None:
            if text is None:
                return
            found = SubElement(chain[-1], part)
        chain.append(found)
    last = chain[-1]
    if attribute and text is not None:
        last.set(attribute, text)
    elif attribute:
        last.attrib.pop(attribute, None)
        _prune(chain)
    elif text is not None:
        last.text = text or None
    else:
        chain[-2].remove(last)
        _prune(chain[:-1])


def _prune(chain: Sequence[Element]) -> None:
    for parent, child in reversed(list(pairwise(chain))):
        if child.attrib or len(child) or (child.text or "").strip():
            return
        parent.remove(child)


def read_all(element: Element, table: Sequence[Property]) -> dict[str, Any]:
    """Return the value of every field of the table."""
    return {row.field: row.read(element) for row in table}


def write_all(element: Element, table: Sequence[Property], values: Mapping[str, Any], had: Mapping[str, Any] | None = None) -> None:
    """Write the fields of the table, in its order; of an element that was there (``had``) only those that differ."""
    for row in table:
        if had is None or had[row.field] != values[row.field]:
            row.write(element, values[row.field])


def read_scaled(element: Element, path: str, size: str = "") -> int:
    """Return the bytes of an element such as ``<memory unit='KiB'>262144</memory>``; libvirt's default unit is KiB.

    ``size`` names the attribute that has the number, such as ``@size``; 0 where there is none.
    """
    return int(read_path(element, path + size) or 0) * SCALES.get(read_path(element, path + "@unit") or "KiB", KIB)


def write_kib(element: Element, path: str, size: int) -> None:
    """Write bytes as whole KiB, libvirt's own unit."""
    write_path(element, path, str(size // KIB))
    write_path(element, path + "@unit", "KiB")
