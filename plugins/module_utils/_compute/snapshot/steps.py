# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that take, remove and revert snapshots, each safe to be the last one that happened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..._plan import Step as AnyStep
from ..model.host_facts import VolumeFile
from .index import Paths, SnapshotIndex
from .state import SnapshotState

MEMORY = "memory"
Step: TypeAlias = AnyStep[SnapshotState]


@dataclass(frozen=True)
class Note:
    """Write the index, durably and at once."""

    index: SnapshotIndex
    sentence: str

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        return replace(state, index=self.index)


@dataclass(frozen=True)
class MakeOverlay:
    """Make an empty overlay over a file; it is not in use yet."""

    path: str
    below: VolumeFile

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Create {self.path} over {self.below.path}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        made = VolumeFile(self.path, "qcow2", self.below.size, self.below.path)
        return replace(state, files=tuple(sorted((*state.files, made), key=lambda one: one.path)))


@dataclass(frozen=True)
class SwitchLive:
    """Let a running guest write to new overlays, all disks at one instant; ``memory`` is a file for the guest's memory."""

    domain: str
    overlays: Paths
    memory: str | None = None
    quiesce: str = "never"

    @property
    def sentence(self) -> str:
        """See Step."""
        how = (
            " with its memory"
            if self.memory
            else " after the guest agent froze its file systems"
            if self.quiesce != "never"
            else ""
        )
        return f"Let domain {self.domain} write to {', '.join(path for _disk, path in self.overlays)}{how}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        saved = (VolumeFile(self.memory, MEMORY, 0),) if self.memory else ()
        files = tuple(sorted((*state.files, *saved), key=lambda one: one.path))
        return replace(state.switched(self.overlays), files=files)


@dataclass(frozen=True)
class Switch:
    """Name other active files in the persistent configuration."""

    domain: str
    overlays: Paths

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Redefine domain {self.domain} with {', '.join(path for _disk, path in self.overlays)}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        return state.switched(self.overlays)


@dataclass(frozen=True)
class PowerOff:
    """Stop a guest at once; its disks stay as they are at that moment."""

    domain: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Power off domain {self.domain}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        return replace(state, run="stopped")


@dataclass(frozen=True)
class Boot:
    """Start a stopped guest; with ``memory`` it goes on where it was, ``paused`` leaves it still."""

    domain: str
    memory: str | None = None
    paused: bool = False

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Start domain {self.domain}" + (f" from {self.memory}" if self.memory else "")

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        return replace(state, run="paused" if self.paused else "running")


@dataclass(frozen=True)
class Commit:
    """Bring the data of ``top`` down into ``base``, the file below it; what stood on ``top`` stands on ``base`` afterwards."""

    disk: str
    top: str
    base: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Commit {self.top} into {self.base}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        top = state.file(self.top)
        size = top.size if top else 0

        def file(one: VolumeFile) -> VolumeFile:
            if one.path == self.base:
                return replace(one, size=max(one.size, size))
            return replace(one, backing=self.base) if one.backing == self.top else one

        moved = state.switched(((self.disk, self.base),)) if state.active.get(self.disk) == self.top else state
        return replace(moved, files=tuple(file(one) for one in state.files))


@dataclass(frozen=True)
class Drop:
    """Delete a file of ours that nothing uses any more."""

    path: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Delete {self.path}"

    def predict(self, state: SnapshotState) -> SnapshotState:
        """See Step."""
        return replace(state, files=tuple(one for one in state.files if one.path != self.path))
