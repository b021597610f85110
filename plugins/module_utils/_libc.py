# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls of Linux that Python's library does not have, by the C library; each raises OSError as those of ``os`` do."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

AT_FDCWD = -100
RENAME_NOREPLACE = 1
KEEP_SIZE, PUNCH_HOLE = 1, 2
_C = ctypes.CDLL(None, use_errno=True)


def rename_noreplace(old: Path, new: Path) -> None:
    """Rename a file unless the new name exists; EINVAL where the file system cannot."""
    names = (os.fsencode(old), os.fsencode(new))
    if _C.renameat2(AT_FDCWD, ctypes.c_char_p(names[0]), AT_FDCWD, ctypes.c_char_p(names[1]), ctypes.c_uint(RENAME_NOREPLACE)):
        raise _failed(str(new))


def fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    """Allocate or punch out a range of a file; EOPNOTSUPP where the file system cannot."""
    if _C.fallocate(ctypes.c_int(descriptor), ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length)):
        raise _failed(None)


def _failed(name: str | None) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name) if name else OSError(number, os.strerror(number))
