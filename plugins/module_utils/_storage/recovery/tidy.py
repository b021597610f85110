# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of generations kept in order: old ones dropped, chains merged, then the files removed that no document needs.

Where any document of a VM cannot be read, none of its files is removed: that document may need it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ... import _files
from ..._errors import Busy, Corrupt, EdgeError, NotFound
from ..._generation import file_name
from ..._recovery_policy import LEAST_KEPT
from ..format.qemu_img import QemuImg
from ..store.store import Store
from .depot import FILES, Depot, Listed
from .holding import hold_images, images_of
from .merge import MADE, Merger
from .merge_plan import Limits, Run, kept_of, outdated, reclaimable, too_long

Old = tuple[int, str, str]  # the bytes of a VM, its UUID, and the name of its oldest generation


@dataclass
class Report:
    """What was done: generations dropped, merges, files removed and their bytes; and what was not, with the reasons."""

    dropped: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    bytes_freed: int = 0
    doubts: list[str] = field(default_factory=list)
    over_quota: int = 0

    def shown(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**vars(self), "changed": bool(self.dropped or self.merged or self.removed)}


@dataclass(frozen=True)
class Tidying:
    """Keeps a depot within its limits; VMs that another process changes are left for the next run."""

    depot: Depot
    qemu: QemuImg
    limits: Limits
    images: Store | None = None

    def run(self) -> Report:
        """Keep every VM's generations in order, then all within the quota."""
        report = Report()
        for uuid in self.depot.vms():
            self._order(uuid, report)
        if self.limits.quota is not None:
            self._shrink(self.limits.quota, self._oldest, report)
        report.doubts = list(dict.fromkeys(report.doubts))
        return report

    def make_room(self, uuid: str, needed: int) -> Report:
        """Drop the oldest generations until ``needed`` more bytes of a VM are within the quota; none where that cannot be.

        They go from VMs that take no less than this one would: who claims more than there is costs no smaller VM its generations.
        """
        report, quota = Report(), (self.limits.quota or 0) - needed
        free = sum(self.depot.bytes_of(one) for one in {one for _size, one, _name in self._old_beside(uuid, needed)})
        if self.depot.bytes_used - free <= quota:
            self._shrink(quota, lambda: max(self._old_beside(uuid, needed), default=None), report)
        return report

    def _order(self, uuid: str, report: Report) -> None:
        def work_on(work: Path) -> None:
            listed = self.depot.listed(uuid)
            self._drop(uuid, [one.name for one in outdated(listed, kept_of(listed, self.limits.keep))], report)
            self._merge_all(uuid, partial(too_long, longest=self.limits.longest), work, report)
            self._collect(uuid, report)
            hold_images(self.depot, self.qemu, self.images, self.depot.listed(uuid).generations, work)

        self._when_free(uuid, report, work_on)

    def _when_free(self, uuid: str, report: Report, work_on: Callable[[Path], None]) -> None:
        """Work on a VM's generations unless another process does; then the report says so, and the next run does it."""
        try:
            with self.depot.changing(uuid, wait=False) as work:
                work_on(work)
        except (Busy, OSError) as error:
            report.doubts.append(f"{uuid} was left alone: {error}")

    def _drop(self, uuid: str, generations: list[str], report: Report) -> None:
        """Remove documents; what they need stays until a collection."""
        for name in generations:
            self.depot.document(uuid, name).unlink(missing_ok=True)
            report.dropped.append(f"{uuid} {name}")
        if generations:
            _files.fsync(self.depot.folder(uuid))

    def _merge_all(self, uuid: str, choose: Callable[..., Run | None], work: Path, report: Report) -> None:
        """Merge what ``choose`` says until there is no more; a run that fails stays as it is, and the report says why.

        A damaged delta spoils only the runs that it is in; any other failure, such as a full disk, ends the work on this VM.
        """
        failed: list[Run] = []
        while run := choose(self.depot.listed(uuid), failed=failed):
            try:
                merged = Merger(self.depot, self.qemu, self.images).merge(uuid, run, self.depot.listed(uuid), work)
            except (EdgeError, OSError) as error:
                report.doubts.append(f"{uuid} {run.target} was not merged: {error}")
                if not isinstance(error, Corrupt):
                    break
                failed.append(run)
                (work / MADE).unlink(missing_ok=True)
            else:
                report.merged.append(f"{uuid} {run.target} {merged.of[0]}-{merged.of[1]}")

    def _collect(self, uuid: str, report: Report) -> None:
        """Remove the files and image marks that no document needs, unless one cannot be read.

        What a killed run did to documents is made durable first: none comes back after a power cut without its files.
        """
        _files.fsync(self.depot.folder(uuid))
        listed = self.depot.listed(uuid)
        if listed.unreadable:
            bad = "; ".join(f"{one.name}: {one.why}" for one in listed.unreadable)
            report.doubts.append(f"{uuid}: no file is removed while a document cannot be read ({bad})")
            return
        needed = {file_name(file.digest) for one in listed.generations for file in one.needs}
        for path in sorted(self.depot.files(uuid).iterdir()):
            if path.name not in needed and path.is_file():
                self._remove(uuid, path, report)
        _files.fsync(self.depot.files(uuid))
        images = {f"{file_name(digest)}.image" for digest in images_of(listed.generations)}
        for mark in self.depot.folder(uuid).glob("*.image"):
            if mark.name not in images:
                mark.unlink(missing_ok=True)

    def _remove(self, uuid: str, path: Path, report: Report) -> None:
        """Remove one file, unless somebody reads it."""
        with suppress(NotFound):
            try:
                with _files.file_lock(path, shared=False, wait=False):
                    if _files.open_in_qemu(path):
                        report.doubts.append(f"{uuid}: {FILES}/{path.name} stays: a QEMU program has it open.")
                        return
                    size = path.stat().st_size
                    path.unlink()
            except Busy as error:
                report.doubts.append(f"{uuid}: {FILES}/{path.name} stays: {error.message}")
                return
            report.removed.append(f"{uuid} {path.name}")
            report.bytes_freed += size

    def _shrink(self, quota: int, choose: Callable[[], Old | None], report: Report) -> None:
        """Merge what no generation needs apart, then drop the oldest of the VM that takes most, until all fits."""
        for uuid in self.depot.vms():
            if self.depot.bytes_used <= quota:
                break
            self._reclaim(uuid, report)
        before = self.depot.bytes_used
        while before > quota and (oldest := choose()):
            _size, uuid, name = oldest
            self._when_free(uuid, report, partial(self._drop_one, uuid, name, report))
            self._reclaim(uuid, report)
            if (now := self.depot.bytes_used) >= before:  # another process has the VM, or reads its files
                break
            before = now
        report.over_quota = max(0, self.depot.bytes_used - quota)

    def _drop_one(self, uuid: str, name: str, report: Report, _work: Path) -> None:
        self._drop(uuid, [name], report)

    def _reclaim(self, uuid: str, report: Report) -> None:
        def work_on(work: Path) -> None:
            self._merge_all(uuid, reclaimable, work, report)
            self._collect(uuid, report)

        self._when_free(uuid, report, work_on)

    def _oldest(self) -> Old | None:
        """Return the oldest generation that may go of the VM that takes most; None where each VM has the least."""
        return max(self._old(), default=None)

    def _old_beside(self, uuid: str, needed: int) -> list[Old]:
        """Return the generations that may go for ``needed`` more bytes of a VM, which count as if it took them."""
        most = self.depot.bytes_of(uuid) + needed
        return [(most if one == uuid else size, one, name) for size, one, name in self._old() if one == uuid or size >= most]

    def _old(self) -> list[Old]:
        """Return the oldest generation that may go of each VM; none where a document cannot be read: that would free nothing."""
        found: list[Old] = []
        for uuid in self.depot.vms():
            listed: Listed = self.depot.listed(uuid)
            old = [] if listed.unreadable else outdated(listed, max(LEAST_KEPT, len(listed.whole) - 1))
            found += [(self.depot.bytes_of(uuid), uuid, one.name) for one in old[:1]]
        return found
