# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM's disk file, a qcow2 that may change: the request, and the steps from its present state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..._errors import Busy, InvalidInput, Refused
from ..._plan import Plan, Step
from ..._sizes import OVERLAY_CLUSTER

CLUSTER_SIZE = 65536
CLUSTER_SIZES = tuple(1 << bits for bits in range(9, 22))


@dataclass(frozen=True)
class Base:
    """A file that a disk begins from: its backing image, or the source that it is a copy of; sizes in bytes."""

    path: str
    format: str
    virtual_size: int


@dataclass(frozen=True)
class Disk:
    """A qcow2 file as it is; sizes in bytes, ``backing_file`` an absolute path."""

    path: str
    virtual_size: int
    backing_file: str | None = None
    backing_format: str | None = None
    cluster_size: int = CLUSTER_SIZE
    in_use: bool = False
    corruptions: int = 0
    leaks: int = 0


@dataclass(frozen=True)
class Creation:
    """What counts only when the file is created; later runs do not change it."""

    source: Base | None = None
    compress: bool = False
    cluster_size: int | None = None
    preallocation: str | None = None


def cluster_size(value: int) -> int:
    """Return the cluster size if qcow2 supports it, or raise InvalidInput."""
    if value not in CLUSTER_SIZES:
        raise InvalidInput(
            f"cluster_size: {value} is not a power of two from 512 to 2M (2097152).", option="cluster_size", value=value
        )
    return value


@dataclass(frozen=True)
class DiskRequest:
    """A request for a disk; None leaves a field alone, ``standalone`` asks for a disk without a backing image."""

    path: str
    size: int | None = None
    backing: Base | None = None
    standalone: bool = False
    creation: Creation = Creation()
    allow_shrink: bool = False
    unsafe_rebase: bool = False
    repair: str | None = None


@dataclass(frozen=True)
class CreateDisk:
    """Create an empty disk or an overlay."""

    path: str
    size: int
    backing: Base | None
    creation: Creation

    @property
    def sentence(self) -> str:
        """See Step."""
        over = f" over {self.backing.path}" if self.backing else ""
        return f"Create {self.path} with {self.size} bytes{over}."

    def predict(self, _state: Disk | None) -> Disk | None:
        """See Step."""
        base = self.backing
        cluster = self.creation.cluster_size or (OVERLAY_CLUSTER if base else CLUSTER_SIZE)
        return Disk(self.path, self.size, base.path if base else None, base.format if base else None, cluster)


@dataclass(frozen=True)
class ConvertDisk:
    """Create a standalone disk from another image."""

    path: str
    source: Base
    creation: Creation

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Convert {self.source.path} ({self.source.format}) to {self.path}."

    def predict(self, _state: Disk | None) -> Disk | None:
        """See Step."""
        return Disk(self.path, self.source.virtual_size, cluster_size=self.creation.cluster_size or CLUSTER_SIZE)


@dataclass(frozen=True)
class ResizeDisk:
    """Set the virtual size."""

    path: str
    old: int
    new: int

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"{'Grow' if self.new > self.old else 'Shrink'} {self.path} from {self.old} to {self.new} bytes."

    def predict(self, state: Disk | None) -> Disk | None:
        """See Step."""
        return replace(state, virtual_size=self.new) if state else None


@dataclass(frozen=True)
class RebaseDisk:
    """Set the backing image; None makes the disk standalone."""

    path: str
    backing: Base | None
    unsafe: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        what = f"Rebase {self.path} onto {self.backing.path}" if self.backing else f"Make {self.path} standalone"
        return f"{what}{' by name alone' if self.unsafe else ''}."

    def predict(self, state: Disk | None) -> Disk | None:
        """See Step."""
        named = (self.backing.path, self.backing.format) if self.backing else (None, None)
        return replace(state, backing_file=named[0], backing_format=named[1]) if state else None


@dataclass(frozen=True)
class RepairDisk:
    """Repair what a check found."""

    path: str
    what: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Repair {self.path} ({self.what})."

    def predict(self, state: Disk | None) -> Disk | None:
        """See Step."""
        left = 0 if self.what == "all" else state.corruptions if state else 0
        return replace(state, leaks=0, corruptions=left) if state else None


@dataclass(frozen=True)
class RemoveDisk:
    """Remove the file."""

    path: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove {self.path}."

    def predict(self, _state: Disk | None) -> Disk | None:
        """See Step."""
        return None


def view(state: Disk | None) -> Mapping[str, Any]:
    """Return the fields that we own."""
    if state is None:
        return {}
    keys = ("path", "virtual_size", "backing_file", "backing_format", "cluster_size", "corruptions", "leaks")
    return {key: getattr(state, key) for key in keys}


def plan_present(state: Disk | None, wanted: DiskRequest) -> Plan[Disk | None]:
    """Return the steps to the requested disk; raise InvalidInput, Refused or Busy if they may not be taken."""
    if wanted.backing and wanted.size is not None and wanted.size < wanted.backing.virtual_size:
        raise InvalidInput(
            f"size: {wanted.size} of {wanted.path} is smaller than its backing image {wanted.backing.path} "
            f"({wanted.backing.virtual_size} bytes); the end of the image would be cut off. Give at least that size.",
            option="size",
            path=wanted.path,
        )
    if state is None:
        return Plan(None, _creation(wanted))
    steps = (*_repair(state, wanted), *_rebase(state, wanted), *_resize(state.virtual_size, wanted))
    _require_at_rest(state, steps)
    return Plan(state, steps)


def plan_absent(state: Disk | None) -> Plan[Disk | None]:
    """Return the steps that remove the disk."""
    steps: tuple[Step[Disk | None], ...] = (RemoveDisk(state.path),) if state else ()
    _require_at_rest(state, steps)
    return Plan(state, steps)


def _require_at_rest(state: Disk | None, steps: tuple[Step[Disk | None], ...]) -> None:
    if state and state.in_use and steps:
        first = steps[0].sentence
        raise Busy(f"{state.path} is in use by another process, likely a VM; stop that first. Not done: {first}", path=state.path)


def _creation(wanted: DiskRequest) -> tuple[Step[Disk | None], ...]:
    creation = wanted.creation
    if creation.source:
        convert = ConvertDisk(wanted.path, creation.source, creation)
        return (convert, *_resize(creation.source.virtual_size, wanted))
    size = wanted.size or (wanted.backing.virtual_size if wanted.backing else None)
    if size is None:
        raise InvalidInput(
            f"size: {wanted.path} does not exist; give size, backing_image or source to create it.", option="size", path=wanted.path
        )
    return (CreateDisk(wanted.path, size, wanted.backing, creation),)


def _repair(state: Disk, wanted: DiskRequest) -> tuple[Step[Disk | None], ...]:
    harmed = state.leaks or (state.corruptions and wanted.repair == "all")
    return (RepairDisk(state.path, wanted.repair),) if wanted.repair and harmed else ()


def _rebase(state: Disk, wanted: DiskRequest) -> tuple[Step[Disk | None], ...]:
    if wanted.standalone and state.backing_file is not None:
        return (RebaseDisk(state.path, None, wanted.unsafe_rebase),)
    base = wanted.backing
    if base and (base.path, base.format) != (state.backing_file, state.backing_format):
        return (RebaseDisk(state.path, base, wanted.unsafe_rebase),)
    return ()


def _resize(size: int, wanted: DiskRequest) -> tuple[Step[Disk | None], ...]:
    if wanted.size in (None, size):
        return ()
    new = int(wanted.size or 0)
    if new < size and not wanted.allow_shrink:
        raise Refused(
            f"size: {wanted.path} has {size} bytes and {new} were asked for; shrinking loses what lies beyond. Set allow_shrink "
            "if the guest's file systems are shrunk already.",
            option="size",
            path=wanted.path,
        )
    return (ResizeDisk(wanted.path, size, new),)


Change: TypeAlias = "CreateDisk | ConvertDisk | ResizeDisk | RebaseDisk | RepairDisk | RemoveDisk"
