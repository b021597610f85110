# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a restored VM, from the one in its recovery point. Pure, but for random passwords in place of those not in it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..._errors import Corrupt, Refused
from ..._generation import Generation, file_name
from ..._taps import tap_link
from ..clone.model import DiskCopy, Names
from ..clone.record import cloned_record
from ..model.host_facts import Folders
from ..model.overlays import made_path
from ..model.override_text import MARKER, with_passwords
from ..model.spec import CONTEXT, SEED, Record, record_from_json, stable_mac
from ..model.vnc import LOOPBACK
from ..options.values import DEVICE_NAME
from .model import OPTION, origin_of

TARGET = re.compile(r"[a-z]{3,8}")
PASSWORD_BYTES = 6  # eight characters, all that VNC takes


def record_of(generation: Generation) -> Record:
    """Return the record in a generation; raise Refused where it has none, Corrupt where its disks are not those of the point."""
    found = record_from_json(json.dumps(generation.spec))
    if found is None:
        raise Refused(
            f"{OPTION}: {generation.name} of {generation.vm.name} does not say what the VM is, only what is on its disks; restore "
            "these with edge-host point restore, and make a domain of them.",
            option=OPTION,
            value=generation.name,
        )
    wrong = [disk.target for disk in found.spec.disks if not TARGET.fullmatch(disk.target)]
    if wrong:
        raise Corrupt(f"{OPTION}: {generation.name} has a disk at {wrong[0]!r:.60}, which is no device of a guest.", option=OPTION)
    unknown = {disk.target for disk in generation.disks} - {disk.target for disk in found.spec.disks}
    if unknown:
        raise Corrupt(
            f"{OPTION}: {generation.name} has disks that its VM does not have: {', '.join(sorted(unknown))}.", option=OPTION
        )
    return found


@dataclass(frozen=True)
class Target:
    """The VM that a point becomes, with the folder of its files."""

    name: str
    uuid: str
    home: str


def names_of(generation: Generation, record: Record, folders: Folders, target: Target) -> Names:
    """Return what is another in the restored VM; one of its own UUID keeps its addresses."""
    spec, name, uuid, home = record.spec, target.name, target.uuid, target.home
    same = uuid == generation.vm.uuid
    disks = {one.target: one for one in spec.disks}
    copies = {}
    for point in generation.disks:
        had, image = disks[point.target], f"{folders.images}/{file_name(point.image)}.qcow2" if point.image else None
        called = had.name if DEVICE_NAME.fullmatch(had.name) else had.target
        path = made_path(home, called, "qcow2")
        size = sum(delta.size for delta in point.chain)
        copies[point.target] = DiskCopy(
            point.target, called, (had.path,), had.path, "qcow2", path, point.virtual_size, size, image
        )  # fmt: skip
    macs = {} if same else {nic.mac.lower(): stable_mac(name, nic.name) for nic in spec.nics if nic.mac}
    taps = {nic.tap: nic.tap if same else tap_link(uuid, nic.name) for nic in spec.nics if nic.tap}
    nvram = f"{home}/nvram.fd" if spec.nvram else None
    return Names(spec.name, name, uuid, folders.vm(spec.name), home, copies, macs, nvram, taps)


def restored_record(record: Record, names: Names, generation: Generation, seeds: tuple[str | None, str | None]) -> Record:
    """Return the record of the restored VM; ``seeds`` are the digests of its seed and of its context disk."""
    found = cloned_record(record, names, seeds)
    spec = found.spec if names.uuid != generation.vm.uuid else replace(found.spec, nics=record.spec.nics)
    return replace(found, spec=spec, cloned_from=record.cloned_from, restored_from=origin_of(generation))


def with_secrets(record: Record, now: Record | None, passwords: Iterable[tuple[str, str]] = ()) -> tuple[Record, list[str]]:
    """Return the record with passwords, which no point has, and warnings about those that are random since nothing has them.

    ``now`` is the record of the VM that is there, ``passwords`` those of its override by their markers.
    """
    spec, warnings = record.spec, []
    if spec.vnc and now is not None and now.spec.vnc_password:
        spec = replace(spec, vnc_password=now.spec.vnc_password)
    elif spec.vnc and spec.vnc_listen != LOOPBACK:
        spec = replace(spec, vnc_password=secrets.token_urlsafe(PASSWORD_BYTES))
        warnings.append(_warning("VNC display"))
    if spec.xml_override and MARKER in spec.xml_override:
        known = dict(passwords)
        lost = [one for one in re.findall(rf"{MARKER}\d+", spec.xml_override) if one not in known]
        random = {one: secrets.token_urlsafe(PASSWORD_BYTES) for one in lost}
        spec = replace(spec, xml_override=with_passwords(spec.xml_override, {**known, **random}))
        warnings += [_warning("xml_override")] if lost else []
    return replace(record, spec=spec), warnings


def _warning(what: str) -> str:
    return (
        f"Passwords are in no recovery point: that of the {what} is a random one now, which nothing shows. Set it with "
        "edge.cloud.domain."
    )


def shared_disks(record: Record, generation: Generation) -> list[str]:
    """Return the disks that the point left out and the guest can write, by their targets: two VMs would write them."""
    kept = {disk.target for disk in generation.disks}
    return [
        disk.target
        for disk in record.spec.disks
        if disk.target not in kept
        and disk.name not in (SEED, CONTEXT)
        and not disk.read_only
        and disk.device == "disk"
        and (disk.path or disk.source or disk.other)
    ]
