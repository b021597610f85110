# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a VM for its recovery points: how it runs, and its disks with the files that they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import NotFound
from ..._libvirt import intent
from ..host.at_rest import refuse_unsettled
from ..host.domains import check_ownership
from ..host.migration_mark import refuse_while_migrating
from ..host.observe import read_vm
from ..model.host_facts import Folders, VolumeFile
from ..model.image_tools import PointTool
from ..model.spec import Disk
from ..model.state import VmState
from ..xml.domain import parse_xml
from ..xml.properties import read_path
from .choose import Choice, DiskFiles, choose

MOST_FILES = 200


@dataclass(frozen=True)
class PointVm:
    """A VM as it is: ``active`` where a QEMU has its disks."""

    state: VmState
    domain: Any
    uuid: str
    active: bool
    choice: Choice


def observe(connection: Any, name: str, tool: PointTool, folders: Folders) -> PointVm:
    """Return the VM; raise NotFound without it, Conflict for one that is not ours, Refused or Busy as ``choose`` does."""
    state = read_vm(connection, name, tool, folders)
    if state.config is None:
        raise NotFound(f"name: this host has no domain {name}.", option="name", value=name)
    check_ownership(state, adopt=False)
    refuse_while_migrating(name, folders.vm(name), state.run)
    refuse_unsettled(name, state.condition)
    with intent(f"read domain {name}"):
        domain = connection.lookupByName(name)
        active, tree = bool(domain.isActive()), parse_xml(domain.XMLDesc())
    shared = shared_targets(tree)
    now, foreign = (state.live, state.live_foreign) if active and state.live else (state.config, state.foreign)
    disks = [DiskFiles(disk, tuple(_files(disk, tool))) for disk in now.disks]
    disks += [DiskFiles(disk, foreign=True) for disk in foreign.disks]
    return PointVm(state, domain, domain.UUIDString(), active, choose(name, disks, folders, shared))


def shared_targets(tree: Element) -> frozenset[str]:
    """Return the disks of a domain that other domains may write too."""
    devices = tree.iterfind("devices/disk")
    return frozenset(read_path(disk, "target@dev") or "" for disk in devices if disk.find("shareable") is not None)


def _files(disk: Disk, tool: PointTool) -> Iterator[VolumeFile]:
    """Yield the files of a disk that are not those of its image; a raw disk has one."""
    if not disk.path or disk.device != "disk" or disk.read_only:
        return
    path, seen = disk.active, 0
    while path and seen < MOST_FILES:
        file = tool.info(path, disk.active_format if not seen else "qcow2")
        yield file
        seen += 1
        below = file.backing or ""
        path = below if below.rpartition("/")[0] == disk.active.rpartition("/")[0] else ""
