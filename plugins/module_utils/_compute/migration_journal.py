# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a migration, in the VM's folder on its source: what a rerun needs to finish or to clean up.

Where the VM is follows from the phase: ``prepared`` – here, unless libvirt defined the domain on the destination, which it does at
the switch-over and not before; ``failed`` – here, with leftovers there; ``moved`` – there, verified.

Its twin on the destination is a note (``incoming.json``) in the VM's folder there: nobody but this migration works on the VM there
while it stands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from .._errors import Busy, Corrupt

FILE, NOTE = "migration.json", "incoming.json"
PHASES = ("prepared", "failed", "moved")


@dataclass(frozen=True)
class Journal:
    """One migration: ``made`` are the files that we make on the destination, ``files`` those that are deleted here at the end.

    ``run`` and ``autostart`` are what the VM was when it began and shall be again; ``checkpoints`` are XMLs, parents first.
    """

    destination: str
    uuid: str
    run: str
    autostart: bool
    files: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    phase: str = "prepared"

    def with_made(self, paths: Iterable[str]) -> Journal:
        """Return it with these files of ours on the destination."""
        return replace(self, made=tuple(dict.fromkeys((*self.made, *paths))))


def read_journal(folder: str) -> Journal | None:
    """Return the journal of the VM with this folder, None where no migration began."""
    path = Path(folder, FILE)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        known = {one.name for one in fields(Journal)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known
        }
        journal = Journal(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise Corrupt(
            f"The journal {path} of a migration cannot be read ({error}); see the guide to migration.", path=str(path)
        ) from None
    if journal.phase not in PHASES:
        raise Corrupt(f"The journal {path} has the phase {journal.phase!r}, which this version does not know.", path=str(path))
    return journal


def write_journal(folder: str, journal: Journal) -> None:
    """Make the journal durable: a reader sees the old one or the new one, whole."""
    path = Path(folder, FILE)
    work = path.with_name(f".{FILE}.new")
    with work.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(journal), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    work.rename(path)
    _sync(path.parent)


def remove_journal(folder: str) -> None:
    """Forget the migration."""
    path = Path(folder, FILE)
    if path.exists():
        path.unlink()
        _sync(path.parent)


def refuse_while_migrating(name: str, folder: str, run: str) -> None:
    """Raise Busy where a migration to this host has no end, or one from it while the VM does not run here.

    Working on a VM that arrives would spoil it, and starting one that left could start it a second time.
    """
    refuse_incoming(name, folder)
    journal = read_journal(folder)
    if journal is not None and journal.phase != "failed" and run == "stopped":
        raise Busy(
            f"name: a migration of domain {name} to {journal.destination} began and has no end; run edge.cloud.domain_migration "
            f"with destination {journal.destination} again, which finishes it or cleans up.",
            option="name",
            value=name,
            destination=journal.destination,
        )


def refuse_incoming(name: str, folder: str) -> None:
    """Raise Busy where a migration of this VM to this host began and has no end."""
    path = Path(folder, NOTE)
    if path.exists():
        raise Busy(
            f"name: a migration of domain {name} to this host began and has no end; run edge.cloud.domain_migration "
            f"{_origin(path)} again, which finishes it or cleans up. If that host is lost for good and the VM is whole here, "
            f"delete {path}.",
            option="name",
            value=name,
            path=str(path),
        )


def note(here: str) -> bytes:
    """Return what the note on the destination says: where the VM comes from."""
    return (json.dumps({"source": here}) + "\n").encode()


def _origin(path: Path) -> str:
    try:
        return f"on {json.loads(path.read_text(encoding='utf-8'))['source']}"
    except (OSError, ValueError, KeyError, TypeError):  # the note broke off before its text
        return "on the host that it comes from"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
