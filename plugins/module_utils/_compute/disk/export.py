# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides the step that copies a disk, as it is at one instant, to a standalone file. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..._errors import Conflict
from ..._plan import Plan
from ..model.host_facts import VolumeFile


@dataclass(frozen=True)
class ExportState:
    """The file that a disk is exported to: ``found`` is None where it does not exist."""

    dest: str
    found: VolumeFile | None = None


@dataclass(frozen=True)
class Export:
    """Copy a disk to ``dest``; ``target`` is its device name, ``live`` where the guest runs on.

    ``quiesce`` is never, auto or required.
    """

    domain: str
    disk: str
    target: str
    source: VolumeFile
    dest: str
    live: bool
    quiesce: str = "never"
    compress: bool = False

    @property
    def sentence(self) -> str:
        """See Step."""
        how = " while it runs" if self.live else ""
        how += ", after the guest agent froze its file systems" if self.quiesce != "never" else ""
        return f"Copy disk {self.disk} of domain {self.domain} to {self.dest}{how}"

    def predict(self, state: ExportState) -> ExportState:
        """See Step."""
        return replace(state, found=VolumeFile(self.dest, "qcow2", self.source.size))


def plan_export(state: ExportState, wanted: Export) -> Plan[ExportState]:
    """Return the step to the exported file, none where it is there; raise Conflict where something else is."""
    found = state.found
    if found is None:
        return Plan(state, (wanted,))
    if (found.format, found.size, found.backing) != ("qcow2", wanted.source.size, None):
        stands = f" over {found.backing}" if found.backing else ""
        raise Conflict(
            f"dest: {found.path} exists and is not a copy of disk {wanted.disk} ({found.format}{stands}, {found.size} bytes, the "
            f"disk has {wanted.source.size}); it was left alone. Name another file, or remove it first.",
            option="dest",
            value=found.path,
        )
    return Plan(state)


def export_view(state: ExportState) -> dict[str, Any]:
    """Return what diffs are made of, and what a module returns."""
    if state.found is None:
        return {}
    return {"path": state.found.path, "format": state.found.format, "virtual_size": state.found.size}
