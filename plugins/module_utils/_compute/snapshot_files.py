# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of snapshots in a VM's folder: whole or not there at all, and one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

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
