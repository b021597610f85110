# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses to make a VM that is on another hypervisor, or was moved to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from ..._errors import Conflict, Refused
from ..model.elsewhere import Moved, Sighting


def check_elsewhere(name: str, uuid: str, marks: Iterable[Moved], sightings: Iterable[Sighting], allow_recreate: bool) -> None:
    """Raise Conflict where a hypervisor has a VM of this UUID, or of this name, and Refused where a mark says that it moved away.

    ``allow_recreate`` is the word that the VM which moved does not exist any more. It never allows a UUID twice.
    """
    for one in sightings:
        if one.uuid == uuid or (one.name == name and not allow_recreate):
            raise Conflict(
                f"name: {one.host} has domain {one.name} (UUID {one.uuid}), so {name} is not made here a second time. Run the task "
                f"on {one.host}, or move it here (edge.cloud.domain_migration on {one.host}); a VM that is another one "
                "needs another name and UUID.",
                option="name",
                value=name,
                host=one.host,
            )
    for mark in marks:
        if not allow_recreate and (mark.uuid == uuid or mark.name == name):
            raise Refused(
                f"name: domain {mark.name or name} (UUID {mark.uuid}) moved from this host to {mark.destination} on {mark.when}, "
                f"so it is not made here a second time. Run the task on {mark.destination}, or move it back "
                f"(edge.cloud.domain_migration on {mark.destination}). If it was removed there and is to be made "
                "again here, set allow_recreate.",
                option="name",
                value=name,
                host=mark.destination,
            )


MADE_ANEW = ("seed.iso", "context.iso", "console.log")


def check_kept(name: str, uuid: str, marks: Iterable[Moved], folder: Iterable[str]) -> None:
    """Raise Refused where the VM to make moved away and its ``folder`` has files that its guest wrote, from before that."""
    kept = [path for path in folder if PurePosixPath(path).name not in MADE_ANEW]
    for mark in marks:
        if kept and (mark.uuid == uuid or mark.name == name):
            raise Refused(
                f"allow_recreate: domain {mark.name or name} (UUID {mark.uuid}) moved from this host to {mark.destination} on "
                f"{mark.when}, and files of it are here: {', '.join(kept)}. It would be made from these and not from its images; "
                "the migration kept them (keep_source), and they are stale. Delete them, or move them away, and run again.",
                option="allow_recreate",
                value=True,
                files=kept,
            )
