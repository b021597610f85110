# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest can write into its raw disk so that QEMU, guessing the format, opens files of the host."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format, noted_format

SIZE = 4 * 2**20
ALONE = b"QFI\xfb" + struct.pack(">I", 3)


def qemu_img(*argv: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, argv)], check=True, capture_output=True)


def over(work: Path, backing: str) -> bytes:
    """Return a qcow2 with this backing file name."""
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", backing, "-F", "raw", work, "1M")
    return work.read_bytes()


def _with_data_file(work: Path, secret: Path) -> bytes:
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={secret}.new,data_file_raw=on", work, "1M")
    return work.read_bytes()


def _made(image_format: str) -> Callable[[Path, Path], bytes]:
    def make(work: Path, _secret: Path) -> bytes:
        qemu_img("create", "-q", "-f", image_format, work, "1M")
        return work.read_bytes()

    return make


def _vmdk_text(_work: Path, secret: Path) -> bytes:
    return f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "{secret}" 0\n'.encode()


def _vmdk_comment(_work: Path, secret: Path) -> bytes:
    return f'\n# anything\nversion=1\nRW 2048 FLAT "{secret}" 0\n'.encode()


HOSTILE: dict[str, Callable[[Path, Path], bytes]] = {
    "backing file": lambda work, secret: over(work, str(secret)),
    "relative backing file": lambda work, _secret: over(work, "../../etc/shadow"),
    "json": lambda work, secret: over(work, f'json:{{"driver":"raw","file":{{"driver":"file","filename":"{secret}"}}}}'),
    "nbd": lambda work, _secret: over(work, "nbd://host.example/x"),
    "data file": _with_data_file,
    "broken header": lambda _work, _secret: ALONE + b"\xff" * 512,
    "qcow1": lambda _work, _secret: b"QFI\xfb" + struct.pack(">I", 1) + bytes(512),
    "qed": lambda _work, _secret: b"QED\0" + bytes(512),
    "vmdk text": _vmdk_text,
    "vmdk text after comments": _vmdk_comment,
    "vmdk": _made("vmdk"),
    "vdi": _made("vdi"),
    "vhdx": _made("vhdx"),
    "vpc": _made("vpc"),
}


def without_backing_format(header: bytes) -> bytes:
    """Return a qcow2 without its backing format, as older programs made it: the extension gets a type that nobody knows."""
    return header.replace(b"\xe2\x79\x2a\xca", b"\x01\x02\x03\x04", 1)


def write_hostile(disk: Path, kind: str) -> Path:
    """Write such a header into a raw disk, as its guest can, and return the file of the host that it may name."""
    secret, work = disk.with_name("secret"), disk.with_name("work")
    secret.write_bytes(b"secret of the host\n" + bytes(2**20))
    head = HOSTILE[kind](work, secret)
    if not disk.exists():
        disk.write_bytes(bytes(SIZE))
    with disk.open("r+b") as file:
        file.write(head)
    return secret


def require_records(folder: Path) -> None:
    """Skip a test that needs the record of a format where this file system or user cannot keep one."""
    probe = folder / ".record"
    probe.touch()
    note_format(probe, "raw")
    found = noted_format(probe)
    probe.unlink()
    if found is None:
        pytest.skip(f"{folder} keeps no security extended attributes for user {os.geteuid()}")
