# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which element of a domain's XML a part of a user's XML is about."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ..model.override_text import is_marker
from .properties import read_path

NAMES = {
    "disk": ("target@dev",),
    "interface": ("mac@address", "target@dev"),
    "channel": ("target@name",),
    "filesystem": ("target@dir",),
    "graphics": ("@type",),
    "serial": ("target@port",),
    "parallel": ("target@port",),
    "shmem": ("@name",),
}
LISTS = {
    "timer": "@name", "feature": "@name", "entry": "@name", "env": "@name", "cell": "@id", "sibling": "@id", "iothread": "@id",
    "vcpupin": "@vcpu", "iothreadpin": "@iothread", "memnode": "@cellid",
}  # fmt: skip
SINGLE = ("emulator", "memballoon", "tpm", "vsock", "iommu", "nvram", "watchdog", "video", "rng", "panic", "crypto")


def meant(target: Element, child: Element, fragment: Element) -> Element | None:
    """Return the element of ``target`` that ``child`` of ``fragment`` is about, None where it is a new one.

    A device is meant by its alias, else by what names its kind (``NAMES``), a controller by type and index, one of which a domain
    has one by its kind, and another by all that the child says. Elements of a list are meant by their name or number, all others
    by their tag.
    """
    found = target.findall(child.tag)
    if target.tag == "devices":
        return _device(found, child, fragment)
    key = LISTS.get(child.tag.rpartition("}")[2])
    if key and read_path(child, key) is not None:
        return next((one for one in found if read_path(one, key) == read_path(child, key)), None)
    if len(fragment.findall(child.tag)) > 1 or child.tag.endswith("}arg"):
        return next((one for one in found if _contains(one, child)), None)
    return found[0] if found else None


def _device(found: list[Element], child: Element, fragment: Element) -> Element | None:
    pairs = [(path, read_path(child, path)) for path in ("alias@name", *NAMES.get(child.tag, ()))]
    named = [(path, text) for path, text in pairs if text]
    for path, text in named:
        for one in found:
            there = read_path(one, path) or ""
            if there == text or (path == "mac@address" and there.lower() == text.lower()):
                return one
    if named:
        return None
    whole = next((one for one in found if _contains(one, child)), None)
    if whole is not None:
        return whole
    if child.tag == "controller":
        return _controller(found, child, fragment)
    return found[0] if child.tag in SINGLE and len(found) == 1 and len(fragment.findall(child.tag)) == 1 else None


def _controller(found: list[Element], child: Element, fragment: Element) -> Element | None:
    """Return the controller of the same type and index; the companions of a USB controller, which have its index, are added."""

    def key(one: Element) -> tuple[str | None, str]:
        return one.get("type"), one.get("index", "0")

    if child.get("type") == "pci" and "index" not in child.attrib:
        return None
    first = next(one for one in fragment.findall("controller") if key(one) == key(child))
    return next((one for one in found if key(one) == key(child)), None) if first is child else None


def _contains(element: Element, fragment: Element) -> bool:
    """Return whether ``element`` has all that ``fragment`` has."""
    if any(element.get(name) != value and not is_marker(value) for name, value in fragment.attrib.items()):
        return False
    text = (fragment.text or "").strip()
    if text and (element.text or "").strip() != text:
        return False
    return all(any(_contains(one, child) for one in element.findall(child.tag)) for child in fragment)
