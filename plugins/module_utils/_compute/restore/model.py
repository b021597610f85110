# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore as plain data: what is asked, where its files are on the way, and the note by which another run finishes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..._errors import Corrupt, InvalidInput
from ..._generation import Generation
from ..._json import load_object, require_schema
from ..host.restore_mark import NOTE, made_folder
from ..model.spec import DomainSpec
from ..xml.domain import parse_xml

SCHEMA, LARGEST = 1, 16 * 2**20
TPM_STATE = "tpm.state"
OPTION, SERVERS, ACCESS = "generation", "point_servers", "allow_host_access"


@dataclass(frozen=True)
class RestoreRequest:
    """What is asked of the VM ``name``; ``generation`` None is the newest, ``again`` restores what was restored from it already.

    With ``servers`` its disks stay where the point is, exported by one of these, until they have been moved here. With
    ``allow_host_access`` the VM may reach what of this host the point says.
    """

    name: str
    generation: str | None = None
    in_place: bool = False
    again: bool = False
    new_instance_id: bool = True
    allow_recreate: bool = False
    allow_host_access: bool = False
    servers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidInput where more is allowed than what was seen: the newest point may be another one by now."""
        if self.allow_host_access and self.generation is None:
            raise InvalidInput(f"{ACCESS}: give {OPTION} too, the point that you have looked at.", option=ACCESS)


def origin_of(generation: Generation) -> str:
    """Return what the record of a VM says of the point that it was restored from."""
    return f"{generation.vm.uuid} {generation.name}"


@dataclass(frozen=True)
class Places:
    """Where the files of a VM are while it is restored, beside its folder, so that renaming and linking are enough.

    ``work`` is being made; ``made`` is whole, and the VM's until its own folder is; ``linked`` becomes its folder; ``scratch`` is
    for the point. No name is one that a VM can have.
    """

    vms: str
    name: str

    @property
    def work(self) -> Path:
        """See above."""
        return Path(self.vms, f".restoring-{self.name}")

    @property
    def made(self) -> Path:
        """See above."""
        return Path(made_folder(f"{self.vms}/{self.name}"))

    @property
    def linked(self) -> Path:
        """See above."""
        return Path(self.vms, f".linking-{self.name}")

    @property
    def scratch(self) -> Path:
        """See above."""
        return Path(self.vms, f".point-{self.name}")

    def free_aside(self, generation: str) -> Path:
        """Return a name that is free for the folder of the VM as it was."""
        names = (f".{self.name}.before-{generation}{again}" for again in ("", *(f"-{number}" for number in range(2, 10000))))
        return next(path for path in (Path(self.vms, one) for one in names) if not path.exists())

    def is_in_made(self, spec: DomainSpec | None) -> bool:
        """Return whether a configuration has its disks in ``made``: the VM is the restored one, and its folder is not yet."""
        return any(disk.active.startswith(f"{self.made}/") for disk in spec.disks) if spec else False


@dataclass(frozen=True)
class Note:
    """What another run needs to finish: the point, the XML at the end, images by file, and where the old VM's files go.

    ``aside`` and ``tpm_aside`` are None where nothing is set aside.
    """

    origin: str
    xml: str
    uuid: str
    images: dict[str, str] = field(default_factory=dict)
    aside: str | None = None
    tpm_aside: str | None = None

    def to_json(self) -> bytes:
        """Return the text of its file."""
        return json.dumps({"schema": SCHEMA, **vars(self)}, sort_keys=True).encode() + b"\n"

    def others(self, files: Iterable[str]) -> list[str]:
        """Return those of the files that were not made with it: of a domain that was defined, and had a life of its own since."""
        devices = (element for element in parse_xml(self.xml).iter() if element.tag != "log")
        known = {word.strip() for element in devices for word in (*element.attrib.values(), element.text or "")}
        return [path for path in files if path not in known and Path(path).name not in (NOTE, TPM_STATE)]


def read_note(folder: Path) -> Note | None:
    """Return the note in a folder, None without one; raise Corrupt where it cannot be read."""
    path = folder / NOTE
    try:
        found = load_object(path.read_bytes(), str(path), LARGEST)
    except FileNotFoundError:
        return None
    require_schema(found, SCHEMA, str(path))
    try:
        images = {str(key): str(value) for key, value in found["images"].items()}
        aside, tpm = (None if found[key] is None else str(found[key]) for key in ("aside", "tpm_aside"))
        return Note(str(found["origin"]), str(found["xml"]), str(found["uuid"]), images, aside, tpm)
    except (KeyError, AttributeError):
        raise Corrupt(f"{path} is not the note of a restore; see what made it, and move it away.", path=str(path)) from None
