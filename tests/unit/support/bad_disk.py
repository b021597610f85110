# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with a file system that goes bad beneath the kernel: bytes that change, sectors that cannot be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import until

SECTOR = 512


def new_disk(path: Path, mib: int) -> Path:
    """Make a file that holds an empty ext4."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("a loop device needs root and the kernel's driver")
    path.touch()
    os.truncate(path, mib * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", path], check=True)
    return path


@contextmanager
def mounted(disk: Path, folder: Path) -> Iterator[Path]:
    """Mount the disk; what is in its file is what the kernel reads from it."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def place_of(disk: Path, data: bytes) -> int:
    """Return where some bytes are on a disk; they are there once."""
    os.sync()
    whole = disk.read_bytes()
    assert whole.count(data) == 1
    return whole.find(data)


@contextmanager
def bad_sectors(disk: Path, places: Sequence[int]) -> Iterator[Path]:
    """Give the disk as a file whose sectors at these bytes cannot be read: QEMU's blkdebug, exported by FUSE."""
    if not Path("/dev/fuse").exists() or not shutil.which("qemu-storage-daemon"):
        pytest.skip("bad sectors need FUSE and qemu-storage-daemon")
    shown = disk.with_suffix(".bad")
    shown.touch()
    errors = [{"event": "none", "iotype": "read", "sector": place // SECTOR, "errno": 5} for place in places]
    node = {"driver": "blkdebug", "node-name": "d", "image": {"driver": "file", "filename": str(disk)}, "inject-error": errors}
    export = f"type=fuse,id=e,node-name=d,mountpoint={shown},writable=on"
    with subprocess.Popen(["qemu-storage-daemon", "--blockdev", json.dumps(node), "--export", export]) as program:
        until(lambda: program.poll() is not None or shown.stat().st_size, "the export")
        if program.poll() is not None:
            pytest.skip("this qemu-storage-daemon has no FUSE exports")
        try:
            yield shown
        finally:
            program.terminate()
