# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of disk files that no program writes: their blocks shared where the file system can, else their holes kept."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from pathlib import Path

from ... import _files, _sparse
from ..._errors import Busy, Refused
from ..._space import Space
from ..format import disk_format, qcow2
from ..format.qemu_img import QemuImg
from ..store import lease

FICLONE = 0x40049409  # linux/fs.h


def require_own_data(path: Path, image_format: str) -> None:
    """Raise Refused for a qcow2 that keeps its data in another file."""
    header = qcow2.read_header(path) if image_format == "qcow2" else None
    if header is not None and header.external_data:
        raise Refused(f"{path} keeps its data in another file ({header.data_file!r}), which is not copied", path=str(path))


def copy_disk(qemu: QemuImg, source: Path, image_format: str, target: Path, image: Path | None) -> None:
    """Copy a disk's file as it is; the copy uses ``image``, by a lease from before its first byte, and has no dirty bitmaps.

    It names the image by its whole path, wherever it is.

    The format of the copy is on record from its start.
    """
    target.touch(mode=0o600, exist_ok=False)
    disk_format.note_format(target, image_format)
    if image is None:
        copy_into(source, target)
    else:
        with _files.file_lock(image, shared=True) as held:
            lease.note(image, target, target)
            _files.require_named(image, held)
            copy_into(source, target)
            if qcow2.read_header(target).backing_file != str(image):
                qemu.rebase(target, (image, "qcow2"), unsafe=True)
    if image_format == "qcow2":
        qemu.remove_bitmaps(target)
    _files.fsync(target)


def copy_into(source: Path, target: Path) -> None:
    """Give an empty file the content of another; the space that it takes is there before the first byte, or none is written."""
    with source.open("rb") as old, target.open("r+b") as new:
        owned_as(old.fileno(), target)
        if _shared(old.fileno(), new.fileno()):
            return
        size, space = os.fstat(old.fileno()).st_size, Space(target.parent, f"The copy of {source}", alone=True)
        parts = _sparse.extents(old.fileno(), 0, size)
        space.take(new.fileno(), [(part.offset, part.length) for part in parts if part.data])
        with space.writing():
            os.ftruncate(new.fileno(), size)
            whole = _sparse.copy(old.fileno(), new.fileno(), source_offset=0, offset=0, length=size)
        if not whole or os.fstat(old.fileno()).st_size != size:
            raise Busy(f"{source} changed its length while it was copied; see who writes it, and run again.", path=str(source))


def owned_as(original: int, path: Path) -> None:
    """Give a copy the owner and the mode of its original, but nothing to all others."""
    found = os.fstat(original)
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode) & 0o660)


def _shared(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:
        return False
    return True


def shares_blocks(source: Path, folder: Path) -> bool:
    """Return whether a copy of the file in the folder shares its blocks; nothing is left of the try."""
    with tempfile.NamedTemporaryFile(prefix=".edge-share-", dir=_files.nearest_folder(folder)) as probe, source.open("rb") as old:
        return _shared(old.fileno(), probe.fileno())


def settle_lease(image: Path, old: Path, path: Path) -> None:
    """Let the lease of a disk name the path that it has now; it never is without one."""
    if lease.is_image(image):
        lease.write(image, path, path)
        for one in lease.leases_of(image, old):
            lease.drop(one)
