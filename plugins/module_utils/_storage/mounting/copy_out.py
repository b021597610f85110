# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies a file of a guest that is shown below a folder. Its links are the guest's: none of them leads to a file of this host."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from ... import _files, _libc
from ..._errors import Conflict, NotFound, Refused
from .holders import mounted
from .mount import FILES

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
CHUNK = 2**20


def copy_out(folder: Path, name: str, to: Path) -> int:
    """Copy the guest's file ``name`` to the new file ``to``, whole and durable, mode 0600; return its length.

    Raises NotFound, Conflict where ``to`` exists, Refused for what is not a plain file, or NoSpace.
    """
    files = folder / FILES
    if files not in set(mounted(folder)):
        raise NotFound(
            f"path: no files are shown in {folder}; run edge-host point mount with partition first.",
            option="path",
            path=str(folder),
        )
    if os.path.lexists(to):
        raise Conflict(f"to: {to} exists; it was left alone. Give another one.", option="to")
    if not to.parent.is_dir():
        raise NotFound(f"to: the folder {to.parent} does not exist; create it first.", option="to")
    root = os.open(files, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        descriptor = _opened(root, name)
        try:
            return _copied(descriptor, name, to)
        finally:
            os.close(descriptor)
    finally:
        os.close(root)


def _opened(root: int, name: str) -> int:
    if "\0" in name:
        raise NotFound("file: no file has a name with a NUL.", option="file")
    try:
        return _libc.open_in_root(root, name, READ)
    except OSError as error:
        raise NotFound(f"file: {name!r:.300} cannot be opened among the guest's files: {error.strerror}.", option="file") from None


def _copied(source: int, name: str, to: Path) -> int:
    about = os.fstat(source)
    if not stat.S_ISREG(about.st_mode):
        raise Refused(f"file: {name!r:.300} is not a plain file of the guest; only these are copied.", option="file")
    _files.require_space(to.parent, about.st_size, f"The guest's file {name!r:.300}")
    work = to.with_name(f".{to.name}.new")
    work.unlink(missing_ok=True)
    try:
        work.touch(mode=0o600, exist_ok=False)  # from its first byte
        with os.fdopen(source, "rb", closefd=False) as file, work.open("wb") as target:
            shutil.copyfileobj(file, target, CHUNK)
            size = target.tell()
        _files.fsync(work)
        _files.rename_new(work, to)
        _files.fsync(to.parent)
    finally:
        work.unlink(missing_ok=True)
    return size
