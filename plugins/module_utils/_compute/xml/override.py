# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's XML merged over a domain, the last resort where no option exists yet.

The fragment is a ``<domain>`` element. Its attributes and texts win; a child goes into the one that it means (``meaning``), and is
added where there is none. ``merge`` returns what the fragment replaced, so that ``unmerge`` brings it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from ..._errors import InvalidInput
from ..._namespaces import remember
from ..model.override_text import MARKER, PASSWORD, is_marker, with_passwords
from .meaning import meant

OWNED = ("name", "uuid", "metadata")
NAMESPACE = "https://edge.cloud/xmlns/replaced/1"
REPLACED = f"{{{NAMESPACE}}}replaced"
WAYS = (("model", ("controller", "memballoon", "watchdog"), "address"), ("listen", ("graphics",), "listen"))
Was = dict[str, Any]


def parse_override(text: str) -> Element:
    """Return the fragment; raise InvalidInput where it is not a <domain> or has an element that we own."""
    where = "xml_override"
    if "<!" in text:
        raise InvalidInput(f"{where}: comments, document types and CDATA are not allowed.", option=where)
    try:
        for _event, (prefix, uri) in ET.iterparse(BytesIO(text.encode()), events=("start-ns",)):  # noqa: S314 - see below
            if prefix:
                remember(prefix, uri)
        root = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError as error:
        raise InvalidInput(f"{where}: it is not well-formed XML ({error}).", option=where) from None
    if root.tag != "domain" or (root.text or "").strip():
        raise InvalidInput(f"{where}: its outermost element must be <domain>, found <{root.tag}>.", option=where, value=root.tag)
    for tag in OWNED:
        if root.find(tag) is not None:
            raise InvalidInput(f"{where}: <{tag}> is not allowed; edge.cloud sets it.", option=where, value=tag)
    return root


def merge(target: Element, fragment: Element) -> Was:
    """Put all of ``fragment`` into ``target`` and return what was there; merging again changes nothing."""
    given = {name: value for name, value in fragment.attrib.items() if not is_marker(value)}
    was: Was = {"attributes": {name: _noted(name, target.get(name)) for name in fragment.attrib}}
    if (fragment.text or "").strip():
        was["text"] = target.text
        target.text = fragment.text
    _make_way(target, given)
    target.attrib.update(given)
    children: dict[str, Was] = {}
    for place, child in enumerate(fragment):
        found = meant(target, child, fragment)
        if found is None:
            target.append(copy_of(child))
        else:
            children[str(place)] = merge(found, child)
    return {**was, "children": children}


def _noted(name: str, value: str | None) -> str | None:
    """Return what the metadata, which others can read, may say of an attribute."""
    return f"{MARKER}0" if name == PASSWORD and value is not None else value


def revealed(text: str, root: Element) -> str:
    """Return a concealed override with the passwords that the domain has; a marker stays where the domain does not show one."""
    return with_passwords(text, passwords_of(text, root)) if MARKER in text else text


def passwords_of(text: str, root: Element) -> dict[str, str]:
    """Return the passwords of a concealed override that the domain has, by their markers."""
    return dict(_passwords(root, parse_override(text))) if MARKER in text else {}


def _passwords(target: Element, fragment: Element) -> Iterator[tuple[str, str]]:
    marker, value = fragment.get(PASSWORD), target.get(PASSWORD)
    if marker is not None and value is not None and is_marker(marker):
        yield marker, value
    for child in fragment:
        found = meant(target, child, fragment)
        if found is not None:
            yield from _passwords(found, child)


def unmerge(target: Element, fragment: Element, was: Mapping[str, Any] | None) -> None:
    """Take a merged ``fragment`` out of ``target`` and bring back what it replaced.

    Without ``was`` (nothing is known of what was there) only what equals the fragment goes, and elements that are empty then.
    """
    for place, child in reversed(list(enumerate(fragment))):
        found = meant(target, child, fragment)
        if found is None:
            continue
        before = was["children"].get(str(place)) if was is not None else None
        if was is not None and before is None:
            target.remove(found)
            continue
        unmerge(found, child, before)
        if before is None and not found.attrib and not len(found) and not (found.text or "").strip():
            target.remove(found)
    if was is None:
        _take_equal(target, fragment)
    else:
        _bring_back(target, fragment, was)


def _take_equal(target: Element, fragment: Element) -> None:
    for name, value in fragment.attrib.items():
        if target.get(name) == value:
            del target.attrib[name]
    text = (fragment.text or "").strip()
    if text and (target.text or "").strip() == text:
        target.text = None


def _bring_back(target: Element, fragment: Element, was: Mapping[str, Any]) -> None:
    _make_way(target, was["attributes"])
    for name in fragment.attrib:
        value = was["attributes"].get(name)
        if is_marker(value):
            continue  # the password before is not known; none at all would open the display
        if value is None:
            target.attrib.pop(name, None)
        else:
            target.set(name, value)
    if (fragment.text or "").strip():
        target.text = was.get("text")


def _make_way(target: Element, attributes: Mapping[str, Any]) -> None:
    """Take out what libvirt added for a device of another model, and for another listening address, before those change."""
    changed = {name for name, value in attributes.items() if value != target.get(name)}
    if target.tag == "model" and "type" in changed:
        target.attrib.clear()
    for attribute, tags, child in WAYS:
        if attribute in changed and target.tag in tags:
            for old in target.findall(child):
                target.remove(old)


def replaced_of(root: Element) -> Was | None:
    """Return what the override of a domain replaced, None where the domain has no note of it."""
    note = root.find(f"metadata/{REPLACED}")
    try:
        was: Was = json.loads(note.text or "") if note is not None else {}
    except ValueError:
        return None
    return was if isinstance(was, dict) and "children" in was and "attributes" in was else None


def note_replaced(root: Element, was: Was | None) -> None:
    """Keep what the override replaced in the domain's metadata, beside our mark; None forgets it."""
    remember("edge-replaced", NAMESPACE)
    metadata = root.find("metadata")
    for old in metadata.findall(REPLACED) if metadata is not None else ():
        metadata.remove(old)  # type: ignore[union-attr]
    if was is not None:
        metadata = SubElement(root, "metadata") if metadata is None else metadata
        note = Element(REPLACED)
        note.text = json.dumps(was, sort_keys=True, separators=(",", ":"))
        metadata.insert(0, note)


def without_override(root: Element, text: str | None) -> Element:
    """Return a domain as it would be without its override, where that is known, else as it is."""
    was = replaced_of(root) if text else None
    if text is None or was is None:
        return root
    plain = copy_of(root)
    unmerge(plain, parse_override(text), was)
    return plain


def copy_of(element: Element) -> Element:
    """Return a copy of an element and all that is in it."""
    return ET.fromstring(ET.tostring(element))  # noqa: S314 - written by the line itself
