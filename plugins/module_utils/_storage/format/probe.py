# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own detection of image formats, by magic numbers: no program is left to guess from hostile bytes."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from ..._errors import Corrupt, InvalidInput, Refused, Unsupported
from . import disk_format, qcow2

FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc")
HEAD, FOOTER, ISO_AT = 65536, 512, 32769
VDI_HEADER = 0x188
PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip",
          b"7z\xbc\xaf\x27\x1c": "7z"}  # fmt: skip


def detect(head: bytes, footer: bytes, where: str) -> str:
    """Return the format of a disk image from its first and last bytes; an unknown format is an error, not a guess."""
    if head[:4] == qcow2.MAGIC:
        return "qcow2"
    if head[:4] == b"KDMV" or head[:4] == b"COWD" or head.lstrip()[:21].lower() == b"# disk descriptorfile":
        return "vmdk"
    _refuse_tar(head, where)
    if head[:8] == b"vhdxfile":
        return "vhdx"
    if head[:8] == b"conectix" or footer[:8] == b"conectix":
        return "vpc"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART" or head[ISO_AT : ISO_AT + 5] == b"CD001":
        return "raw"
    for magic, name in PACKED.items():
        if head.startswith(magic):
            raise Unsupported(f"{where} is packed with {name} and cannot be unpacked here; unpack it first.", path=where)
    if says := not_a_disk(head):
        raise InvalidInput(f"{where} is not a disk image: {says}", path=where)
    raise InvalidInput(f"{where}: no disk image format is recognised; name its format if you know it.", path=where)


def not_a_disk(head: bytes) -> str:
    """Return what a server or a copy left in place of a disk image, by its first bytes; the empty text where that is not known."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "" if head else "it is empty."
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page. Is a sign-in page in between?"
    if start.startswith((b"<?xml", b"<error")):
        return "it is an XML document, such as a server's error."
    if start.startswith((b'{"', b"{\n", b"{ ")):
        return "it is a JSON document, such as a server's error."
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; get the file itself (git lfs pull)."
    return ""


def _refuse_tar(head: bytes, where: str) -> None:
    """Raise Unsupported for a tar archive of any age, by the checksum of its first header."""
    header, digits = head[:512], head[148:156].strip(b" \0")
    if len(header) < 512 or not re.fullmatch(rb"[0-7]{1,7}", digits):
        return
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") == int(digits, 8):
        first = header[:100].split(b"\0")[0].decode(errors="replace")
        raise Unsupported(
            f"{where} is a tar archive, not a disk image; unpack it (tar -xf) and import the disk image in it. Its first file is "
            f"{first!a}.",
            path=where,
        )


def format_of(path: Path, named: str | None) -> str:
    """Return the format of ``path``: the ``named`` one if its magic does not contradict it, the recorded one, or the detected one.

    Nothing that its guest wrote into a raw disk makes it another format, unless that names other files: then it must be named.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, file.seek(0, 2) - FOOTER))
        footer = file.read(FOOTER)
    if named == "raw":
        return named
    if named is None and disk_format.recorded_raw(path) and disk_format.detect_format(path) == "raw":
        return "raw"
    found = detect(head, footer, str(path))
    if named is not None and found != named:
        raise InvalidInput(f"{path} should be {named}, but its first bytes are those of {found}.", path=str(path))
    if found == "vdi":
        _require_whole_vdi(head, path)
    if found == "vmdk":
        _refuse_vmdk_with_extents(head, str(path))
    return found


def _require_whole_vdi(head: bytes, path: Path) -> None:
    """Raise Corrupt if blocks lie beyond the end of the file: QEMU silently reads zeros there."""
    size = path.stat().st_size
    if len(head) < VDI_HEADER:
        raise Corrupt(f"{path} is not a sound vdi image: its header is cut short.", path=str(path))
    data_at, block_size, allocated = (struct.unpack_from("<I", head, at)[0] for at in (0x158, 0x178, 0x184))
    if size < data_at + block_size * allocated:
        raise Corrupt(
            f"{path} is cut short: its {size} bytes do not hold all of its {allocated} blocks. Download it again.", path=str(path)
        )


def _refuse_vmdk_with_extents(head: bytes, where: str) -> None:
    """Refuse a VMDK that keeps its data elsewhere: its descriptor can name any file of this host."""
    if head[:4] != b"KDMV" or len(head) < 20 or struct.unpack_from("<Q", head, 12)[0] == 0:
        raise Refused(f"{where} is refused: it is a VMDK descriptor that keeps its data in other files.", path=where)
