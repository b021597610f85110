# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a restore: its files first, its definition then, and what was there before is set aside last. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from ..._sizes import show_size
from ..clone.model import DiskCopy
from ..domain.plan import BuildSeed, PullImage
from ..model.host_facts import VolumeFile
from ..model.remote_image import RemoteImage
from ..model.spec import DomainSpec, Foreign, Record
from ..model.state import VmState


@dataclass(frozen=True)
class RestoreDisk:
    """Write a disk of the point, and compare it with the point."""

    copy: DiskCopy

    @property
    def sentence(self) -> str:
        """See Step."""
        copy = self.copy
        how = f", an overlay of {copy.image}" if copy.image else ""
        return f"Restore disk {copy.target} to {copy.path} ({show_size(copy.size)}{how}) and compare it"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        made = VolumeFile(self.copy.path, "qcow2", self.copy.size, self.copy.image)
        others = tuple(one for one in state.volumes if one.path != made.path)
        return replace(state, volumes=(*others, made), folder=tuple(sorted({*state.folder, made.path})))


@dataclass(frozen=True)
class LayOverPoint:
    """Make an empty overlay of a disk of the point where that is; ``edge-arrive`` moves it here."""

    copy: DiskCopy
    path: str
    remote: RemoteImage

    @property
    def sentence(self) -> str:
        """See Step."""
        size = show_size(self.copy.size)
        return (
            f"Create {self.path} ({size}) over disk {self.copy.target} of the point, read from {self.remote.url} until it is here"
        )

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        made = VolumeFile(self.path, "qcow2", self.copy.size, self.remote.backing)
        others = tuple(one for one in state.volumes if one.path != made.path)
        return replace(state, volumes=(*others, made), folder=tuple(sorted({*state.folder, made.path})))


@dataclass(frozen=True)
class RestoreFile:
    """Write a file of the point that is not a disk, as it was; ``digest`` is that of a seed's content."""

    what: str
    path: str
    digest: str | None = None

    @property
    def sentence(self) -> str:
        """See Step."""
        kinds = {"nvram": "the firmware's variables", "seed": "the cloud-init seed", "context": "the context disk"}
        return f"Restore {kinds[self.what]} to {self.path}" if self.what in kinds else "Restore the state of the TPM"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        if self.what == "tpm":
            return state
        state = replace(state, folder=tuple(sorted({*state.folder, self.path})))
        return {"seed": replace(state, seed=self.digest), "context": replace(state, context=self.digest)}.get(self.what, state)


@dataclass(frozen=True)
class DefineRestored:
    """Let libvirt have the restored VM in place of the one that is there, or beside all others; from here on it is that one."""

    what: str
    spec: DomainSpec
    foreign: Foreign
    record: Record | None
    seeds: tuple[str | None, str | None] = (None, None)

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Define domain {self.spec.name}, {self.what}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        state = replace(state, seed=self.seeds[0], context=self.seeds[1])
        return replace(state, config=self.spec, foreign=self.foreign, record=self.record, marked=True)


@dataclass(frozen=True)
class SetAside:
    """Keep the files of the VM as it was, under another name; ``restored`` are those that take their place."""

    home: str
    aside: str
    restored: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Set {self.home} with the files of the VM as it was aside, as {self.aside}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        gone = {path for path in state.folder if path not in self.restored}
        volumes = tuple(one for one in state.volumes if one.path not in gone)
        return replace(state, volumes=volumes, folder=tuple(path for path in state.folder if path not in gone))


@dataclass(frozen=True)
class PutInPlace:
    """Let the restored VM have its own folder."""

    home: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Let {PurePosixPath(self.home).name} have its restored files in {self.home}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return state


Step: TypeAlias = "PullImage | RestoreDisk | LayOverPoint | RestoreFile | BuildSeed | DefineRestored | SetAside | PutInPlace"
