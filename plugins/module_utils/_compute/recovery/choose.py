# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which disks are in a VM's recovery points. Pure.

In them is each disk that the guest writes and whose every write is in a qcow2 of the VM's folder: an overlay on an image, or a disk
of its own. Left out, and said, is what the guest cannot write (read-only disks, drives of removable media) and what lives without
this host: disks on a network store and disks shared with other VMs, which would be of another instant. A disk that is not one of
these (raw, by path, a block device, of others, encrypted by qcow2, on a file that is not an image) lets a point be refused, as a VM
that comes back without one of its disks is not the same VM.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..._errors import Busy, Refused
from ..model.host_facts import Folders, VolumeFile
from ..model.overlays import overlay_of
from ..model.spec import Disk

IMAGE = re.compile(r"[0-9a-f]{64}\.qcow2")


@dataclass(frozen=True)
class DiskFiles:
    """A disk of the guest with the files that it stands on, the active one first; empty where no file of this host backs it."""

    disk: Disk
    files: tuple[VolumeFile, ...] = ()
    foreign: bool = False


@dataclass(frozen=True)
class PointDisk:
    """A disk that is in the points; ``image`` is a digest, None for a disk without one. ``size`` is its virtual size in bytes.

    ``path`` is the file by which the VM has it, whatever overlay is ``active`` above.
    """

    target: str
    active: str
    image: str | None
    size: int
    path: str


@dataclass(frozen=True)
class Choice:
    """The disks that are in the points, and why others are not."""

    disks: tuple[PointDisk, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def check_whole(name: str, disks: Iterable[DiskFiles], folders: Folders, shared: Collection[str] = ()) -> None:
    """Raise Refused, as one about the option ``recovery``, for a VM of which no whole point can be made.

    An image that is still on its way is not a reason: points are made once it is here.
    """
    written = [one for one in disks if not _outside(one.disk, one.disk.target in shared)]
    try:
        for one in written:
            with suppress(Busy):
                _included(name, one, folders)
        if not written:
            raise _nothing(name)
    except Refused as error:
        message = f"recovery: {error.message.removeprefix('name: ')}"
        raise Refused(message, **{**error.details, "option": "recovery", "value": "present"}) from None


def choose(name: str, disks: Iterable[DiskFiles], folders: Folders, shared: Collection[str] = ()) -> Choice:
    """Return the disks of a VM's points; ``shared`` are targets that other VMs may write too.

    Raises Refused for a VM of which no whole point can be made, Busy while an image of it is still on its way.
    """
    included: list[PointDisk] = []
    left_out: list[tuple[str, str]] = []
    for one in disks:
        if reason := _outside(one.disk, one.disk.target in shared):
            left_out.append((one.disk.target, reason))
        else:
            included.append(_included(name, one, folders))
    if not included:
        raise _nothing(name)
    return Choice(tuple(included), tuple(left_out))


def _outside(disk: Disk, shared: bool) -> str | None:
    if disk.device != "disk":
        return "a drive of removable media"
    if disk.read_only:
        return "the guest cannot write it"
    if disk.source:
        return f"it is on a network store ({disk.source.protocol}), which keeps it without this host"
    return "it is shared with other VMs" if shared else None


def _included(name: str, one: DiskFiles, folders: Folders) -> PointDisk:
    disk, top = one.disk, one.files[0] if one.files else None
    if one.foreign or top is None:
        raise _refused(name, disk, "others attached it; name it in disks first, or take it out")
    if disk.active_block or top.format != "qcow2":
        raise _refused(
            name, disk, f"{disk.active} is {'a block device' if disk.active_block else top.format}, which notes no changes"
        )
    if any(file.encrypted for file in one.files):
        raise _refused(name, disk, "qcow2 encrypts it, and a point would have it in the clear; encrypt the host's disks instead")
    for file in one.files:
        ours = PurePosixPath(file.path).parent == PurePosixPath(folders.vm(name))
        if not ours or not (file.path == disk.path or overlay_of(file.path, disk.name, folders.vm(name))):
            raise _refused(name, disk, f"{file.path} was given by its path, and others may write it")
    return PointDisk(disk.target, disk.active, _image(name, disk, one.files[-1].backing, folders), top.size, disk.path)


def _image(name: str, disk: Disk, backing: str | None, folders: Folders) -> str | None:
    if backing is None:
        return None
    place = PurePosixPath(backing)
    if not backing.startswith("/"):
        raise Busy(
            f"name: the image of disk {disk.name} of {name} is still on its way; points are made once it is here.",
            option="name",
            disk=disk.name,
        )
    if str(place.parent) != folders.images or not IMAGE.fullmatch(place.name):
        raise _refused(name, disk, f"it stands on {backing}, which is not an image of the host cache")
    return f"sha256:{place.stem}"


def _nothing(name: str) -> Refused:
    return Refused(f"name: {name} has no disk that a recovery point could have.", option="name", value=name)


def _refused(name: str, disk: Disk, why: str) -> Refused:
    return Refused(
        f"name: no recovery point of {name} can be made, since one without its disk {disk.name or disk.target} would not be whole: "
        f"{why}.",
        option="name",
        value=name,
        disk=disk.name or disk.target,
    )
