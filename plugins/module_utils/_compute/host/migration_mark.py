# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark that a migration of a VM is under way: its journal's head on the source, a note on the destination.

While one stands, only that migration changes the VM. The whole journal is ``migration/journal``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..._errors import Busy, Corrupt, EdgeError
from ..._json import require_schema
from .restore_mark import refuse_while_restoring

FILE, NOTE = "migration.json", "incoming.json"
SCHEMA = 1
PHASES = ("prepared", "failed", "post-copy", "moved")


def read_mark(folder: str) -> dict[str, Any] | None:
    """Return what the journal of the VM with this folder holds, None where no migration began.

    ``destination`` and ``phase`` are in it. Raises Corrupt where it cannot be read, and Unsupported where a newer version wrote it.
    """
    path = Path(folder, FILE)
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        phase, _destination = found["phase"], str(found["destination"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(path, error) from None
    require_schema(found, SCHEMA, str(path))
    if phase not in PHASES:
        raise Corrupt(f"The journal {path} has the phase {phase!r}, which this version does not know.", path=str(path))
    return found


def unreadable(path: Path, error: Exception) -> Corrupt:
    """Return the error of a journal that cannot be read."""
    return Corrupt(f"The journal {path} of a migration cannot be read ({error!r}); see the guide to migration.", path=str(path))


def refuse_while_migrating(name: str, folder: str, run: str, *, removal: bool = False, restoring: bool = False) -> None:
    """Raise Busy where a migration to this host has no end, or one from it while the VM does not run here, or not all of it.

    So does a restore from a recovery point that has not ended, except for ``restoring``: the caller finishes it.

    Working on a VM that arrives would spoil it, starting one that left could start it a second time, and stopping one after a
    post-copy loses the memory that the guest still needs. A ``removal`` has to wait for the end in any case: libvirt may go on with
    a migration whose task was killed, and only the end of that task notes where the VM went.
    """
    refuse_incoming(name, folder)
    if not restoring:
        refuse_while_restoring(name, folder)
    mark = read_mark(folder)
    if mark is not None and mark["phase"] != "failed" and (removal or run != "running" or mark["phase"] in ("post-copy", "moved")):
        destination, path = mark["destination"], Path(folder, FILE)
        raise Busy(
            f"name: a migration of domain {name} to {destination} began and did not end; run edge.cloud.domain_migration "
            f"with destination {destination} again, which finishes it or cleans up. If that host is lost for good, "
            f"and with it what the VM has there, delete {path}.",
            option="name",
            value=name,
            destination=destination,
            path=str(path),
        )


def is_leaving(folder: str) -> bool:
    """Return whether a migration of the VM with this folder from this host began and did not end, as far as can be known."""
    try:
        mark = read_mark(folder)
    except EdgeError:
        return True
    return mark is not None and mark["phase"] != "failed"


def is_incoming(folder: str) -> bool:
    """Return whether a migration of the VM with this folder to this host began and did not end."""
    return Path(folder, NOTE).exists()


def refuse_incoming(name: str, folder: str) -> None:
    """Raise Busy where a migration of this VM to this host began and did not end."""
    path = Path(folder, NOTE)
    if is_incoming(folder):
        raise Busy(
            f"name: a migration of domain {name} to this host began and did not end; run edge.cloud.domain_migration "
            f"{_origin(path)} again, which finishes it or cleans up. If that host is lost for good and the VM is whole here, "
            f"delete {path}.",
            option="name",
            value=name,
            path=str(path),
        )


def note(here: str, uuid: str = "", files: Iterable[str] = ()) -> bytes:
    """Return the note on the destination: where the VM comes from, which it is, and what the migration makes there."""
    return (json.dumps({"source": here, "uuid": uuid, "files": list(files)}) + "\n").encode()


def noted_files(text: bytes, uuid: str) -> tuple[str, ...]:
    """Return what a migration of the VM of this UUID made by its note; nothing where it is of another, or broke off."""
    try:
        found = json.loads(text)
        return tuple(map(str, found["files"])) if found["uuid"] == uuid else ()
    except (ValueError, KeyError, TypeError):
        return ()


def _origin(path: Path) -> str:
    try:
        return f"on {json.loads(path.read_text(encoding='utf-8'))['source']}"
    except (OSError, ValueError, KeyError, TypeError):  # the note broke off before its text
        return "on the host that it comes from"
