# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's XML merged over a domain, the last resort where no option exists yet.

The fragment is a ``<domain>`` element. Its attributes and texts win; a child goes into the one that it means: a device by what
names it (alias, target, MAC address), everything else by its tag. A device that is not there is added.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from ..._errors import InvalidInput
from .properties import read_path

OWNED = ("name", "uuid", "metadata")
NAMES = ("alias@name", "target@dev", "mac@address", "target@name")


def parse_override(text: str) -> Element:
    """Return the fragment; raise InvalidInput where it is not a <domain> or has an element that we own."""
    where = "xml_override"
    if "<!" in text:
        raise InvalidInput(f"{where}: comments, document types and CDATA are not allowed.", option=where)
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError as error:
        raise InvalidInput(f"{where}: it is not well-formed XML ({error}).", option=where) from None
    if root.tag != "domain" or (root.text or "").strip():
        raise InvalidInput(f"{where}: its outermost element must be <domain>, found <{root.tag}>.", option=where, value=root.tag)
    for tag in OWNED:
        if root.find(tag) is not None:
            raise InvalidInput(f"{where}: <{tag}> is not allowed; edge.cloud sets it.", option=where, value=tag)
    return root


def merge(target: Element, fragment: Element) -> None:
    """Put all of ``fragment`` into ``target``; merging again changes nothing."""
    target.attrib.update(fragment.attrib)
    if (fragment.text or "").strip():
        target.text = fragment.text
    for child in fragment:
        found = _meant(target, child, fragment)
        if found is None:
            target.append(_copy(child))
        else:
            merge(found, child)


def unmerge(target: Element, fragment: Element) -> None:
    """Take a merged ``fragment`` out of ``target``, and elements that are empty then."""
    for child in fragment:
        found = _meant(target, child, fragment)
        if found is None:
            continue
        unmerge(found, child)
        bare = not found.attrib and not len(found) and not (found.text or "").strip()
        if bare or _added(target, child, fragment):
            target.remove(found)
    for name, value in fragment.attrib.items():
        if target.get(name) == value:
            del target.attrib[name]
    if (fragment.text or "").strip() and (target.text or "").strip() == (fragment.text or "").strip():
        target.text = None


def _added(target: Element, child: Element, fragment: Element) -> bool:
    """Return whether a device came whole from the fragment: it has no name by which it could mean another."""
    return target.tag == "devices" and fragment.tag == "devices" and _name(child) is None


def _meant(target: Element, child: Element, fragment: Element) -> Element | None:
    """Return the element that ``child`` is about: named alike, or the only one of its tag, or one that has all of it."""
    found = target.findall(child.tag)
    named = _name(child)
    if named is not None:
        return next((one for one in found if read_path(one, named[0]) == named[1]), None)
    if target.tag == "devices" or len(fragment.findall(child.tag)) > 1:
        return next((one for one in found if _contains(one, child)), None)
    return found[0] if found else None


def _name(element: Element) -> tuple[str, str] | None:
    pairs = ((path, read_path(element, path)) for path in NAMES)
    return next(((path, text) for path, text in pairs if text), None)


def _contains(element: Element, fragment: Element) -> bool:
    """Return whether ``element`` has all that ``fragment`` has."""
    if any(element.get(name) != value for name, value in fragment.attrib.items()):
        return False
    text = (fragment.text or "").strip()
    if text and (element.text or "").strip() != text:
        return False
    return all(any(_contains(one, child) for one in element.findall(child.tag)) for child in fragment)


def _copy(element: Element) -> Element:
    return ET.fromstring(ET.tostring(element))  # noqa: S314 - written by the line itself
