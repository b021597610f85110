# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls of Linux that Python's library does not have, by the C library; each raises OSError as those of ``os`` do."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
RENAME_NOREPLACE = 1
KEEP_SIZE, PUNCH_HOLE = 1, 2
HANDLE_HEAD = struct.Struct("Ii")  # length and kind
LONGEST_HANDLE = 128
OPENAT2 = 437  # its number, on every architecture
HOW = struct.Struct("QQQ")  # flags, mode and how names are resolved
NO_OTHER_MOUNT, NO_MAGIC_LINKS, IN_ROOT = 1, 2, 16
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


def file_handle(path: Path) -> tuple[int, bytes]:
    """Return kind and bytes of the handle of a file, or of what a link leads to; EOPNOTSUPP where the file system has none."""
    buffer = ctypes.create_string_buffer(HANDLE_HEAD.pack(LONGEST_HANDLE, 0) + bytes(LONGEST_HANDLE))
    mount = ctypes.c_int()
    if _C.name_to_handle_at(AT_FDCWD, ctypes.c_char_p(os.fsencode(path)), buffer, ctypes.byref(mount), AT_SYMLINK_FOLLOW):
        raise _failed(str(path))
    length, kind = HANDLE_HEAD.unpack_from(buffer.raw)
    return kind, buffer.raw[HANDLE_HEAD.size : HANDLE_HEAD.size + length]


def open_by_handle(mounted: int, kind: int, handle: bytes, flags: int) -> int:
    """Open a file of the file system of the descriptor ``mounted``; ESTALE where it exists no more."""
    buffer = ctypes.create_string_buffer(HANDLE_HEAD.pack(len(handle), kind) + handle)
    descriptor = int(_C.open_by_handle_at(ctypes.c_int(mounted), buffer, ctypes.c_int(flags)))
    if descriptor < 0:
        raise _failed(None)
    return descriptor


def open_in_root(root: int, path: str, flags: int) -> int:
    """Open a file below the folder ``root`` as if that were the root of all: no link leads out of it, nor to another mount."""
    how = HOW.pack(flags | os.O_CLOEXEC, 0, NO_OTHER_MOUNT | NO_MAGIC_LINKS | IN_ROOT)
    name = ctypes.c_char_p(os.fsencode(path))
    descriptor = int(_C.syscall(ctypes.c_long(OPENAT2), ctypes.c_int(root), name, how, ctypes.c_size_t(HOW.size)))
    if descriptor < 0:
        raise _failed(path)
    return descriptor


def _failed(name: str | None) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name) if name else OSError(number, os.strerror(number))
