# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a restored VM: all its files in a folder beside the VM's, then its definition, then its own folder.

Where a VM is there, the restored one is defined on the files where they are (``made``) in one step of libvirt's: before it the old
VM is whole, after it the new one is. Only then the old files are set aside, and the new ones are linked into the VM's folder. A VM
with a TPM, whose state has one place, is defined before its files have that name: it cannot start until its TPM has its state.
``restore.json`` in ``made`` or in the VM's folder tells another run what is left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import EdgeError
from ..._image_lock import all_unwritten
from ..._libvirt import intent
from ..._runner import Runner
from ..domain.plan import BuildSeed, PullImage
from ..host.restore_mark import NOTE
from ..lazy.apply import call_for_image
from ..lazy.plan import SUFFIX
from ..model.host_facts import Folders
from ..seed.file import Seeds, build_seed
from ..xml.display import passwords_in
from ..xml.domain import parse_xml
from .model import TPM_STATE, Note, Places
from .plan import DefineRestored, LayOverPoint, PutInPlace, RestoreDisk, RestoreFile, SetAside
from .tool import PointContent, PointSource, RestoreTool
from .tpm_state import put_state

FOLDER_MODE = 0o711


@dataclass
class Restoring:
    """A VM while it is restored; ``staged`` is the XML on the files in ``made``, None where no VM is there yet.

    ``old`` keeps the VM that is there from starting until it is the restored one, ``held`` that one until it has its own folder.
    """

    connection: Any
    tool: RestoreTool
    runner: Runner
    folders: Folders
    tpms: Path
    places: Places
    note: Note
    point: PointSource | None = None
    staged: str | None = None
    seeds: Seeds = field(default_factory=Seeds)
    before_definition: Callable[[], None] = lambda: None
    content: PointContent | None = None
    committed: bool = False
    held: ExitStack = field(default_factory=ExitStack)
    old: ExitStack = field(default_factory=ExitStack)

    @property
    def _home(self) -> Path:
        return Path(self.folders.vm(self.places.name))

    def begin(self) -> None:
        """Have an empty folder, which only root passes through; what a killed run left goes."""
        self.clean()
        Path(self.folders.vms).mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.places.work.mkdir(mode=0o700)

    def clean(self) -> None:
        """Remove what is on its way and no VM uses, and end the use of images by it."""
        if self.committed:
            return
        for folder in (self.places.work, self.places.made, self.places.linked, self.places.scratch):
            if folder.is_dir():
                paths = [str(path) for path in folder.iterdir()]
                shutil.rmtree(folder)
                _files.fsync(folder.parent)
                self.tool.removed(paths)

    def apply(self, step: Any) -> None:
        """Do one step."""
        actions: dict[type[Any], Callable[[Any], None]] = {
            PullImage: lambda step: self.tool.pull(step.image),
            RestoreDisk: self._restore_disk,
            LayOverPoint: self._lay_over_point,
            RestoreFile: self._restore_file,
            BuildSeed: self._build_seed,
            DefineRestored: lambda _step: self._define_beside() if self.staged else self._define_new(),
            SetAside: self._set_aside,
            PutInPlace: lambda _step: self._put_in_place(),
        }
        actions[type(step)](step)

    def _work(self, path: str) -> Path:
        return self.places.work / Path(path).name

    def _restore_disk(self, step: RestoreDisk) -> None:
        if self.content is not None:
            self.content.write_disk(step.copy.target, self._work(step.copy.path))

    def _lay_over_point(self, step: LayOverPoint) -> None:
        self.tool.create_remote_overlay(str(self._work(step.path)), step.remote, step.copy.size)

    def _restore_file(self, step: RestoreFile) -> None:
        if self.point is not None:
            path = self.places.work / (TPM_STATE if step.what == "tpm" else Path(step.path).name)
            _files.write_atomically(path, self.point.content(step.what), path.with_name(f".{path.name}.new"), mode=0o600)

    def _build_seed(self, step: BuildSeed) -> None:
        build_seed(self.seeds.of(step.path, step.digest, context=step.context), str(self._work(step.path)), self.runner)

    def _define_new(self) -> None:
        """Give the files the VM's folder, whole and durable, then define the VM."""
        self.before_definition()
        if self.places.work.is_dir():
            self._give_name(self._home)
        self._put_tpm(self._home)
        self._settle_leases(self.places.work)
        self._define(self.note.xml)
        self._call()
        self.forget()

    def _define_beside(self) -> None:
        """Define the restored VM in place of the one that is there, on the files beside its folder."""
        self.before_definition()
        with_tpm = (self.places.work / TPM_STATE).exists()
        if with_tpm:
            self._write_note()
        else:
            self._give_name(self.places.made)
            self._hold_files()
        self.committed = True  # from here on the files may be the VM's
        self._define(str(self.staged))
        if with_tpm:
            self._finish_naming()
            self._hold_files()
        self.old.close()

    def _finish_naming(self) -> None:
        """Give the TPM its state, and the files the name by which the VM can start."""
        if self.places.work.is_dir():
            self._put_tpm(self.places.work)
            self._give_name(self.places.made)

    def _hold_files(self) -> None:
        """Keep the VM from starting until it has its own folder."""
        files = [str(self.places.made / Path(path).name) for path in self.note.images]
        self.held.enter_context(all_unwritten(files))

    def go_on(self) -> None:
        """Do what is left of the definition of a run that was killed."""
        self.committed = True
        self._finish_naming()
        self._hold_files()

    def _write_note(self) -> None:
        work = self.places.work
        _files.write_atomically(work / NOTE, self.note.to_json(), work / f".{NOTE}", mode=0o600)
        _files.fsync(work)

    def _give_name(self, folder: Path) -> None:
        self._write_note()
        self.places.work.chmod(FOLDER_MODE)
        _files.fsync(self.places.work)
        if folder.is_dir():
            folder.rmdir()  # an empty one: others were refused
        _files.rename_new(self.places.work, folder)
        _files.fsync(folder.parent)
        if folder != self._home:
            self._settle_leases(self.places.work, folder)

    def _put_tpm(self, folder: Path) -> None:
        put_state(self.tpms, self.note.uuid, folder / TPM_STATE, self.note.tpm_aside)

    def _define(self, text: str) -> None:
        with intent(f"define domain {self.places.name}", passwords_in(parse_xml(text))):
            self.connection.defineXML(text)

    def _settle_leases(self, before: Path, now: Path | None = None) -> None:
        for path, image in self.note.images.items():
            name = Path(path).name
            if image:
                self.tool.settle_lease(image, str(before / name), str((now or self._home) / name))

    def _set_aside(self, step: SetAside) -> None:
        """Rename the folder of the old VM, and let its overlays stand on its own files by their new names."""
        aside = Path(step.aside)
        if not aside.exists():
            if not self._home.exists():
                return
            _files.rename_new(self._home, aside)
            _files.fsync(aside.parent)
        for path in sorted(aside.glob("*.qcow2")):
            self._keep(path)

    def _keep(self, path: Path) -> None:
        try:
            found = self.tool.info(str(path), "qcow2")
        except EdgeError:
            return  # one that cannot be read stands on nothing
        if found.backing is None:
            return
        backing = Path(found.backing)
        now = path.with_name(backing.name)
        if backing.parent == self._home and now.exists():
            self.tool.rebase_on(str(path), str(now), found.backing_format or "qcow2")
        elif str(backing.parent) == self.folders.images:
            self.tool.settle_lease(found.backing, str(self._home / path.name), str(path))

    def _put_in_place(self) -> None:
        """Link the files into the VM's folder, and define the VM on them there."""
        made, linked = self.places.made, self.places.linked
        if not self._home.exists():
            shutil.rmtree(linked, ignore_errors=True)
            linked.mkdir(mode=0o700)
            for path in made.iterdir():
                os.link(path, linked / path.name)
            linked.chmod(FOLDER_MODE)
            _files.fsync(linked)
            _files.rename_new(linked, self._home)
            _files.fsync(linked.parent)
        self._settle_leases(made)
        self._define(self.note.xml)
        self.finish()

    def finish(self) -> None:
        """Remove the names beside the VM's folder, once it is defined on its own, and call for disks that are not here."""
        self._call()
        if self.places.made.is_dir():
            shutil.rmtree(self.places.made)
            _files.fsync(self.places.made.parent)
        self.forget()

    def _call(self) -> None:
        if any(self._home.glob(f"*{SUFFIX}")):
            call_for_image(str(self._home))

    def forget(self) -> None:
        """Remove the note of a VM that is defined."""
        path = self._home / NOTE
        if path.exists():
            path.unlink()
            _files.fsync(path.parent)


def tidy(restoring: Restoring) -> None:
    """Remove what no VM uses after an error, which is the one that is reported."""
    with suppress(EdgeError, OSError):  # the next run does it
        restoring.clean()
