# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a running guest's disk as it is at one instant, by libvirt's push backup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._errors import Busy, Conflict, EdgeError, TimedOut
from ..._libvirt import intent, libvirt
from ..host.events import Waiter, hearing
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path
from .block_job import LOOK_AGAIN, JobLimits
from .quiesce import frozen

LOST = "backup job data missing"  # libvirt has no code for it
RECONNECT = 30.0  # seconds that libvirt has after it was killed


@dataclass
class PushBackup:
    """Copies disks of one domain; the file ``marker`` exists while the guest's file systems are frozen by us."""

    connection: Any
    domain: Any
    marker: Path
    limits: JobLimits
    _ended: dict[str, Any] = field(default_factory=dict, init=False)

    def copy(self, target: str, path: str, quiesce: str, made: AbstractContextManager[None]) -> bool:
        """Write the disk ``target`` to the qcow2 ``path``; return whether the guest's file systems were frozen for the instant.

        ``made`` makes that file, empty, once no earlier copy writes to it.

        Raises TimedOut after the pace's ``timeout`` and EdgeError where it failed; the guest runs on in any case.
        """
        self._end_earlier(path)
        self._ended = {}  # what was heard so far is how the earlier one ended
        with made, self._events() as waiter:
            with (
                frozen(self.domain, self.marker, quiesce) as quiesced,
                intent(f"begin to copy disk {target} of domain {self._name}"),
            ):
                self.domain.backupBegin(self._xml(target, path), None, libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
            self._slow_down(target)
            if not waiter.until(self._is_over, self.limits.timeout, LOOK_AGAIN):
                self._abort()
                raise TimedOut(
                    f"timeout: the copy of disk {target} of domain {self._name} was not done within {self.limits.timeout:g} s and "
                    "was ended; the guest runs on. Give it more time or bandwidth.",
                    option="timeout",
                    disk=target,
                    seconds=self.limits.timeout,
                )
        self._require_success(target)
        return quiesced

    @property
    def _name(self) -> str:
        return str(self.domain.name())

    def _xml(self, target: str, path: str) -> str:
        root = Element("domainbackup", {"mode": "push"})
        disks = SubElement(root, "disks")
        with intent(f"read domain {self._name}"):
            tree = parse_xml(self.domain.XMLDesc())
        for name in (read_path(disk, "target@dev") or "" for disk in tree.iterfind("devices/disk")):
            mine = name == target
            element = SubElement(disks, "disk", {"name": name, "backup": "yes" if mine else "no"})
            if mine:
                element.set("type", "file")
                SubElement(element, "driver", {"type": "qcow2"})
                SubElement(element, "target", {"file": path})
        return to_text(root)

    def _end_earlier(self, path: str) -> None:
        """End the copy that a killed run left going; raise Busy where another job of the domain is not ours."""
        self._wait_until_known()
        if self._is_over():
            return
        try:
            tree = parse_xml(self.domain.backupGetXMLDesc())
        except libvirt.libvirtError:
            tree = Element("none")
        if not any(read_path(disk, "target@file") == path for disk in tree.iterfind("disks/disk")):
            raise Busy(
                f"name: libvirt has another job on domain {self._name} now (a backup, migration or save); run again when it "
                "has ended.",
                option="name",
                value=self._name,
            )
        self._abort()

    def _wait_until_known(self) -> None:
        """Wait until libvirt knows its job; raise Conflict where it goes on without the data, as a libvirtd that was killed may."""
        deadline = time.monotonic() + RECONNECT
        while self._has_lost_its_job():
            if time.monotonic() > deadline:
                raise Conflict(
                    f"name: libvirtd was killed while it copied a disk of domain {self._name}, and has a job now of which it knows "
                    "nothing, beside which it begins no other. The guest runs on and nothing is lost: restart the VM "
                    "(edge.cloud.domain with state restarted), then run again.",
                    option="name",
                    value=self._name,
                )
            time.sleep(LOOK_AGAIN)

    def _has_lost_its_job(self) -> bool:
        try:
            self.domain.jobStats()
        except libvirt.libvirtError as error:
            return LOST in error.get_error_message()
        return False

    def _abort(self) -> None:
        """End the job and wait for its end, without events: libvirt lets a connection listen to those of a domain once."""
        with suppress(libvirt.libvirtError):
            self.domain.abortJob()
        Waiter().until(self._is_over, LOOK_AGAIN * 30, LOOK_AGAIN / 10)

    def _is_over(self) -> bool:
        with intent(f"read the job of domain {self._name}"):
            found = self.domain.jobStats()
        if found.get("type") == libvirt.VIR_DOMAIN_JOB_NONE:
            return True
        if found.get("disk_total"):
            self.limits.on_progress(int(found["disk_processed"]), int(found["disk_total"]))
        return False

    def _slow_down(self, target: str) -> None:
        if self.limits.bandwidth:
            flags = libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
            with suppress(libvirt.libvirtError):  # it may be done already
                self.domain.blockJobSetSpeed(target, self.limits.bandwidth, flags)

    def _require_success(self, target: str) -> None:
        found = self._ended
        if not found:  # libvirtd ended before it reported the end
            with intent(f"read how the copy of disk {target} of domain {self._name} ended"):
                found = self.domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        if not found.get("success"):
            raise EdgeError(
                f"The copy of disk {target} of domain {self._name} failed: {found.get('errmsg') or 'libvirt gives no reason'}. "
                "Look at the host's free space and QEMU's log, then run again.",
                disk=target,
            )

    @contextmanager
    def _events(self) -> Iterator[Waiter]:
        waiter = Waiter()

        def over(_connection: Any, _domain: Any, statistics: dict[str, Any], _opaque: Any) -> None:
            self._ended = dict(statistics)
            waiter.wake()

        with hearing(self.connection, self.domain, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, over):
            yield waiter
