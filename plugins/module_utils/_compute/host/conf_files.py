# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's configuration files on this host: read, compared and replaced whole, with owner and no more permissions than before."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._errors import InvalidInput, NotFound
from ..._files import write_atomically
from ..._plan import Plan
from .conf_settings import LARGEST, NAME, Marks, Value, check_key, with_block


@dataclass(frozen=True)
class Asked:
    """The settings of one file, none for a file that the block is to leave."""

    path: Path
    marks: Marks
    settings: Mapping[str, Value]
    mode: int
    replace: bool


@dataclass(frozen=True)
class Found:
    """A file as it is."""

    text: str
    mode: int


State = Mapping[Path, Found | None]


@dataclass(frozen=True)
class Write:
    """Replace one file."""

    path: Path
    after: Found
    name: str

    @property
    def sentence(self) -> str:
        """The change in one sentence."""
        return f"Write the settings of {self.name} in {self.path}."

    def predict(self, state: State) -> State:
        """Return the state after this step."""
        return {**state, self.path: self.after}


def asked(params: Mapping[str, Any]) -> tuple[Asked, ...]:
    """Return the request of a module's parameters; raise InvalidInput with the path of what is wrong."""
    if not NAME.fullmatch(params["name"]):
        raise InvalidInput(f"name: {params['name']!r:.100} is not of letters, digits, spaces, dots and hyphens.", option="name")
    found: list[Asked] = []
    for place, file in enumerate(params["files"]):
        where = f"files[{place}]"
        if not file["mode"].isdecimal() or not set(file["mode"]) <= set("01234567"):
            raise InvalidInput(f"{where}.mode: {file['mode']!r} is not an octal number such as '0600'.", option=f"{where}.mode")
        present = params["state"] == "present"
        settings = {key: _value(value, f"{where}.settings.{key}") for key, value in file["settings"].items()} if present else {}
        if present and not settings:
            raise InvalidInput(f"{where}.settings: is empty; give at least one key, or state absent.", option=f"{where}.settings")
        path = Path(os.path.realpath(file["path"]))
        if any(one.path == path for one in found):
            raise InvalidInput(f"{where}.path: {path} is in the list already; name each file once.", option=f"{where}.path")
        found.append(Asked(path, Marks(params["name"]), settings, int(file["mode"], 8), params["replace"]))
    return tuple(found)


def _value(value: Any, where: str) -> Value:
    check_key(where)
    match value:
        case bool() | int() if abs(value) <= LARGEST:
            return int(value)
        case str():
            return value
        case list() if all(isinstance(entry, str) for entry in value):
            return tuple(value)
    raise InvalidInput(f"{where}: give a whole number of 63 bits at most, a text or a list of texts.", option=where)


def observe(wanted: tuple[Asked, ...]) -> State:
    """Return the files as they are."""
    return {one.path: _read(one.path) for one in wanted}


def _read(path: Path) -> Found | None:
    try:
        return Found(path.read_bytes().decode("utf-8", "surrogateescape"), stat.S_IMODE(path.stat().st_mode))
    except FileNotFoundError:
        return None


def plan(wanted: tuple[Asked, ...], *, check: bool = False) -> Plan[State]:
    """Return the files to write; raise Refused where a setting is in the way, before any is written.

    With ``check`` a missing file is one that the installation of libvirt would bring.
    """
    before = observe(wanted)
    steps = []
    for one in wanted:
        found = before[one.path]
        if found is None and one.settings and not check:
            raise NotFound(f"{one.path} does not exist; install libvirt first.", path=str(one.path))
        if found is None:
            steps += [Write(one.path, Found("", one.mode), one.marks.name)] if one.settings else []
            continue
        text = with_block(found.text, one.marks, one.settings, replace=one.replace, path=str(one.path))
        after = Found(text, found.mode & one.mode if one.settings else found.mode)
        if after != found:
            steps.append(Write(one.path, after, one.marks.name))
    return Plan(before, tuple(steps))


def apply(step: Write) -> None:
    """Replace the file; its owner stays."""
    owner = step.path.stat()
    data = step.after.text.encode("utf-8", "surrogateescape")
    work = step.path.with_name(f".{step.path.name}.edge")
    write_atomically(step.path, data, work, step.after.mode, (owner.st_uid, owner.st_gid))


def view(state: State) -> dict[str, Any]:
    """Return files by path without what they hold, which may be secret."""
    return {
        str(path): {
            "sha256": hashlib.sha256(found.text.encode("utf-8", "surrogateescape")).hexdigest(),
            "mode": f"{found.mode:04o}",
        }
        if found
        else {}
        for path, found in state.items()
    }
