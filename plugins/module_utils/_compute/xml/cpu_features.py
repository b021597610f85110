# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the CPU that a guest must have or must not have ↔ libvirt XML; other policies are of others and stay."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

SIGNS = {"require": "", "disable": "-"}


def parse_features(root: Element) -> tuple[str, ...]:
    """Return the names in alphabetical order, those that the guest must not have with a dash before."""
    rows = root.findall("cpu/feature")
    return tuple(sorted(SIGNS[row.get("policy", "require")] + row.get("name", "") for row in rows if _is_ours(row)))


def _is_ours(row: Element) -> bool:
    return row.get("policy", "require") in SIGNS


def emit_features(root: Element, wanted: tuple[str, ...]) -> None:
    """Write the features; nothing is touched where they are the same already."""
    if parse_features(root) == wanted:
        return
    cpu = root.find("cpu")
    if cpu is None:
        cpu = SubElement(root, "cpu")
    for row in filter(_is_ours, cpu.findall("feature")):
        cpu.remove(row)
    for name in wanted:
        policy = "disable" if name.startswith("-") else "require"
        SubElement(cpu, "feature", {"policy": policy, "name": name.removeprefix("-")})
