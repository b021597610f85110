# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of snapshots in a VM's folder: whole or not there at all, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import Busy
from .layers import LEDGER
from .snapshot_ledger import Ledger, ledger_from_json


def sync(path: Path) -> None:
    """Make the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_ledger(home: str) -> Ledger:
    """Return the ledger of a VM's folder, an empty one where there is none; raise Corrupt where it cannot be read."""
    path = Path(home, LEDGER)
    try:
        return ledger_from_json(path.read_text(), str(path))
    except FileNotFoundError:
        return Ledger()


def write_ledger(home: str, ledger: Ledger) -> None:
    """Replace the ledger; a reader, and a host that lost its power, see the old or the new one."""
    path = Path(home, LEDGER)
    work = path.with_name(f".{LEDGER}.new")
    work.touch(mode=0o600)
    work.write_text(ledger.to_json())
    sync(work)
    work.replace(path)
    sync(path.parent)


def remove(path: str) -> None:
    """Delete a file, durably; that it is gone already is no error."""
    Path(path).unlink(missing_ok=True)
    sync(Path(path).parent)


@contextmanager
def only_writer(home: str) -> Iterator[None]:
    """Hold the VM's folder for changes of its snapshots; raise Busy where another run does. A dead process holds nothing."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another run changes the snapshots in {home} now; try again when it has ended.", path=home) from None
        yield
    finally:
        os.close(descriptor)
