# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run was asked for, as one typed request; wrong options end here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..._errors import InvalidInput, NotFound
from ..._generation import point_of
from ..._secrets import shown_url
from ..names import absolute_path
from .retention import Retention

FILES_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
SUBSET = re.compile(r"\d{1,6}/\d{1,6}|\d{1,3}(\.\d+)?%|\d{1,12}[KMGT]?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = re.compile(r"TZ|RESTIC_(REPOSITORY|PASSWORD|FROM_|HOST|PROGRESS_FPS)\w*")  # all else is free, such as RESTIC_CACERT
SNAPSHOT = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Access:
    """How a repository is reached: the location as restic writes it, the password or its file, and more of the environment."""

    location: str
    password: str | None = None
    password_file: str | None = None
    environment: Mapping[str, str] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The environment of restic. What is empty hides a setting that this process may have."""
        return {
            "TZ": "UTC",
            "RESTIC_PROGRESS_FPS": "0.01",
            "RESTIC_PASSWORD_COMMAND": "",
            **(self.environment or {}),
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_REPOSITORY_FILE": "",
            "RESTIC_PASSWORD": self.password or "",
            "RESTIC_PASSWORD_FILE": self.password_file or "",
        }

    @property
    def shown(self) -> str:
        """The location as sentences name it: in a URL there may be a user and a password."""
        return shown_url(self.location) if "://" in self.location else self.location

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may have."""
        return tuple(filter(None, (self.password, *(self.environment or {}).values())))


@dataclass(frozen=True)
class Request:
    """Of what a backup is, in which folders it is found, and what is to be done with it."""

    state: str
    root: Path
    images_root: Path
    work_dir: Path
    vm: str | None = None
    generation: str | None = None
    name: str | None = None
    paths: tuple[Path, ...] = ()
    databases: tuple[Path, ...] = ()
    snapshot: str | None = None
    base_images: bool = True
    init: bool = False
    remove_stale_locks: bool = False
    retention: Retention | None = None
    prune: bool = False
    verify: bool = False
    read_data_subset: str | None = None
    path: Path | None = None
    form: str = "generation"
    import_images: bool = False


def request_of(options: Mapping[str, Any]) -> Request:
    """Return the request of a module's options; raise InvalidInput, which begins with the option."""
    found = Request(
        options["state"],
        absolute_path(options["root"], "root"),
        absolute_path(options["images_root"], "images_root"),
        absolute_path(options["work_dir"], "work_dir"),
        paths=_paths(options, "paths"),
        databases=_paths(options, "databases"),
        retention=_retention(options["retention"]),
        path=absolute_path(options["path"], "path") if options["path"] else None,
        **{key: options[key] for key in SAME},
    )
    _check_source(found)
    _check_state(found)
    return found


SAME = (
    "vm", "generation", "name", "snapshot", "base_images", "init", "remove_stale_locks", "prune", "verify", "read_data_subset",
    "form", "import_images",
)  # fmt: skip


def _paths(options: Mapping[str, Any], option: str) -> tuple[Path, ...]:
    return tuple(absolute_path(one, f"{option}[{number}]") for number, one in enumerate(options[option] or ()))


def _retention(options: Mapping[str, Any] | None) -> Retention | None:
    return None if options is None else Retention(**{one.name: options.get(one.name) or 0 for one in fields(Retention)})


def _check_source(asked: Request) -> None:
    if asked.generation is not None:
        point_of(asked.generation)
    if (asked.vm is None) == (asked.name is None):
        _refuse("vm", "give either vm, for a VM, or name, for files of this host")
    if asked.name is not None:
        if not FILES_NAME.fullmatch(asked.name):
            _refuse("name", f"{asked.name!r:.100} is not valid; use up to 63 letters, digits, dots, hyphens and underscores")
        if asked.state == "present" and not (asked.paths or asked.databases):
            _refuse("paths", f"give the files or folders that {asked.name} is of")
        if asked.generation is not None:
            _refuse("generation", "files have none; it is for a VM")
    elif asked.paths or asked.databases:
        _refuse("paths" if asked.paths else "databases", "they are for name, not for a VM")


def _check_state(asked: Request) -> None:
    if asked.snapshot is not None and not SNAPSHOT.fullmatch(asked.snapshot):
        _refuse("snapshot", f"{asked.snapshot!r:.100} is not the ID of a snapshot, of 8 to 64 of the digits 0-9 and a-f")
    if asked.snapshot is not None and asked.state == "present":
        _refuse("snapshot", "it is for restored and absent; restic chooses the ID of a new one")
    if asked.state == "restored" and asked.path is None:
        _refuse("path", "give the folder to restore into")
    if asked.state == "absent" and asked.snapshot is None and asked.generation is None:
        _refuse("snapshot", "say which backup is to go, by snapshot or by generation; to remove by age, use retention")
    if asked.read_data_subset is not None and not SUBSET.fullmatch(asked.read_data_subset):
        _refuse("read_data_subset", f"{asked.read_data_subset!r:.100} is not a part; write 5%, 2/10 or 500M, or 100% for all")
    if asked.form == "disks" and asked.name is not None:
        _refuse("form", "files have no disks; leave it out")


def _refuse(option: str, why: str) -> None:
    raise InvalidInput(f"{option}: {why}.", option=option)


def access_of(options: Mapping[str, Any], *, opens: bool = True) -> Access:
    """Return how the repository is reached; raise InvalidInput unless there is one way to its password, NotFound without its file.

    Without ``opens`` that file is not looked for.
    """
    if not options["repository"]:
        _refuse("repository", "it is empty; write it as restic does, such as /srv/backup")
    if (options["password"] is None) == (options["password_file"] is None):
        _refuse("password", "give either password or password_file")
    if options["password"] == "":
        _refuse("password", "it is empty")
    environment = {str(key): str(value) for key, value in options["environment"].items()}
    for name, value in sorted(environment.items()):
        if not VARIABLE.fullmatch(name) or "\0" in value:
            _refuse(f"environment.{name!r:.100}", "it is not a name of letters, digits and _ with a value without NUL")
        if OURS.fullmatch(name):
            _refuse(f"environment.{name}", "this module sets it; use its options")
    file = options["password_file"]
    return Access(options["repository"], options["password"], str(_readable(file, opens)) if file else None, environment)


def _readable(file: str, opens: bool) -> Path:
    path = absolute_path(file, "password_file")
    if opens and not path.is_file():
        raise NotFound(f"password_file: {path} is not a file of this host.", option="password_file")
    return path
