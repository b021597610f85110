# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks of VMs that moved away, a small file each in a hidden folder of the store of VMs.

A mark is on the disk before its domain is undefined here, so that no power cut loses it. It counts while the domain is not here.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ..._errors import EdgeError
from ..._files import fsync, write_atomically
from ..._json import load_object
from ..model.elsewhere import Moved

FOLDER = ".moved"
LARGEST = 64 * 1024


def moved_path(vms: str, uuid: str) -> str:
    """Return where the mark of a VM is."""
    return f"{vms}/{FOLDER}/{uuid}.json"


def write_moved(vms: str, moved: Moved) -> None:
    """Make the mark durable; one that is there is replaced."""
    path = Path(moved_path(vms, moved.uuid))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fsync(path.parent.parent)
    write_atomically(path, (json.dumps(asdict(moved), indent=1) + "\n").encode(), path.with_name(f".{path.name}.new"), 0o644)


def read_moved(vms: str) -> tuple[Moved, ...]:
    """Return every mark; one that cannot be read still tells by its file's name which UUID moved."""
    return tuple(_read(path) for path in sorted(Path(vms, FOLDER).glob("[!.]*.json")))


def _read(path: Path) -> Moved:
    try:
        data = load_object(path.read_bytes(), str(path), LARGEST)
        return Moved(**{key: str(data[key]) for key in ("name", "uuid", "destination", "when")})
    except (OSError, EdgeError, KeyError):
        return Moved("", path.stem, "another host", "an unknown date")


def forget_moved(vms: str, uuid: str) -> None:
    """Remove the mark of a VM, if it has one."""
    path = Path(moved_path(vms, uuid))
    if path.exists():
        path.unlink()
        fsync(path.parent)
