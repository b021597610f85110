# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a clone: all of it in a scratch folder, which gets the VM's name in one step, and defined last.

A run that is killed leaves the scratch folder, which the next one removes and starts over, or, once that has its name, all of the
clone, which the next one defines: ``clone.json`` in it says so, and is removed then.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt, EdgeError
from ..._json import load_object
from ..._libvirt import intent
from ..._runner import Runner
from ..domain.plan import BuildSeed
from ..model.host_facts import Folders
from ..seed.file import Seeds, build_seed
from ..xml.display import passwords_in
from ..xml.domain import parse_xml
from .model import DiskCopy
from .plan import CopyDisk, CopyVariables, DefineClone
from .tool import CloneTool

NOTE = "clone.json"
LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Note:
    """What the folder of a clone holds until it is defined: its source, its XML, and the images that its disks stand on."""

    source: str
    xml: str
    images: dict[str, str] = field(default_factory=dict)

    def others(self, files: Iterable[str]) -> list[str]:
        """Return those of the files that were not made with it: of a domain that was defined, and had a life of its own since."""
        devices = (element for element in parse_xml(self.xml).iter() if element.tag != "log")
        made = {word.strip() for element in devices for word in (*element.attrib.values(), element.text or "")}
        return [path for path in files if path not in made and Path(path).name != NOTE]


def read_note(home: str) -> Note | None:
    """Return the note in the folder of a VM, None without one; raise Corrupt where it cannot be read."""
    path = Path(home, NOTE)
    try:
        found = load_object(path.read_bytes(), str(path), LARGEST)
        return Note(str(found["source"]), str(found["xml"]), {str(key): str(value) for key, value in found["images"].items()})
    except FileNotFoundError:
        return None
    except (KeyError, AttributeError):
        raise Corrupt(f"{path} is not the note of a clone; see what made it, and move it away.", path=str(path)) from None


@dataclass
class Builder:
    """The clone ``name`` in the making; ``xml`` is what is defined at the end."""

    connection: Any
    tool: CloneTool
    runner: Runner
    folders: Folders
    name: str
    note: Note
    seeds: Seeds = field(default_factory=Seeds)
    copies: Sequence[DiskCopy] = ()

    @property
    def _home(self) -> Path:
        return Path(self.folders.vm(self.name))

    @property
    def _scratch(self) -> Path:
        return Path(self.folders.vms, f".clone-{self.name}")

    def begin(self) -> None:
        """Have an empty scratch folder, which only root passes through; what a killed run left in it goes."""
        self.clean()
        Path(self.folders.vms).mkdir(mode=0o711, parents=True, exist_ok=True)
        self._scratch.mkdir(mode=0o700)

    def clean(self) -> None:
        """Remove the scratch folder, if there is one, and end the use of images by what was in it."""
        if not self._scratch.is_dir():
            return
        paths = [str(path) for path in self._scratch.iterdir()]
        shutil.rmtree(self._scratch)
        _files.fsync(self._scratch.parent)
        self.tool.removed(paths)

    def apply(self, step: Any) -> None:
        """Do one step."""
        actions: dict[type[Any], Callable[[Any], None]] = {
            CopyDisk: self._copy,
            CopyVariables: lambda step: self.tool.copy_file(step.source, self._work(step.path)),
            BuildSeed: self._build_seed,
            DefineClone: self._define,
        }
        actions[type(step)](step)

    def _work(self, path: str) -> str:
        return str(self._scratch / Path(path).name)

    def _copy(self, step: CopyDisk) -> None:
        copy = step.copy
        if copy.flat:
            self.tool.copy_flat(copy.source, copy.format, self._work(copy.path))
        else:
            self.tool.copy_disk(copy.source, copy.format, self._work(copy.path), copy.image)

    def _build_seed(self, step: BuildSeed) -> None:
        seed = self.seeds.of(step.path, step.digest, context=step.context)
        build_seed(seed, self._work(step.path), self.runner)

    def _define(self, _step: DefineClone) -> None:
        """Give the folder its name, whole and durable, then define the domain; nothing is left to do after that but to tidy up."""
        if self._scratch.is_dir():
            self._give_name()
        for path, image in self.note.images.items():
            self.tool.settle_lease(image, self._work(path), path)
        with intent(f"define domain {self.name}", passwords_in(parse_xml(self.note.xml))):
            self.connection.defineXML(self.note.xml)
        self.forget()

    def _give_name(self) -> None:
        text = json.dumps({"source": self.note.source, "xml": self.note.xml, "images": self.note.images})
        _files.write_atomically(self._scratch / NOTE, text.encode() + b"\n", self._scratch / f".{NOTE}", mode=0o600)
        self._scratch.chmod(0o711)
        _files.fsync(self._scratch)
        if self._home.is_dir():
            self._home.rmdir()  # an empty one: others were refused
        _files.rename_new(self._scratch, self._home)
        _files.fsync(self._home.parent)

    def forget(self) -> None:
        """Remove the note of a clone that is defined."""
        path = self._home / NOTE
        if path.exists():
            path.unlink()
            _files.fsync(path.parent)


def tidy(builder: Builder) -> None:
    """Remove the scratch folder after an error, which is the one that is reported."""
    try:
        builder.clean()
    except (EdgeError, OSError):
        return  # the next run does it
