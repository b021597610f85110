# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a folder any process reads: what a program really did, whatever it says that it did."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ACCESS = 0x1
NONBLOCK = 0o4000
EVENT = struct.Struct("iIII")


@contextmanager
def reads(folder: Path) -> Iterator[set[str]]:
    """Collect the names of the files in a folder from which a byte is read meanwhile; they are known when this ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(NONBLOCK)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    found: set[str] = set()
    try:
        assert libc.inotify_add_watch(descriptor, os.fsencode(folder), ACCESS) >= 0, os.strerror(ctypes.get_errno())
        yield found
        with suppress(BlockingIOError):
            while data := os.read(descriptor, 65536):
                found |= set(_names(data))
    finally:
        os.close(descriptor)


def _names(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        _watch, _mask, _cookie, length = EVENT.unpack_from(data, at)
        yield os.fsdecode(data[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0"))
        at += EVENT.size + length
