# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends the copy of a recovery point: points give way to every other job of a VM, as libvirt has one at a time.

A point's files are in a folder whose name ends in ``.point`` until it is whole; by that its job is known.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import Busy
from ..._libvirt import intent, libvirt, lookup
from ..host.events import Waiter
from ..xml.domain import parse_xml
from ..xml.properties import read_path

WORK = ".point"
LOOK_AGAIN, LONGEST = 0.1, 60.0


def end_point(connection: Any, name: str) -> bool:
    """End the copy of a recovery point of a VM if there is one, and return whether there was; what it made is not used.

    The caller holds the lock of the VM, so that no other begins. Raises Busy where the copy does not end.
    """
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    if domain is None or not has_point_job(domain):
        return False
    with suppress(libvirt.libvirtError):  # it may have ended by now
        domain.abortJob()
    if not Waiter().until(lambda: not has_point_job(domain), LONGEST, LOOK_AGAIN):
        raise Busy(
            f"name: the copy of a recovery point of domain {name} does not end; run again in a while.", option="name", value=name
        )
    return True


def has_point_job(domain: Any) -> bool:
    """Return whether libvirt copies the disks of a domain for a recovery point now."""
    try:
        if not domain.isActive() or domain.jobStats().get("type") == libvirt.VIR_DOMAIN_JOB_NONE:
            return False
        tree = parse_xml(domain.backupGetXMLDesc())
    except libvirt.libvirtError:  # another job, of which libvirt tells no more, or it has ended
        return False
    return any(PurePosixPath(path).parent.suffix == WORK for path in _files(tree))


def _files(tree: Element) -> list[str]:
    rows = (read_path(disk, f"{kind}@file") for disk in tree.iterfind("disks/disk") for kind in ("target", "scratch"))
    return [path for path in rows if path]
