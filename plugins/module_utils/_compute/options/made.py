# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file a disk has that is made here: DISK.qcow2, or DISK.raw where ``disks[].format`` says raw, and never both."""

from __future__ import annotations

from collections.abc import Mapping

from ..._errors import Conflict, Refused
from ..model.overlays import MADE_FORMATS, made_path
from ..model.request import DiskOptions
from ..model.spec import Disk


def own_path(item: DiskOptions, old: Disk | None, home: str, kept: Mapping[str, str | None]) -> str:
    """Return the file of a disk that is not given by ``path``; ``kept`` are files in ``home`` and their formats on record.

    Raise Refused where the disk has another format, Conflict where a new one would hide what an earlier domain left of it.
    """
    paths = {one: made_path(home, item.name, one) for one in MADE_FORMATS}
    if old and old.path in paths.values():
        _check_same(item, old)
        return old.path
    if old and not (item.image or item.size):
        return old.path
    form = item.format or "qcow2"
    if item.image or item.size:
        _check_kept(item, form, {one: path for one, path in paths.items() if path in kept}, kept)
    return paths[form]


def _check_same(item: DiskOptions, old: Disk) -> None:
    if item.format not in (None, old.format):
        raise Refused(
            f"{item.where}.format: disk {item.name} is {old.format} ({old.path}), {item.format} was asked; a disk never changes "
            "its format. Leave it out, or make another disk.",
            option=f"{item.where}.format",
            value=item.format,
            found=old.format,
        )


def _check_kept(item: DiskOptions, form: str, there: Mapping[str, str], kept: Mapping[str, str | None]) -> None:
    found = " and ".join(there.values())
    if len(there) > 1:
        raise _conflict(item, f"{found} are both there, and either may have the disk's data; move the wrong one away.")
    for other, path in there.items():
        if other != form:
            asked = f"{item.format} was" if item.format else "no format was"
            raise _conflict(
                item,
                f"{path} is there, and {asked} asked: a new empty disk would hide it. Give format: {other} to have it as the disk, "
                "or move it away.",
            )
        if kept[path] not in (None, form):
            raise _conflict(
                item,
                f"{path} is on record as {kept[path]}, whatever its name says. Give it with path and format: {kept[path]}, or move "
                "it away.",
            )


def _conflict(item: DiskOptions, why: str) -> Conflict:
    return Conflict(f"{item.where}: {why}", option=item.where, value=item.name)
