# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the options of the module into entries and units, and refuses what cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from .._errors import InvalidInput
from .entry import Entry
from .plan import UNIT_FOLDER
from .units import Unit

MODE = re.compile(r"0?[0-7]{3,4}")
UNIT_NAME = re.compile(r"[A-Za-z0-9:_.@-]{1,240}\.(service|socket|timer|path|target|mount|slice)")
Options = Mapping[str, Any]


def declared(options: Options) -> tuple[list[Entry], list[Unit]]:
    """Return what is declared; InvalidInput, with the option's path, for a path twice, a bad mode, or a file without its text."""
    gone = options["state"] == "absent"
    entries = list(chain(_folders(options, gone), _files(options, gone), _links(options, gone), _unit_files(options, gone)))
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.path in seen:
            raise _bad(entry.option, f"{entry.path} is declared by {seen[entry.path]} already; declare each path once.")
        seen[entry.path] = entry.option
    units = [_unit(row, f"units[{place}]", gone) for place, row in enumerate(options["units"])]
    return entries, [unit for unit in units if "@." not in unit.name]


def _bad(option: str, words: str) -> InvalidInput:
    return InvalidInput(f"{option}: {words}", option=option)


def _path(row: Options, option: str) -> str:
    return _absolute(row["path"], f"{option}.path")


def _absolute(path: str, option: str) -> str:
    parts = PurePosixPath(path)
    if not parts.is_absolute() or ".." in parts.parts or "\0" in path or str(parts) in ("/", "//"):
        raise _bad(option, f"{path!r} is not an absolute path without '..'; give one below /.")
    return _normal(path)


def _normal(path: str) -> str:
    """Return an absolute path in the one way in which it is written here."""
    return "/" + "/".join(PurePosixPath(path).parts[1:])


def _mode(row: Options, option: str) -> int:
    if not MODE.fullmatch(row["mode"]):
        raise _bad(f"{option}.mode", f"{row['mode']!r} is not an octal mode; quote it, such as '0644'.")
    return int(row["mode"], 8)


def _owned(row: Options, option: str) -> dict[str, Any]:
    return {"owner": row["owner"], "group": row["group"], "mode": _mode(row, option)}


def _folders(options: Options, gone: bool) -> Iterator[Entry]:
    for place, row in enumerate(options["folders"]):
        option = f"folders[{place}]"
        present = not gone and row["state"] == "present"
        path, contents = _path(row, option), row["remove_contents"]
        yield Entry(option, path, "folder", present, **_owned(row, option), remove_contents=contents)


def _files(options: Options, gone: bool) -> Iterator[Entry]:
    for place, row in enumerate(options["files"]):
        option = f"files[{place}]"
        present = not gone and row["state"] == "present"
        if row["validate"] and "%s" not in row["validate"]:
            raise _bad(f"{option}.validate", f"{row['validate']!r} has no %s, where the name of the new file goes.")
        secret = row["secret"] or row["secret_content"] is not None or row["copy_of"] is not None
        data = _text(row, option, present)
        about = {**_owned(row, option), "validate": row["validate"] or "", "secret": secret, "copy_of": _copied(row, option)}
        yield Entry(option, _path(row, option), "file", present, data=data, **about)


def _copied(row: Options, option: str) -> str:
    return _absolute(row["copy_of"], f"{option}.copy_of") if row["copy_of"] is not None else ""


def _text(row: Options, option: str, present: bool) -> bytes:
    for unread in ("template", "source"):
        if row[unread] is not None:
            raise _bad(f"{option}.{unread}", "the controller did not send its text; run the module by a task of a play.")
    given = [name for name in ("content", "secret_content", "copy_of") if row.get(name) is not None]
    if present and len(given) != 1:
        raise _bad(option, "give one of content, secret_content, template, source and copy_of.")
    return row[given[0]].encode(errors="surrogateescape") if given and given[0] != "copy_of" else b""


def _links(options: Options, gone: bool) -> Iterator[Entry]:
    for place, row in enumerate(options["links"]):
        option = f"links[{place}]"
        yield Entry(option, _path(row, option), "link", not gone and row["state"] == "present", target=row["to"])


def _unit_files(options: Options, gone: bool) -> Iterator[Entry]:
    for place, row in enumerate(options["units"]):
        option = f"units[{place}]"
        if not UNIT_NAME.fullmatch(row["name"]):
            raise _bad(f"{option}.name", f"{row['name']!r} is not the name of a unit, such as example.service.")
        present = not gone and row["state"] != "absent"
        if present and "@." in row["name"] and (row["state"] or row["enabled"] is not None):
            raise _bad(option, f"{row['name']} is a template, which neither runs nor is enabled; declare an instance for that.")
        has_text = any(row[name] is not None for name in ("content", "template", "source"))
        if has_text or row["state"] == "absent":
            path = str(UNIT_FOLDER / row["name"])
            yield Entry(option, path, "file", present, mode=0o644, data=_text(row, option, present))


def _unit(row: Options, option: str, gone: bool) -> Unit:
    if gone or row["state"] == "absent":
        return Unit(option, row["name"], enabled=False, started=False)
    own = [str(UNIT_FOLDER / row["name"])] if row["state"] else []
    started = {"started": True, "stopped": False}.get(row["state"])
    restart, reload = ([_normal(path) for path in row[name]] for name in ("restart_on", "reload_on"))
    return Unit(option, row["name"], row["enabled"], started, (*restart, *own), tuple(reload))
