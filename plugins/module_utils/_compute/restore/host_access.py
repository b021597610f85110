# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of this host a VM would reach because its recovery point says so: folders, devices, disks of others, and XML of any kind.

A point may come from another host, and that may be in hostile hands: such a VM must not become a way into this one. What the VM has
on this host already is believed, as an administrator of this host gave it; all else takes a user's word. It is the XML that is
looked at, as libvirt gets it, and all is a way out that is not known to be none. Networks are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ..._errors import Refused
from ..._generation import Generation
from ..._shown import few
from ..model.override_text import concealed
from ..xml.domain import mark_of
from ..xml.properties import read_path
from .host_files import is_public
from .model import ACCESS, OPTION

TO_WRITE = ", to write"
HARMLESS = {
    "emulator", "controller", "serial", "console", "channel", "input", "graphics", "video", "sound", "audio", "memballoon", "rng",
    "tpm", "watchdog", "panic", "memory", "iommu",
}  # fmt: skip
NETWORKS = {"network", "bridge", "user"}
PLACES = ("file", "dev", "dir", "path", "name", "volume", "socket")


@dataclass(frozen=True)
class Reach:
    """What a VM reaches outside of its folder ``home``; of the disks ``afar`` a user said which server they are read from."""

    home: str
    afar: Collection[str] = ()

    def of(self, root: Element) -> Iterator[str]:
        """Yield all of it."""
        if any(element.tag.startswith("{") and element.tag.endswith("}commandline") for element in root):
            yield "whatever its arguments for QEMU name"
        devices = root.find("devices")
        for device in devices if devices is not None else ():
            if device.tag == "disk":
                yield from self._disk(device)
            elif device.tag == "interface" and device.get("type") in NETWORKS:
                continue
            elif device.tag in HARMLESS:
                yield from (f"{one} by its {device.tag}" for one in self._named(device))
            else:
                yield _device(device)

    def _disk(self, disk: Element) -> Iterator[str]:
        target, source, below = read_path(disk, "target@dev") or "?", disk.find("source"), disk.find("backingStore/source")
        if below is not None and target not in self.afar:
            yield f"what the disk {target} is laid over, {_place(below)}"
        if source is None or (not source.attrib and not len(source)):
            return
        path, read_only = source.get("file", ""), disk.find("readonly") is not None
        device, kind = disk.get("device", "disk"), disk.get("type")
        if kind == "file" and (self._is_inside(path) or (read_only and device != "lun" and is_public(path))):
            return
        yield f"the {device} {target}, which is {_place(source)}{'' if read_only else TO_WRITE}"

    def _is_inside(self, path: str) -> bool:
        return bool(self.home) and path.startswith(f"{self.home}/") and os.path.normpath(path) == path

    def _named(self, device: Element) -> Iterator[str]:
        """Yield files and sockets in a device that most have none of, or that are the VM's own or libvirt's."""
        for path in ("source", "log", "backend/source", "source/path"):
            for element in device.iterfind(path):
                values = [element.get(key, "") for key in ("path", "file", "dev", "host", "dir")] + [(element.text or "").strip()]
                yield from (one for one in values if one and not self._is_inside(one) and not _is_libvirts(one))
        if device.tag == "tpm" and read_path(device, "backend@type") != "emulator":
            yield "the TPM of this host"


def _is_libvirts(path: str) -> bool:
    return path.startswith("/var/lib/libvirt/qemu/") and os.path.normpath(path) == path


def _device(device: Element) -> str:
    if device.tag == "filesystem":
        return f"the folder {_place(device.find('source'))}"
    address = device.find("source/address")
    if address is not None and (device.get("type") == "pci" or device.tag == "interface"):
        parts = [int(address.get(key, "0"), 0) for key in ("domain", "bus", "slot", "function")]
        return "the PCI device {:04x}:{:02x}:{:02x}.{:x}".format(*parts)
    return f"the device {device.tag} {device.get('type', '')} {_place(device.find('source'))}".rstrip()


def _place(source: Element | None) -> str:
    if source is None:
        return ""
    if protocol := source.get("protocol"):
        hosts = [one.get("name") or one.get("socket") or "?" for one in source.iterfind("host")]
        return f"{protocol}:{source.get('name', '')} at {few(hosts)}"
    return few([source.get(key, "") for key in PLACES if source.get(key)], otherwise="of a kind that is not known")


def check_host_access(made: Element, own: Element | None, reach: Reach, generation: Generation, override: str | None) -> None:
    """Raise Refused where the VM ``made``, with the ``override``, reaches more of this host than ``own``, the VM here, does."""
    had = set() if own is None else set(Reach("").of(own))
    had |= {one.removesuffix(TO_WRITE) for one in had}
    record = None if own is None else mark_of(own)
    known = record.spec.xml_override if record else None
    named = ["whatever its xml_override names"] if override and concealed(override) != concealed(known or "") else []
    found = [*named, *dict.fromkeys(one for one in reach.of(made) if one not in had)]
    if found:
        raise Refused(
            f"{OPTION}: {generation.name} of the VM {generation.vm.name} says that the VM is to reach this of this host: "
            f"{few(found)}. It does not have that here yet, and the point may be forged. If it is right, set {ACCESS} to true; see "
            "docs/recovery.md.",
            option=OPTION,
            value=generation.name,
            reached=found,
        )
