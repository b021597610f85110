# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies a file of a guest that is shown below a folder. Its links are the guest's: none of them leads to a file of this host."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ... import _files, _libc
from ..._errors import Conflict, Corrupt, NotFound, Refused, Unsupported
from .holders import mounted
from .mount import FILES

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
CHUNK = 2**20


def copy_out(folder: Path, name: str, to: Path) -> int:
    """Copy the guest's file ``name`` to the new file ``to``, whole and durable, mode 0600; return its length.

    Raises NotFound, Conflict where ``to`` exists, Refused for what is not a plain file, Corrupt for one that is not as long as it
    says, or NoSpace. A kill leaves nothing.
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
    folder = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _nameless(folder, to) as target:
            _fill(source, target, about.st_size, name)
            target.flush()
            os.fsync(target.fileno())
            # Only with a folder's descriptor it is linkat(2) that Python calls, which follows the link of /proc.
            os.link(f"/proc/self/fd/{target.fileno()}", to.name, dst_dir_fd=folder, follow_symlinks=True)
        os.fsync(folder)
    except FileExistsError:
        raise Conflict(f"to: {to} was created by another process meanwhile; it was left alone.", option="to") from None
    finally:
        os.close(folder)
    return about.st_size


def _nameless(folder: int, to: Path) -> BinaryIO:
    """Open a new file that has no name yet, which the kernel removes where we are killed, mode 0600 from its first byte."""
    try:
        return os.fdopen(os.open(f"/proc/self/fd/{folder}", os.O_TMPFILE | os.O_WRONLY, 0o600), "wb")
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
        raise Unsupported(
            f"to: the file system of {to.parent} has no files without a name; give a path on a local disk, and move the file then.",
            option="to",
        ) from None


def _fill(source: int, target: BinaryIO, size: int, name: str) -> None:
    """Copy ``size`` bytes, and see that there are no more: whoever gives them is as little to be believed as the guest."""
    left = size
    while chunk := os.read(source, min(CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            break
        target.write(chunk)
    if left:
        raise Corrupt(
            f"file: {name!r:.300} cannot be copied whole: it has {size} bytes, and gives {'more' if left < 0 else size - left}. "
            "The guest's file system may be damaged; try an earlier recovery point.",
            option="file",
        )
