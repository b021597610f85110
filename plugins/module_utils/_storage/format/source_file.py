# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of the user that is read more than once: opened once, so that every read is of the same file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._errors import Conflict, EdgeError, InvalidInput, NotFound

State = tuple[int, int, int, int, int]


def state_of(path: Path) -> State:
    """Return what shows that a regular file changed: inode, size and times; raise NotFound or InvalidInput for another one."""
    try:
        return _state(path.stat(), path)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist on this host.", path=str(path)) from None


@contextmanager
def held(path: Path) -> Iterator[Path]:
    """Do as ``opened``, and raise Conflict at the end if the file was written or replaced meanwhile."""
    with opened(path) as name:
        before = state_of(name)
        yield name
        if state_of(name) != before:
            raise Conflict(
                f"{path} was changed or replaced while it was read; nothing was kept. Run again when nothing writes it.",
                path=str(path),
            )


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Yield another name of the file at ``path``, which means that file whatever takes its place, for us and our children.

    Errors name ``path``. Raises NotFound or InvalidInput unless it is a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)  # no pipe holds us up
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist on this host.", path=str(path)) from None
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket or a device without a driver
            raise InvalidInput(f"{path} is not a regular file.", path=str(path)) from None
        raise
    try:
        _state(os.fstat(descriptor), path)
        name = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        with named(name, str(path)):
            yield name
    finally:
        os.close(descriptor)


def _state(found: os.stat_result, path: Path) -> State:
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is not a regular file.", path=str(path))
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextmanager
def named(path: Path, source: str) -> Iterator[None]:
    """Let errors about our own name of a file give its source, which the user knows."""
    try:
        yield
    except EdgeError as error:
        error.message = error.message.replace(str(path), source)
        error.args = (error.message,)
        error.details = {key: _renamed(value, str(path), source) for key, value in error.details.items()}
        raise


def _renamed(value: Any, name: str, source: str) -> Any:
    if isinstance(value, str):
        return value.replace(name, source)
    return [_renamed(one, name, source) for one in value] if isinstance(value, list) else value
