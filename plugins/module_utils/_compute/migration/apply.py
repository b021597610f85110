# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies the steps of a migration, each once the journal has that it may have begun."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..._errors import Conflict, EdgeError
from ..._image_lock import remove_images
from ..._libvirt import intent, libvirt, lookup
from ..._secrets import without_words
from ..._shown import counted
from ..elsewhere.moved import moved_path, write_moved
from ..host.migration_mark import NOTE, note
from ..model.elsewhere import Arrival, Moved
from ..xml.arrival import NAMESPACE, PREFIX, arrival_text, read_arrival
from ..xml.display import passwords_in
from ..xml.domain import parse_xml
from . import plan as steps
from .destination import Address, read_vm_there
from .job import Job, MigrationOptions
from .journal import Journal, remove_journal, write_journal
from .model import SourceVm
from .remote_files import Volumes
from .source import mark_text, post_copy_of

CONSOLE = "console.log"
MAKING = (steps.CopyFile, steps.CreateDisk, steps.Migrate, steps.DefineThere)


@dataclass
class MigratingVm:
    """Moves one VM; ``source`` is what it was when the run began, ``moved`` gathers bytes and what libvirt counted."""

    here: Any
    there: Any
    name: str
    folder: str
    address: Address
    volumes: Volumes
    options: MigrationOptions
    on_progress: Callable[[int, int], None]
    journal: Journal
    removed: Callable[[Sequence[str]], None]  # ends the use that deleted disk files made of images
    source: SourceVm | None = None
    moved: dict[str, Any] = field(default_factory=lambda: {"copied_bytes": 0, "warnings": []})
    leases: Mapping[str, bytes] = field(default_factory=dict)
    noted: bool = False
    before: tuple[int, int] | None = None

    def apply(self, step: Any) -> None:
        """Do one step."""
        actions: dict[type[Any], Callable[[Any], None]] = {
            steps.ClearDestination: self._clear,
            steps.HoldAutostart: self._hold_autostart,
            steps.CopyFile: self._copy,
            steps.CreateDisk: self._create,
            steps.Migrate: self._migrate,
            steps.ResumePostCopy: self._resume,
            steps.PowerOff: self._power_off,
            steps.DefineThere: self._define,
            steps.MoveCheckpoints: self._move_checkpoints,
            steps.StartThere: self._start,
            steps.AutostartThere: self._autostart,
            steps.NoteArrival: self._note_arrival,
            steps.ForgetMove: self._forget_move,
            steps.UndefineHere: self._undefine,
            steps.DeleteHere: self._delete,
        }
        if isinstance(step, MAKING) and not self.noted:
            self._note()
        actions[type(step)](step)

    def write(self, journal: Journal) -> None:
        """Make the journal durable before what it records begins."""
        write_journal(self.folder, journal)
        self.journal = journal

    def _domain(self, connection: Any) -> Any:
        with intent(f"look up domain {self.name}"):
            return connection.lookupByName(self.name)

    def _note(self) -> None:
        """Leave the note on the destination that this VM is on its way, for other tasks there, and the leases of its images."""
        path = f"{self.folder}/{NOTE}"
        self.write(self.journal.with_made([path]))
        with intent("read the name of this host"):
            here = self.here.getHostname()
        files = [*(self.source.paths if self.source else ()), f"{self.folder}/{CONSOLE}"]
        self.volumes.write(path, note(here, self.journal.uuid, files))
        self.write(self.journal.with_made([*self.leases]))
        for lease, data in self.leases.items():
            self.volumes.write(lease, data)
        self._close_leases()
        self.noted = True

    def _close_leases(self) -> None:
        for folder in {os.path.dirname(path) for path in self.journal.made} - {self.folder}:  # noqa: PTH120 - libvirt's text
            self.volumes.close(folder)

    def _clear(self, step: steps.ClearDestination) -> None:
        self.write(replace(self.journal, made=tuple(dict.fromkeys((*step.paths, *self.journal.made)))))
        self.clear()
        self.write(replace(self.journal, made=(), phase="prepared"))

    def clear(self) -> None:
        """Remove from the destination what is ours by the journal, and nothing else; raise Conflict where the VM may run there."""
        self._check_never_ran()
        with intent(f"undefine domain {self.name} on {self.address.host}"):
            domain = lookup(self.there.lookupByName, self.name)
            if domain is not None and domain.UUIDString() == self.journal.uuid:
                if domain.isActive():
                    domain.destroy()
                if lookup(self.there.lookupByName, self.name) is not None and domain.isPersistent():
                    domain.undefineFlags(_undefine_flags(self.there))
        self.volumes.close(self.folder)  # what libvirt made there since we looked is seen only by a new look
        for path in reversed(self.journal.made):  # the note, the first, goes last
            self.volumes.remove(path)
        self._close_leases()
        self.volumes.close(self.folder, delete=True)

    def _check_never_ran(self) -> None:
        """Raise Conflict where the guest runs on the destination, or may have run there: its disks there are not ours to delete."""
        vm = read_vm_there(self.there, self.name)
        ours = vm is not None and vm.uuid == self.journal.uuid
        proven = self.journal.phase == "failed" or self.journal.run == "stopped"
        if vm is not None and ours and vm.may_have_run and not (proven and vm.run == "stopped"):
            raise Conflict(
                f"name: domain {self.name} is {vm.run} on {self.address.host} and may have data that this host has not; nothing "
                "was removed there. Run this again, which looks at both ends.",
                option="name",
                value=self.name,
            )

    def _hold_autostart(self, _step: steps.HoldAutostart) -> None:
        with intent(f"turn autostart of domain {self.name} off"):
            self._domain(self.here).setAutostart(0)

    def _copy(self, step: steps.CopyFile) -> None:
        overlay = step.overlay
        self.write(self.journal.with_made([overlay.path]))
        done = self.moved["copied_bytes"]

        def on_progress(size: int) -> None:
            self.moved["copied_bytes"] += size
            self.on_progress(self.moved["copied_bytes"] - done, max(1, overlay.allocated))

        digest = self.volumes.copy(overlay.path, overlay.length, on_progress, self.options.bandwidth)
        self.volumes.verify(overlay.path, digest)
        if overlay.format == "qcow2":
            self.volumes.settle(overlay.path)

    def _create(self, step: steps.CreateDisk) -> None:
        overlay = step.overlay
        self.write(self.journal.with_made([overlay.path]))
        below = (overlay.backing, overlay.backing_format or "raw") if overlay.backing else None
        self.volumes.create(overlay.path, overlay.size, overlay.format, below)

    def _migrate(self, step: steps.Migrate) -> None:
        self.write(self.journal.with_made([f"{self.folder}/{CONSOLE}"]))  # libvirt makes it there when memory begins to arrive
        domain = self._domain(self.here)
        with intent(f"read the state of domain {self.name}"):
            self.before = tuple(domain.state())
        job = Job(domain, self.options, self.on_progress, lambda: self.write(replace(self.journal, phase="post-copy")))
        try:
            job.run(self.address, step.targets)
        finally:
            self.moved |= job.statistics()
        self.verify()
        self.write(replace(self.journal, phase="moved"))

    def _resume(self, _step: steps.ResumePostCopy) -> None:
        if self.journal.phase != "post-copy":
            self.write(replace(self.journal, phase="post-copy"))
        job = Job(self._domain(self.here), self.options, self.on_progress)
        try:
            job.resume(self.address)
        finally:
            self.moved |= job.statistics()
        self.verify()
        self.write(replace(self.journal, phase="moved"))

    def _power_off(self, step: steps.PowerOff) -> None:
        """Power off the half that is left of a guest, if the other half is gone now, too."""
        self.write(replace(self.journal, phase="post-copy"))
        domain = self._domain(self.here if step.here else self.there)
        with intent(f"power off domain {self.name} on {step.host}"):
            other = lookup((self.there if step.here else self.here).lookupByName, self.name)
            alive = other is not None and other.isActive()
            if alive or post_copy_of(*domain.state()) is None:
                raise Conflict(
                    f"name: domain {self.name} was changed by another since it was looked at; run again.",
                    option="name",
                    value=self.name,
                )
            domain.destroy()

    def verify(self) -> None:
        """Raise Conflict unless the destination has this domain, persistent, with our mark, and as it was: running or not."""
        with intent(f"verify domain {self.name} on {self.address.host}"):
            found = lookup(self.there.lookupByName, self.name)
            problems = ["it is not there"] if found is None else self._problems(found)
        if problems:
            raise Conflict(
                f"Domain {self.name} on {self.address.host} is not what was moved: {'; '.join(problems)}. "
                "Nothing was removed here.",
                problems=problems,
            )

    def _problems(self, domain: Any) -> list[str]:
        xml = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) if domain.isPersistent() else None
        mark = mark_text(xml) if xml is not None else None
        ours = self.source.mark if self.source else mark
        return [
            text
            for wrong, text in (
                (domain.UUIDString() != self.journal.uuid, f"its UUID is {domain.UUIDString()}, not {self.journal.uuid}"),
                (xml is None, "it has no persistent configuration"),
                (mark is None or mark != ours, "its metadata differ"),
                (self.journal.run != "stopped" and not domain.isActive(), "it does not run"),
                (post_copy_of(*domain.state()) is not None, "its memory has not all arrived"),
            )
            if wrong
        ]

    def _define(self, _step: steps.DefineThere) -> None:
        if self.source is None:
            raise Conflict(f"name: domain {self.name} is not on this host any more; run again.", option="name", value=self.name)
        with intent(f"define domain {self.name} on {self.address.host}", passwords_in(parse_xml(self.source.xml))):
            self.there.defineXML(self.source.xml)
        self.write(replace(self.journal, phase="moved"))

    def _move_checkpoints(self, step: steps.MoveCheckpoints) -> None:
        """Define the checkpoints; where a bitmap did not come along the next recovery point is a full one, with a warning."""
        domain = self._domain(self.there)
        flags = libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
        if self.journal.run != "stopped":
            flags |= libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE
        for number, xml in enumerate(step.checkpoints):
            try:
                domain.checkpointCreateXML(xml, flags)
            except libvirt.libvirtError as error:
                left = len(step.checkpoints) - number
                says = without_words(error.get_error_message(), passwords_in(parse_xml(xml)))
                self.moved["warnings"].append(
                    f"{counted(left, 'checkpoint')} did not move ({says}); the next recovery point is a full one."
                )
                return

    def _start(self, _step: steps.StartThere) -> None:
        with intent(f"start domain {self.name} on {self.address.host}"):
            self._domain(self.there).create()

    def _autostart(self, _step: steps.AutostartThere) -> None:
        with intent(f"turn on autostart of domain {self.name} on {self.address.host}"):
            self._domain(self.there).setAutostart(1)

    def _note_arrival(self, step: steps.NoteArrival) -> None:
        self._set_arrival(arrival_text(Arrival(step.here, _now())))

    def _forget_move(self, _step: steps.ForgetMove) -> None:
        if read_vm_there(self.there, self.name) is not None:
            self._set_arrival(None)
        mark = moved_path(str(Path(self.folder).parent), self.journal.uuid)
        self.volumes.remove(mark)
        self.volumes.close(str(Path(mark).parent))

    def _set_arrival(self, text: str | None) -> None:
        """Set or, with None, remove the mark of arrival in the persistent configuration; libvirt makes it durable."""
        domain = self._domain(self.there)
        with intent(f"mark domain {self.name} on {self.address.host}"):
            element, config = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
            if text is not None or read_arrival(parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))):
                domain.setMetadata(element, text, PREFIX, NAMESPACE, config)

    def _undefine(self, _step: steps.UndefineHere) -> None:
        self.verify()
        domain = self._domain(self.here)
        with intent(f"undefine domain {self.name}"):
            write_moved(str(Path(self.folder).parent), Moved(self.name, self.journal.uuid, self.address.host, _now()))
            if domain.isActive() and post_copy_of(*domain.state()) == "failed":
                domain.destroy()  # a copy that stands still, of a guest that has all of its memory there
            if domain.isActive():
                raise Conflict(f"name: domain {self.name} runs here again; it was not undefined.", option="name", value=self.name)
            domain.undefineFlags(_undefine_flags(self.here))

    def _delete(self, step: steps.DeleteHere) -> None:
        remove_images(step.paths)
        self.removed(step.paths)

    def end(self) -> None:
        """Close the books after the last step, first there."""
        self.volumes.remove(f"{self.folder}/{NOTE}")
        remove_journal(self.folder)
        folder = Path(self.folder)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def give_up(self) -> str:
        """After a failure with the VM still here: leave it as it was, and nothing of ours on the destination if it can be reached.

        Where the guest may have run there, nothing is undone, and what to do is returned; the next run looks at both ends.
        """
        with intent(f"read domain {self.name}"):
            domain = lookup(self.here.lookupByName, self.name)
            if domain is None or self.journal.phase == "moved" or (self.journal.run != "stopped" and not domain.isActive()):
                return ""
            at = tuple(domain.state())
        if doubt := self._doubt(at):
            return doubt
        self.write(replace(self.journal, phase="failed"))
        if self.journal.autostart:
            with intent(f"turn autostart of domain {self.name} on"):
                domain.setAutostart(1)
        try:
            self.clear()
        except EdgeError as error:
            self.moved["warnings"].append(f"What was made on {self.address.host} is still there: {error.message}")
            return ""
        remove_journal(self.folder)
        return ""

    def _doubt(self, at: tuple[int, int]) -> str:
        """Return what to do where the guest runs on the destination or may have run there; nothing where it never did.

        libvirt defines a domain there before it lets the guest run, so that one that is not defined there never ran. Where the
        destination does not answer, only a guest that was not halted here for a moment, as its unchanged state tells, never left.
        """
        host = self.address.host
        if post_copy_of(*at):
            return (
                f"The guest went on at {host} before all of its memory was there (post_copy); the rest is here, and both stand "
                f"still. Destroy neither. Run this again when {host} answers, which resumes the migration."
            )
        if self.journal.run == "stopped":
            return ""
        try:
            vm = read_vm_there(self.there, self.name)
        except EdgeError:
            if at == self.before and at != (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATION_CANCELED):
                return ""
            return (
                f"The guest was handed over when {host} stopped answering, and may run there. It runs on here; nothing was undone. "
                f"Run this again when {host} answers, which looks at both."
            )
        if vm is None or vm.uuid != self.journal.uuid or not vm.may_have_run:
            return ""
        return f"The guest may have run on {host}, where it is {vm.run}; nothing was undone. Run this again, which looks at both."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _undefine_flags(connection: Any) -> int:
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if connection.getType() == "QEMU":  # the only driver with these
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    return int(flags)
