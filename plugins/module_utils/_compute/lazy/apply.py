# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a disk from its remote image onto the local one, through libvirt's block copy, and survives a kill at any moment.

Only the overlay's own blocks are copied, into an overlay over the local image, while each write of the guest goes to both. In units
of a subcluster: a larger one of which the overlay has a part would be read from the remote image, whose server may be gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..._errors import Busy, EdgeError
from ..._files import fsync, write_atomically
from ..._image_lock import remove_images
from ..._libvirt import intent, libvirt
from ..._sizes import OVERLAY_SUBCLUSTER
from ..host.calls import ARRIVING, SWITCHING, call, forget
from ..job.block_job import JobLimits, block_jobs, job_of, live_disk, mirror_ready, require_mirror, wait_job
from ..job.pivot import require_remembered, switch
from ..model.image_tools import ImageTool
from ..xml.disk import read_file, replace_file
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path
from ..xml.remote_backing import drop_policies
from .plan import MoveDisk

COPY = """<disk type='file'><driver type='qcow2' cache='{cache}' discard='unmap'/><source file='{path}'/>
{below}</disk>"""
BELOW = "<backingStore type='file'><format type='qcow2'/><source file='{}'/><backingStore/></backingStore>"


@dataclass(frozen=True)
class ArrivalMover:
    """Moves the disks of one domain; ``timeout`` in seconds bounds each wait.

    ``make`` makes the file that a running guest's own blocks are copied into, an empty overlay of the image without it.
    """

    connection: Any
    domain: Any
    tool: ImageTool
    timeout: float
    make: Callable[[MoveDisk, int], None] | None = None

    def move(self, step: MoveDisk, size: int) -> None:
        """Carry out one step; ``size`` is the disk's virtual size in bytes. A rerun after a kill goes on."""
        if step.live:
            self._move_running(step, size)
        else:
            self._move_stopped(step)

    def _move_stopped(self, step: MoveDisk) -> None:
        """Give the file its local backing and its own name beside the old one, which the definition still names."""
        source, path = Path(step.source), Path(step.path)
        self.tool.rebase(step.source, step.image)
        if not (path.exists() and path.samefile(source)):
            remove_images([str(path)])  # a copy that was never switched to
            path.hardlink_to(source)
        fsync(path.parent)

    def _move_running(self, step: MoveDisk, size: int) -> None:
        require_remembered(self.connection, self.domain, step.target)
        with block_jobs(self.connection, self.domain) as waiter:
            if not self._copies(step):
                self._begin(step, size)
            try:
                wait_job(self.domain, step.target, waiter, JobLimits(self.timeout), lambda: mirror_ready(self.domain, step.target))
                require_mirror(self.domain, step.target)
                switch(self.connection, self.domain, step.target, step.path, Path(step.path).with_name(SWITCHING))
            except EdgeError:
                self._give_up(step)
                raise
        if self._file_of(step.target) != step.path:
            raise EdgeError(f"Disk {step.disk} of domain {step.domain} was switched, but libvirt does not name {step.path}.")

    def _copies(self, step: MoveDisk) -> bool:
        """Return whether a copy of this disk runs already; raise Busy if another job works on the disk."""
        running = job_of(self.domain, step.target)
        mirror = live_disk(self.domain, step.target).find("mirror/source")
        if running and (mirror is None or mirror.get("file") != step.path):
            raise Busy(f"Another job works on disk {step.disk} of domain {step.domain} now; try again when it has ended.")
        return bool(running)

    def _begin(self, step: MoveDisk, size: int) -> None:
        remove_images([step.path])  # the definition names another file: a copy that was never switched to
        if self.make:
            self.make(step, size)
        else:
            self.tool.create_overlay(step.path, step.image, size)
        driver = live_disk(self.domain, step.target).find("driver")
        cache = driver.get("cache", "none") if driver is not None else "none"
        xml = COPY.format(
            cache=escape(cache),
            path=escape(step.path),
            below=BELOW.format(escape(step.backing)) if step.backing else "<backingStore/>",
        )
        flags = libvirt.VIR_DOMAIN_BLOCK_COPY_SHALLOW | libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT
        flags |= libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB | libvirt.VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES
        with intent(f"copy disk {step.target} of domain {step.domain} to {step.path}"):
            self.domain.blockCopy(step.target, xml, {libvirt.VIR_DOMAIN_BLOCK_COPY_GRANULARITY: OVERLAY_SUBCLUSTER}, flags)

    def _give_up(self, step: MoveDisk) -> None:
        """End the copy and remove its file; the guest goes on with its old file."""
        with contextlib.suppress(libvirt.libvirtError):
            self.domain.blockJobAbort(step.target)
        if self._file_of(step.target) == step.source and not self._starts_from(step.path):
            with contextlib.suppress(Busy):  # QEMU still lets go of it; the next move removes it
                remove_images([step.path])

    def _starts_from(self, path: str) -> bool:
        """Return whether the definition names a file, as it does where libvirt has forgotten a switch to it."""
        tree = parse_xml(self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        return any(read_file(disk) == path for disk in tree.iterfind("devices/disk"))

    def _file_of(self, target: str) -> str | None:
        source = live_disk(self.domain, target).find("source")
        return None if source is None else source.get("file")


def stand_alone(connection: Any, domain: Any, target: str, path: str) -> None:
    """Have the definition of a domain name a disk's own file, with nothing remote below it."""
    with intent(f"redefine domain {domain.name()}"):
        root = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        for disk in root.iterfind("devices/disk"):
            if read_path(disk, "target@dev") == target:
                replace_file(disk, path, block=False, image_format="qcow2")
                drop_policies(disk)
        connection.defineXML(to_text(root))


def resume_after_errors(domain: Any) -> None:
    """Resume a guest that QEMU paused at an I/O error: its replica may answer again, or its image is here now."""
    with contextlib.suppress(libvirt.libvirtError):  # it may stop or be resumed by others at any moment
        if tuple(domain.state()) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR):
            domain.resume()


def call_for_image(folder: str) -> None:
    """Mark a VM's folder as waiting for its image, and call for it."""
    marker = Path(folder, ARRIVING)
    if not marker.exists():
        write_atomically(marker, b"{}\n", marker.with_name(f".{marker.name}.new"), 0o644)
    call(Path(folder))


def remove_arrived(paths: tuple[str, ...]) -> None:
    """Remove stand-ins that nothing names, and the folder's marker with the last of them."""
    remove_images(paths)
    for path in map(Path, paths):
        if not any(path.parent.glob("*.arriving.qcow2")):
            path.with_name(ARRIVING).unlink(missing_ok=True)
            forget(path.parent)
        fsync(path.parent)
