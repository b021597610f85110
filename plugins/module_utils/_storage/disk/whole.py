# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk files that appear, or replace another, whole: under a scratch name until they are durable."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import _files
from ..._errors import Busy, Conflict, NotFound
from ..._image_lock import take_place, unwritten
from ..format import disk_format


@contextmanager
def appearing(path: Path, image_format: str = "qcow2") -> Iterator[Path]:
    """Yield a scratch name beside ``path``; the file made there gets its name at the end, durable, or is removed on an error.

    Its format is on record before anybody can find it.

    A file that appears under ``path`` meanwhile is left alone, and raises Conflict. The folder is locked meanwhile, so that the
    scratch name is ours; a file that a killed process left there is replaced.
    """
    if not path.parent.is_dir():
        raise NotFound(f"The folder {path.parent} does not exist; create it first.", path=str(path.parent))
    work = path.with_name(f".{path.name}.new")
    with _files.file_lock(path.parent, shared=False):
        work.unlink(missing_ok=True)
        if os.path.lexists(path):
            raise Conflict(f"{path} was created by another process meanwhile; run again.", path=str(path))
        try:
            yield work
            work.chmod(0o600)
            disk_format.note_format(work, image_format)
            _files.fsync(work)
            _files.rename_new(work, path)
        finally:
            work.unlink(missing_ok=True)
        _files.fsync(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a scratch name beside a disk; the new file replaces it, durable, with its owner and mode, or is removed on an error.

    No guest can start on the disk meanwhile; raises Busy where one runs on it.
    """
    work = path.with_name(f".{path.name}.flat")
    with unwritten(path) as hold:
        fcntl.flock(hold.descriptor, fcntl.LOCK_EX)  # waits for who makes an overlay over it
        if not hold.still_named():
            raise Busy(f"{path} was replaced by another process meanwhile; run again.", path=str(path))
        work.unlink(missing_ok=True)
        old = os.fstat(hold.descriptor)
        try:
            yield work
            os.chown(work, old.st_uid, old.st_gid)
            work.chmod(stat.S_IMODE(old.st_mode))
            disk_format.note_format(work, "qcow2")
            _files.fsync(work)
            take_place(hold, work)
        finally:
            work.unlink(missing_ok=True)
