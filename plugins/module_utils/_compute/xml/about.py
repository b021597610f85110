# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain says of itself, and what its operating system expects of the hardware ↔ libvirt XML.

What has the same value already is not touched, so that a domain of others keeps its own form of it.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import DomainSpec
from .properties import Property, read_all, read_path, write_path

TEXTS = (Property("title", "title"), Property("description", "description"))
ENLIGHTENMENTS = ("relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "frequencies")
RETRIES = "8191"  # what Microsoft and libosinfo give
X86 = ("x86_64", "i686")


def parse_about(root: Element) -> dict[str, Any]:
    """Return the fields of a spec that these are."""
    return {**read_all(root, TEXTS), "os": "windows" if _is_windows(root) else "linux"}


def _is_windows(root: Element) -> bool:
    local = read_path(root, "clock@offset") == "localtime"
    return local and (not _has_enlightenments(root.get("type"), read_path(root, "os/type@arch")) or _all_on(root))


def _has_enlightenments(virt_type: str | None, arch: str | None) -> bool:
    """Return whether a guest can have them: they are KVM's, and of x86."""
    return virt_type == "kvm" and arch in X86


def _all_on(root: Element) -> bool:
    hyperv = root.find("features/hyperv")
    return hyperv is not None and all(read_path(hyperv, f"{name}@state") == "on" for name in ENLIGHTENMENTS)


def emit_about(root: Element, spec: DomainSpec) -> None:
    """Write these of ``spec``."""
    had = parse_about(root)
    for row in TEXTS:
        if had[row.field] != getattr(spec, row.field):
            row.write(root, getattr(spec, row.field))
    if had["os"] == spec.os:
        return
    write_path(root, "clock@offset", "localtime" if spec.os == "windows" else "utc")
    if spec.os == "linux":
        _take_enlightenments(root)
    elif _has_enlightenments(spec.virt_type, spec.arch):
        _write_enlightenments(root)


def _take_enlightenments(root: Element) -> None:
    write_path(root, "features/hyperv@mode", None)
    for path, tag in (("features", "hyperv"), ("clock", "timer")):
        parent = root.find(path)
        for old in parent.findall(tag) if parent is not None else ():
            if tag == "hyperv" or old.get("name") == "hypervclock":
                parent.remove(old)  # type: ignore[union-attr]


def _write_enlightenments(root: Element) -> None:
    """Turn ours on; those of others, such as the name of a vendor, and the retries that they chose stay."""
    write_path(root, "features/hyperv@mode", "custom")
    for name in ENLIGHTENMENTS:
        write_path(root, f"features/hyperv/{name}@state", "on")
    retries = "features/hyperv/spinlocks@retries"
    write_path(root, retries, read_path(root, retries) or RETRIES)
    timer = root.find("clock/timer[@name='hypervclock']")
    clock = root.find("clock")
    if timer is not None:
        timer.set("present", "yes")
    elif clock is not None:
        SubElement(clock, "timer", {"name": "hypervclock", "present": "yes"})
