# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a migration, in the VM's folder on its source: what a rerun needs to finish or to clean up.

Where the VM is follows from the phase: ``prepared`` – here, unless libvirt defined the domain on the destination, which it does at
the switch-over and not earlier; ``failed`` – here, with leftovers there that never ran; ``post-copy`` – there, with a part of its
memory here; ``moved`` – there, verified.

Its twin on the destination is a note in the VM's folder there (``host/migration_mark``): only this migration works on the VM there
while the note exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..._files import fsync, write_atomically
from ..host.migration_mark import FILE, SCHEMA, read_mark, unreadable

HANDED_OVER = ("post-copy", "moved")


@dataclass(frozen=True)
class Journal:
    """One migration: ``made`` are the files that we make on the destination, ``files`` those that are deleted here at the end.

    ``run`` and ``autostart`` are what the VM was when it began and is to be again; ``checkpoints`` are XMLs, parents first.
    ``home`` is whether the VM comes back to the destination.
    """

    destination: str
    uuid: str
    run: str
    autostart: bool
    files: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    phase: str = "prepared"
    home: bool = False

    def with_made(self, paths: Iterable[str]) -> Journal:
        """Return it with these files of ours on the destination."""
        return replace(self, made=tuple(dict.fromkeys((*self.made, *paths))))


def read_journal(folder: str) -> Journal | None:
    """Return the journal of the VM with this folder, None where no migration began; raise Corrupt where it cannot be read."""
    data = read_mark(folder)
    if data is None:
        return None
    known = {one.name for one in fields(Journal)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known
    }
    try:
        return Journal(**values)
    except TypeError as error:
        raise unreadable(Path(folder, FILE), error) from None


def write_journal(folder: str, journal: Journal) -> None:
    """Make the journal durable: a reader sees the old one or the new one, whole; its checkpoints have the passwords of displays."""
    path = Path(folder, FILE)
    data = json.dumps({"schema": SCHEMA, **asdict(journal)}, indent=1) + "\n"
    write_atomically(path, data.encode(), path.with_name(f".{FILE}.new"), 0o600)


def remove_journal(folder: str) -> None:
    """Forget the migration."""
    path = Path(folder, FILE)
    if path.exists():
        path.unlink()
        fsync(path.parent)
