# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer of a host backs up and where to: the file that the role backup writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..._checked import Check, ListOf, MapOf, ObjectOf, a_text, an_integer
from ..._errors import InvalidInput, NotFound
from ..._json import load_object
from ..._sizes import MIB
from ..names import absolute_path
from .request import Access, Request, access_of, request_of
from .retention import Retention

FILE = Path("/etc/edge/backup.json")
LONGEST = 3650  # days; 0 is never


def _secret(value: Any, where: str) -> Any:
    """Return a text or number; what is wrong is not shown."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(f"{where}: its value is neither a text nor a number.")
    return value


RETENTION = ObjectOf({one.name: an_integer(0) for one in fields(Retention)}, dict)
CHECKS: dict[str, Check] = {
    "repository": a_text,
    "password_file": a_text,
    "environment": MapOf(_secret),
    "vms": ListOf(a_text),
    "name": a_text,
    "paths": ListOf(a_text),
    "databases": ListOf(a_text),
    "retention": RETENTION,
    "prune_days": an_integer(0, LONGEST),
    "verify_days": an_integer(0, LONGEST),
    "late_days": an_integer(0, LONGEST),
    "read_data_subset": a_text,
    "root": a_text,
    "images_root": a_text,
    "work_dir": a_text,
}
MAY_BE_NULL: dict[str, Any] = {"vms": None, "retention": None, "read_data_subset": None, "late_days": 7}
CONTENT = ObjectOf(CHECKS, lambda **found: {**MAY_BE_NULL, **found}, tuple(key for key in CHECKS if key not in MAY_BE_NULL))
REST: dict[str, Any] = {
    "state": "present", "vm": None, "generation": None, "name": None, "paths": [], "databases": [], "snapshot": None, "path": None,
    "base_images": True, "init": False, "remove_stale_locks": False, "prune": False, "verify": False, "form": "generation",
    "import_images": False,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The file's content, checked. ``vms`` None is all VMs; ``options`` is what every request of a run has."""

    access: Access
    options: Mapping[str, Any]
    root: Path
    work_dir: Path
    vms: tuple[str, ...] | None
    name: str
    paths: tuple[str, ...]
    databases: tuple[str, ...]
    prune_days: int
    verify_days: int
    late_days: int

    @property
    def databases_there(self) -> tuple[str, ...]:
        """The databases that are there now: one that was never written is not missed."""
        return tuple(one for one in self.databases if Path(one).exists())


def read_settings(file: Path = FILE, *, opens: bool = True) -> Settings:
    """Return the settings in a file; raise NotFound, or InvalidInput that names the file and the key that is wrong.

    Without ``opens``, as where the repository is only named, the file of the password need not be there.
    """
    try:
        found = load_object(file.read_bytes(), str(file), MIB, InvalidInput)
    except FileNotFoundError:
        raise NotFound(f"{file} is not there: the role edge.cloud.backup has not been run on this host.", path=str(file)) from None
    try:
        return _settings(CONTENT(found, str(file)), opens=opens)
    except (InvalidInput, NotFound) as error:
        raise type(error)(f"{error.message} The role edge.cloud.backup writes {file}.", **error.details) from None


def settings_of(proposed: Mapping[str, Any], password: str | None) -> Settings:
    """Return settings that are in no file yet; a password is what its file will have. What is wrong is named as in the file."""
    found = CONTENT(dict(proposed), "backup")
    absolute_path(found["password_file"], "password_file")
    # restic leaves out blanks and the end of the line around a password in a file
    return _settings({**found, "password": password.strip(), "password_file": None} if password else found, opens=True)


def _settings(found: Mapping[str, Any], *, opens: bool) -> Settings:
    options = {**REST, **{key: found[key] for key in ("root", "images_root", "work_dir", "retention", "read_data_subset")}}
    asked = _request(found, options)
    return Settings(
        access_of({"password": None, **found}, opens=opens),
        options,
        asked.root,
        asked.work_dir,
        found["vms"],
        found["name"],
        found["paths"],
        found["databases"],
        found["prune_days"],
        found["verify_days"],
        found["late_days"],
    )


def _request(found: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
    """Return a request with all that the file has, so that what is wrong is known before the first run."""
    files = {"name": found["name"], "paths": found["paths"] or [options["work_dir"]], "databases": found["databases"]}
    return request_of({**options, **files})
