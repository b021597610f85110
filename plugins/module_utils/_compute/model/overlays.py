# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of a disk the guest writes: its own, or an overlay over it.

A disk's own file is what the record names (``VMFOLDER/NAME.qcow2`` or ``NAME.raw``, or the file that ``path`` gave). libvirt's
XML may name an overlay of it instead, ``VMFOLDER/NAME.SNAPSHOT.qcow2``: the active file. Starting a guest on any other file of the
chain would throw it back, so a disk has both from when its domain is observed (``with_own_files``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from ..._errors import Conflict
from .host_facts import Folders, VolumeFile
from .spec import Disk, DomainSpec, Record, Volume
from .state import VmState

DISK_FILE = re.compile(r"(?P<disk>[a-z0-9][a-z0-9-]{0,19})((\.(?P<overlay>[A-Za-z0-9][A-Za-z0-9_-]{0,62}))?\.qcow2|\.raw)")
MADE_FORMATS = ("qcow2", "raw")
INDEX = "snapshots.json"
OTHER_FILES = re.compile(
    r"seed\.iso|context\.iso|console\.log|nvram\.fd|arriving\.json|clone\.json|restore\.json|tpm\.state|snapshots\.json|[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.memory"
)


def made_path(home: str, disk: str, image_format: str) -> str:
    """Return where the file of a disk that is made here is."""
    return f"{home}/{disk}.{image_format}"


def made_format(path: str) -> str:
    """Return the format of a file that we make, which its name tells: DISK.raw is raw, every other is qcow2."""
    return "raw" if path.endswith(".raw") else "qcow2"


def is_ours(name: str) -> bool:
    """Return whether a file of a VM's folder has a name of ours: a disk, overlay, seed, console log, memory or the index."""
    return OTHER_FILES.fullmatch(name) is not None or DISK_FILE.fullmatch(name) is not None


def overlay_of(path: str, disk: str, home: str) -> str | None:
    """Return the overlay's name if ``path`` is an overlay of this disk in the VM's folder ``home``, else None."""
    place = PurePosixPath(path)
    found = DISK_FILE.fullmatch(place.name)
    ours = found is not None and str(place.parent) == home and found["disk"] == disk
    return found["overlay"] if found and ours else None


def is_overlay(path: str) -> bool:
    """Return whether a file has an overlay's name."""
    found = DISK_FILE.fullmatch(PurePosixPath(path).name)
    return found is not None and found["overlay"] is not None


def with_own_files(spec: DomainSpec, home: str, record: Record | None) -> DomainSpec:
    """Return the spec of an XML, which names active files only, with each disk's own file beside its overlay."""
    named = {disk.name: disk for disk in record.spec.disks} if record else {}
    return replace(spec, disks=tuple(_with_own(disk, home, named.get(disk.name)) for disk in spec.disks))


def _with_own(disk: Disk, home: str, named: Disk | None) -> Disk:
    if overlay_of(disk.path, disk.name, home) is None:
        return disk
    if named and overlay_of(named.path, disk.name, home) is None:
        return replace(disk, path=named.path, format=named.format, block=named.block, overlay=disk.path)
    # A record of others may name the overlay itself.
    return replace(disk, path=made_path(home, disk.name, "qcow2"), overlay=disk.path)


def with_kept_overlays(wanted: DomainSpec, state: VmState, home: str) -> DomainSpec:
    """Return the spec with each disk that no domain has now on the newest of the files that an earlier domain left of it."""
    had = {(disk.name, disk.path) for disk in state.config.disks} if state.config else set()

    def current(disk: Disk) -> Disk:
        if (disk.name, disk.path) in had or disk.path not in {made_path(home, disk.name, one) for one in MADE_FORMATS}:
            return disk
        leaf = _leaf(disk, state.volumes, home)
        return replace(disk, overlay=leaf if leaf != disk.path else None)

    return replace(wanted, disks=tuple(map(current, wanted.disks)))


def _leaf(disk: Disk, volumes: Iterable[VolumeFile], home: str) -> str:
    """Return the top of the chain of a disk's files: the only one that no other stands on."""
    files = [one for one in volumes if one.path == disk.path or overlay_of(one.path, disk.name, home)]
    leaves = sorted({one.path for one in files} - {one.backing for one in files if one.backing})
    if len(leaves) > 1:
        raise Conflict(
            f"disks: disk {disk.name} has several files that may be the newest ({', '.join(leaves)}), and no domain uses one; "
            "move the others away, or name the right one with path.",
            option="disks",
            disk=disk.name,
            files=leaves,
        )
    return leaves[0] if leaves else disk.path


def chain(path: str, volumes: Iterable[VolumeFile]) -> tuple[VolumeFile, ...]:
    """Return the files from ``path`` down, as far as they are known."""
    known = {one.path: one for one in volumes}
    found: list[VolumeFile] = []
    at: str | None = path
    while at in known and known[at] not in found:
        found.append(known[at])
        at = found[-1].backing
    return tuple(found)


def volume_chain(volume: Volume, wanted: DomainSpec, volumes: Iterable[VolumeFile]) -> tuple[VolumeFile, ...]:
    """Return the files of a disk of ours from the active one down, empty where it was not made yet."""
    return chain(active_path(volume, wanted), volumes)


def active_path(volume: Volume, wanted: DomainSpec) -> str:
    """Return the active file of a disk of ours."""
    return next((disk.active for disk in wanted.disks if disk.name == volume.disk), volume.path)


def kept_files(state: VmState, home: str, folders: Folders) -> frozenset[str]:
    """Return the files of the VM's folder that are not ours to delete.

    They are disks given by ``path``, overlays over such a one, and disks that others attached, with what is below those.
    """
    made = {volume.disk for volume in state.record.volumes} if state.record else set()
    disks = state.config.disks if state.config and state.record else ()
    given = {disk.path for disk in disks if disk.path and disk.name not in made}
    given -= {folders.seed(state.name), folders.context(state.name)}
    given |= set(_of_others(state))

    def foreign(end: VolumeFile) -> bool:
        return bool(given & {end.path, end.backing}) or _stands_elsewhere(end.backing, home, folders)

    overlays = (one.path for one in state.volumes if is_overlay(one.path))
    kept = {path for path in overlays if foreign(chain(path, state.volumes)[-1])}
    return frozenset(given | kept | ({f"{home}/{INDEX}"} if kept else set()))


def _of_others(state: VmState) -> Iterator[str]:
    made = {volume.path for volume in state.record.volumes} if state.record else set()
    for disk in state.foreign.disks:
        if disk.path and disk.path not in made:
            yield disk.path
            for one in chain(disk.path, state.volumes):
                yield from filter(None, (one.path, one.backing))


def _stands_elsewhere(backing: str | None, home: str, folders: Folders) -> bool:
    parent = str(PurePosixPath(backing).parent) if backing and backing.startswith("/") else home
    return parent not in (home, folders.images)
