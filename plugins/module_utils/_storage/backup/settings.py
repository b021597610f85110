# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer of a host backs up and where to: the file that the role backup writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..._errors import InvalidInput, NotFound
from ..._json import load_object
from ..._sizes import MIB
from .request import Access, Request, access_of, request_of
from .retention import Retention

FILE = Path("/etc/edge/backup.json")
KINDS: dict[str, tuple[type, ...]] = {
    "repository": (str,),
    "password_file": (str,),
    "environment": (dict,),
    "vms": (list, type(None)),
    "name": (str,),
    "paths": (list,),
    "databases": (list,),
    "retention": (dict, type(None)),
    "prune_days": (int,),
    "verify_days": (int,),
    "read_data_subset": (str, type(None)),
    "root": (str,),
    "images_root": (str,),
    "work_dir": (str,),
}
LONGEST = 3650  # days
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

    @property
    def databases_there(self) -> tuple[str, ...]:
        """The databases that are there now: one that was never written is not missed."""
        return tuple(one for one in self.databases if Path(one).exists())


def read_settings(file: Path = FILE) -> Settings:
    """Return the settings in a file; raise NotFound, or InvalidInput that names the key that is wrong."""
    try:
        found = load_object(file.read_bytes(), str(file), MIB, InvalidInput)
    except FileNotFoundError:
        raise NotFound(f"{file} is not there: the role edge.cloud.backup has not been run on this host.", path=str(file)) from None
    for key in found:
        _require(key in KINDS, file, key, f"is unknown; the keys are {', '.join(KINDS)}")
    for key, kinds in KINDS.items():
        value = found.get(key)
        right = isinstance(value, kinds) and not (int in kinds and isinstance(value, bool))
        _require(right, file, key, f"must be {' or '.join(_named(kind) for kind in kinds)}, not {value!r:.80}")
    for key in ("prune_days", "verify_days"):
        _require(0 <= found[key] <= LONGEST, file, key, f"must be from 0 (never) to {LONGEST} days")
    for key in ("vms", "paths", "databases"):
        _require(all(isinstance(one, str) for one in found[key] or ()), file, key, "must have texts only")
    _check_retention(found["retention"], file)
    options = {**REST, **{key: found[key] for key in ("root", "images_root", "work_dir", "retention", "read_data_subset")}}
    asked = _checked(found, options)
    return Settings(
        access_of({"password": None, **found}),
        options,
        asked.root,
        asked.work_dir,
        None if found["vms"] is None else tuple(found["vms"]),
        found["name"],
        tuple(found["paths"]),
        tuple(found["databases"]),
        found["prune_days"],
        found["verify_days"],
    )


def _checked(found: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
    """Return a request with all that the file has, so that what is wrong is known before the first run."""
    files = {"name": found["name"], "paths": found["paths"] or [options["work_dir"]], "databases": found["databases"]}
    return request_of({**options, **files})


def _check_retention(retention: Mapping[str, Any] | None, file: Path) -> None:
    known = [one.name for one in fields(Retention)]
    for key, value in (retention or {}).items():
        _require(key in known, file, f"retention.{key}", f"is unknown; there are {', '.join(known)}")
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        _require(whole, file, f"retention.{key}", f"must be a whole number from 0, not {value!r:.80}")


def _named(kind: type) -> str:
    return {"str": "a text", "dict": "an object", "list": "a list", "int": "a whole number"}.get(kind.__name__, "null")


def _require(condition: bool, file: Path, key: str, wanted: str) -> None:
    if not condition:
        raise InvalidInput(f"{key}: it {wanted}. It is in {file}, which the role edge.cloud.backup writes.", option=key)
