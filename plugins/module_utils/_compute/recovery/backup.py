# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of a running guest's disks at one instant: what changed since a checkpoint, or a view of all for a comparison.

Both begin a new checkpoint at that same instant. QEMU writes to local files alone: what the guest waits for is never a network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from ..._errors import Busy, EdgeError, NoSpace, TimedOut
from ..._files import RESERVE, free_bytes
from ..._libvirt import intent, libvirt
from ..._sizes import MIB
from ..._space import Space
from ..host.events import Waiter
from ..job.backup_job import PushBackup
from ..job.block_job import LOOK_AGAIN
from ..job.point_job import has_point_job
from ..job.quiesce import frozen
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path
from .checkpoints import Checkpoints

Guard = Callable[[], None]
AHEAD, TABLES = 512 * MIB, MIB  # what a guest overwrites between two looks, and a new file's own tables
REUSE = libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL if libvirt else 0


@dataclass
class PointBackup(PushBackup):
    """Copies disks of one domain into files that are there; ``guard`` raises where a copy that goes on must be ended."""

    guard: Guard = field(default=lambda: None)

    @contextmanager
    def heard(self) -> Iterator[Waiter]:
        """Give a waiter for the end of the job; enter it before the job begins."""
        self._ended = {}
        with self._events() as waiter:
            yield waiter

    def begin_changes(self, files: Mapping[str, Path], since: str, new: str, quiesce: str) -> bool:
        """Begin to copy what changed since a checkpoint; return whether the guest's file systems were frozen for the instant."""
        root = Element("domainbackup", {"mode": "push"})
        SubElement(root, "incremental").text = since
        self._add_disks(root, files, "target")
        return self._begin(root, files, new, quiesce)

    def begin_view(self, files: Mapping[str, Path], socket: Path, new: str, quiesce: str) -> bool:
        """Let an NBD server at ``socket`` give the disks as they are now; ``files`` take what the guest overwrites meanwhile."""
        root = Element("domainbackup", {"mode": "pull"})
        SubElement(root, "server", {"transport": "unix", "socket": str(socket)})
        self._add_disks(root, files, "scratch")
        return self._begin(root, files, new, quiesce)

    def _add_disks(self, root: Element, files: Mapping[str, Path], kind: str) -> None:
        disks = SubElement(root, "disks")
        with intent(f"read domain {self._name}"):
            tree = parse_xml(self.domain.XMLDesc())
        for target in (read_path(disk, "target@dev") or "" for disk in tree.iterfind("devices/disk")):
            mine = target in files
            element = SubElement(disks, "disk", {"name": target, "backup": "yes" if mine else "no"})
            if mine:
                element.set("type", "file")
                SubElement(element, "driver", {"type": "qcow2"})
                SubElement(element, kind, {"file": str(files[target])})

    def _begin(self, root: Element, targets: Iterable[str], new: str, quiesce: str) -> bool:
        self._wait_until_known()
        if not self._is_over():
            raise Busy(
                f"name: libvirt has another job on domain {self._name} now (a backup, migration or save); the point is made when "
                "it has ended: run again.",
                option="name",
                value=self._name,
            )
        checkpoint = Checkpoints(self.domain).xml(new, targets)
        with (
            frozen(self.domain, self.marker, quiesce) as quiesced,
            intent(f"begin a recovery point of domain {self._name}"),
        ):
            self.domain.backupBegin(to_text(root), checkpoint, REUSE)
        for target in targets:
            self._slow_down(target)
        return quiesced

    def total(self) -> int:
        """Return how many bytes the job has to copy; 0 where it has ended."""
        with intent(f"read the job of domain {self._name}"):
            return int(self.domain.jobStats().get("disk_total", 0))

    def wait(self, waiter: Waiter) -> None:
        """Return once all is copied; raise Busy where another task ended the job, with the guest running on in any case."""

        def over() -> bool:
            self.guard()
            return self._is_over()

        with self._ending():
            if not waiter.until(over, self.limits.timeout, LOOK_AGAIN):
                raise self._late()
        found = self._ended or self.domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        if not found.get("success") or found.get("errmsg"):
            raise self._failed(str(found.get("errmsg") or ""))

    def view(self, waiter: Waiter, read: Callable[[], None]) -> None:
        """Call ``read``, which reads the view, in a thread; end the job then, or before where it must be."""
        failed: list[Exception] = []

        def work() -> None:
            try:
                read()
            except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
                failed.append(error)
            finally:
                waiter.wake()

        thread = threading.Thread(target=work, name="recovery-point")

        def over() -> bool:
            self.guard()
            return bool(self._ended) or not thread.is_alive()

        with self._ending():
            thread.start()
            try:
                late = not waiter.until(over, self.limits.timeout, LOOK_AGAIN)
                whole = not late and has_point_job(self.domain)
            finally:
                self._abort()  # what reads gets an error now, if it still does
                thread.join()
        if late:
            raise self._late()
        if not whole:
            raise self._failed(str(self._ended.get("errmsg") or ""))
        if failed:
            raise failed[0]

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if has_point_job(self.domain):
                self._abort()
            raise

    def _late(self) -> TimedOut:
        return TimedOut(
            f"timeout: a recovery point of domain {self._name} was not copied within {self.limits.timeout:g} s and was ended; the "
            "guest runs on, and the next point has all of it. See what keeps the disks of this host busy, as by iostat -x 5.",
            option="timeout",
            seconds=self.limits.timeout,
        )

    def _failed(self, reason: str) -> EdgeError:
        if not reason or "cancel" in reason.lower():
            return Busy(
                f"name: the recovery point of domain {self._name} gave way to another task, or the guest was stopped; nothing is "
                "lost: run again.",
                option="name",
                value=self._name,
            )
        return EdgeError(f"The recovery point of domain {self._name} failed: {reason}. The guest runs on; run again.")


def room_guard(folder: Path, name: str, margin: int = RESERVE) -> Guard:
    """Return a guard that raises NoSpace once less than ``margin`` bytes are free: before QEMU meets the end of the disk."""

    def guard() -> None:
        if (free := free_bytes(folder)) < margin:
            raise NoSpace(
                f"The recovery point of domain {name} was ended: {free} bytes are free in {folder}, and {margin} stay in "
                "reserve; the guest runs on. Free some.",
                path=str(folder),
                free=free,
            )

    return guard


def ahead_guard(room: Guard, files: Mapping[Path, int]) -> Guard:
    """Return a guard that also keeps space ahead of files that grow, each of a disk of so many bytes.

    QEMU lets a guest's write fail where it cannot first copy what that overwrites: others must not take the space for that.
    """
    taken = dict.fromkeys(files, 0)

    def guard() -> None:
        room()
        for path, size in files.items():
            with path.open("r+b") as file:
                begin = max(taken[path], os.fstat(file.fileno()).st_size)
                end = min(os.fstat(file.fileno()).st_size + AHEAD, size + size // 8 + TABLES)
                if end - begin > AHEAD // 2 or (not taken[path] and end > begin):
                    Space(path.parent, "What the guest overwrites during a recovery point").take(
                        file.fileno(), [(begin, end - begin)]
                    )
                    taken[path] = end

    return guard
