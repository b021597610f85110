# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between lab commands: file locks, which end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .command import say


@contextmanager
def locked(path: Path, subject: str) -> Iterator[int]:
    """Hold an exclusive lock on a file; wait for whoever holds it, and say so. Yields its descriptor.

    A lock file may be removed by its holder; the next one then notices and takes the new file.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _taken_soon(descriptor):
                say(subject, "another lab command is at work on it, waiting")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _same_file(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _taken_soon(descriptor: int, patience: float = 2) -> bool:
    """Take the lock if it becomes free within some seconds; return whether it did."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
