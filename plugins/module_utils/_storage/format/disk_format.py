# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format of a disk's file: recorded with the file, else probed without trust, since a guest owns the bytes of its raw disk.

The record is an extended attribute that only root can set, and that a root without CAP_SYS_ADMIN can read (``trusted`` ones it
cannot): edge-gc.service is one. It belongs to the file and not to a name, so that it survives the
domain, a rename, a hard link and a bind mount, and is gone with the file; no second file has to be kept in step with it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..._errors import EdgeError, Refused
from . import qcow2

ATTRIBUTE = "security.edge.format"
FORMATS = ("qcow2", "raw")
HEAD = 65536
OTHERS = {
    b"QED\0": "qed",
    b"KDMV": "vmdk",
    b"COWD": "vmdk",
    b"vhdxfile": "vhdx",
    b"conectix": "vpc",
}
VDI_AT, VDI = 64, b"\x7f\x10\xda\xbe"


def note_format(path: Path, image_format: str) -> None:
    """Record the format of a regular file; one whose file system keeps no such attributes stays without a record."""
    with contextlib.suppress(OSError):
        if path.is_file():
            os.setxattr(path, ATTRIBUTE, image_format.encode())


def noted_format(path: Path) -> str | None:
    """Return the recorded format of a file, None where there is no record."""
    try:
        found = os.getxattr(path, ATTRIBUTE).decode(errors="replace")
    except OSError:
        return None
    return found if found in FORMATS else None


@dataclass(frozen=True)
class Probed:
    """What the first bytes of a file say: its format, and why they are not to be believed, None where nothing speaks against it."""

    format: str
    doubt: str | None = None


def probed(path: Path) -> Probed:
    """Return what a file looks like: what is neither qcow2 nor another known format is raw."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[:4] == qcow2.MAGIC:
        return Probed("qcow2", _outside(path))
    found = next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)
    found = found or ("vdi" if head[VDI_AT : VDI_AT + 4] == VDI else "vmdk" if _is_vmdk_text(head) else None)
    return Probed(found, f"it begins as {found}") if found else Probed("raw")


def _outside(path: Path) -> str | None:
    """Return which other file a qcow2 header has QEMU open, or why that is not known."""
    try:
        header = qcow2.read_header(path)
    except EdgeError as error:
        return f"it begins as qcow2 with a header that cannot be read ({error.message})"
    if header.backing_file is not None:
        return f"it begins as qcow2 with the backing file {header.backing_file!r}"
    return f"it begins as qcow2 with its data in another file ({header.data_file!r})" if header.external_data else None


def _is_vmdk_text(head: bytes) -> bool:
    """Return whether QEMU would take a text for a VMDK descriptor: comments and empty lines, then a version."""
    for line in head.splitlines():
        if line.strip() and not line.startswith(b"#"):
            return line.startswith(b"version=")
        if line.lower().startswith(b"# disk descriptorfile"):
            return True
    return False


def detect_format(path: Path, option: str = "format") -> str:
    """Return the format of a disk's file that nothing else tells; raise Refused where its bytes are not to be believed.

    A qcow2 that names other files is taken if it is recorded as one. ``option`` is where a user can say the format.
    """
    found, recorded = probed(path), noted_format(path)
    if found.doubt and not (recorded == found.format == "qcow2"):
        raise Refused(
            f"{path} has no known format: {found.doubt}, which the guest of a raw disk can write there, so that QEMU "
            f"opens other files of this host. Give {option}: raw if it is a raw disk, or {option}: qcow2 if you know its origin.",
            path=str(path),
        )
    return recorded if recorded == "raw" else found.format


def recorded_raw(path: Path) -> bool:
    """Return whether the file is on record as raw: whatever a guest writes into it says nothing about it."""
    return noted_format(path) == "raw"
