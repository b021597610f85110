# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a foreign domain over as the modules do, without libvirt, and says what that changed in its XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.overlays import with_own_files
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import MARK, emit, parse, parse_xml, to_text
from support.compute import host


def adopt(root: Element, options: Mapping[str, Any] | None = None) -> Element:
    """Return what libvirt would be given for a domain that is taken over with these options."""
    found = parse(root)
    name = found.spec.name
    before = with_own_files(found.spec, host().folders.vm(name), found.record)
    volumes = found.record.volumes if found.record else ()
    wanted = resolve(read_options({"name": name, "adopt": True, **(options or {})}), before, volumes, host(), found.foreign)
    record = Record(wanted.spec, wanted.volumes, taken_over=found.foreign.taken_over, ordered=wanted.ordered)
    return parse_xml(to_text(emit(wanted.spec, record, root)))


def differences(before: Element, after: Element) -> list[str]:
    """Return what differs between two domains except for our mark, each as a path, what was there and what is."""
    return list(_differences(before, after, ""))


def _differences(before: Element, after: Element, where: str) -> Iterator[str]:
    for name in sorted({*before.attrib, *after.attrib}):
        if before.get(name) != after.get(name):
            yield f"{where}@{name}: {before.get(name)!r} became {after.get(name)!r}"
    old, new = _text(before), _text(after)
    if old != new:
        yield f"{where}: {old!r} became {new!r}"
    was, now = _children(before), _children(after)
    for key in [*was, *(key for key in now if key not in was)]:
        place = f"{where}/{key}".lstrip("/")
        if key not in now:
            yield f"{place}: gone"
        elif key not in was:
            yield f"{place}: new"
        else:
            yield from _differences(was[key], now[key], place)
    if [key for key in was if key in now] != [key for key in now if key in was]:
        yield f"{where}: another order"


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _children(element: Element) -> dict[str, Element]:
    """Return the children by tag, those after the first of a tag by their place too; our mark is none of them."""
    found: dict[str, Element] = {}
    counts: dict[str, int] = {}
    for child in element:
        if not isinstance(child.tag, str) or child.tag == MARK or (child.tag == "metadata" and _is_our_mark(child)):
            continue
        counts[child.tag] = counts.get(child.tag, 0) + 1
        found[child.tag if counts[child.tag] == 1 else f"{child.tag}[{counts[child.tag]}]"] = child
    return found


def _is_our_mark(metadata: Element) -> bool:
    return len(metadata) > 0 and all(child.tag == MARK for child in metadata)
