# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps to a clone: its disks, the variables of its firmware, its seeds, and its definition last. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..._sizes import show_size
from ..domain.plan import BuildSeed
from ..model.host_facts import VolumeFile
from ..model.spec import DomainSpec, Foreign, Record
from ..model.state import VmState
from .model import DiskCopy


@dataclass(frozen=True)
class CopyDisk:
    """Copy a disk of the source; its file is not written meanwhile."""

    copy: DiskCopy

    @property
    def sentence(self) -> str:
        """See Step."""
        copy = self.copy
        how = f", an overlay of {copy.image}" if copy.image else ", from all files of its chain" if copy.flat else ""
        return f"Copy {copy.source} to {copy.path} ({show_size(copy.size)}{how})"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        made = VolumeFile(self.copy.path, self.copy.made_format, self.copy.size, self.copy.image)
        return replace(state, volumes=(*state.volumes, made), folder=tuple(sorted({*state.folder, made.path})))


@dataclass(frozen=True)
class CopyVariables:
    """Copy the variables of the source's firmware."""

    source: str
    path: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Copy the firmware's variables {self.source} to {self.path}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, folder=tuple(sorted({*state.folder, self.path})))


@dataclass(frozen=True)
class DefineClone:
    """Write the persistent configuration of the clone; ``foreign`` are the devices that no option has named."""

    source: str
    spec: DomainSpec
    foreign: Foreign
    record: Record | None

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Define domain {self.spec.name}, a clone of {self.source}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, config=self.spec, foreign=self.foreign, record=self.record, marked=True)


Step: TypeAlias = "CopyDisk | CopyVariables | BuildSeed | DefineClone"
