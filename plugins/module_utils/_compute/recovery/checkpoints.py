# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's checkpoints that are ours, by their names: each stands for a dirty bitmap of the same name in every disk of the points.

libvirt knows the checkpoints, QEMU the bitmaps, and each can be without the other: a redefined domain has no checkpoints, a QEMU
that was killed leaves bitmaps not to be trusted, and those that it made since its start are gone. A name is never used again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._libvirt import intent, libvirt
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path

PREFIX = "edge-point-"


def new_name() -> str:
    """Return the name of a new checkpoint."""
    return f"{PREFIX}{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one domain."""

    domain: Any

    def names(self) -> tuple[str, ...]:
        """Return ours, those of others left out."""
        with intent(f"list the checkpoints of domain {self._name}"):
            return tuple(sorted(name for one in self.domain.listAllCheckpoints() if (name := one.getName()).startswith(PREFIX)))

    def noted(self, name: str) -> Mapping[str, int]:
        """Return how many bytes of each disk of a running guest changed since a checkpoint; without disks of no sound bitmap."""
        flags = libvirt.VIR_DOMAIN_CHECKPOINT_XML_SIZE | libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN
        with intent(f"read checkpoint {name} of domain {self._name}"):
            tree = parse_xml(self.domain.checkpointLookupByName(name).getXMLDesc(flags))
        rows = ((disk.get("name") or "", disk.get("size")) for disk in tree.iterfind("disks/disk"))
        return {target: int(size) for target, size in rows if size is not None}

    def define(self, name: str, targets: Iterable[str]) -> None:
        """Make a checkpoint known to libvirt whose bitmaps are in the disks already."""
        with intent(f"define checkpoint {name} of domain {self._name}"):
            tree = self._tree(name, targets)
            SubElement(tree, "creationTime").text = str(int(time.time()))
            tree.append(parse_xml(self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)))
            self.domain.checkpointCreateXML(to_text(tree), libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE)

    def xml(self, name: str, targets: Iterable[str]) -> str:
        """Return the XML of a new checkpoint of these disks alone."""
        return to_text(self._tree(name, targets))

    def forget(self, name: str) -> None:
        """Take out a checkpoint and, of a running guest, its bitmaps, whichever of the two are there."""
        with intent(f"remove checkpoint {name} of domain {self._name}"):
            found = self.domain.checkpointLookupByName(name)
            try:
                found.delete(0)
            except libvirt.libvirtError:  # the guest is stopped, or a disk has no such bitmap
                found.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)

    @property
    def _name(self) -> str:
        return str(self.domain.name())

    def _tree(self, name: str, targets: Iterable[str]) -> Element:
        root, mine = Element("domaincheckpoint"), set(targets)
        SubElement(root, "name").text = name
        disks = SubElement(root, "disks")
        for disk in parse_xml(self.domain.XMLDesc()).iterfind("devices/disk"):
            target = read_path(disk, "target@dev") or ""
            how = {"checkpoint": "bitmap", "bitmap": name} if target in mine else {"checkpoint": "no"}
            SubElement(disks, "disk", {"name": target, **how})
        return root
