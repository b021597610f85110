# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a tree of files the same in every build: its times, and Python's byte code."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file of the image, its folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def settle_times(root: Path, began: float) -> int:
    """Give all that is not from a package the time of the youngest package file, and return that time."""
    paths = [root, *root.rglob("*")]
    times = {path: int(path.lstat().st_mtime) for path in paths}
    epoch = max((mtime for mtime in times.values() if mtime < began), default=0)
    # As young as /usr: systemd has nothing to bring up to date at the first boot.
    for stamp in (root / "etc/.updated", root / "var/.updated"):
        write(stamp, f"TIMESTAMP_NSEC={epoch}000000000\n")
        times[stamp] = epoch
    times |= dict.fromkeys((root / "etc", root / "var"), epoch)
    settled = {path: min(mtime, epoch) for path, mtime in times.items()}
    for path in times:
        if path.suffix == ".pyc" and path.parent.name == "__pycache__":
            settle_bytecode(path, settled)
    for path, mtime in settled.items():
        os.utime(path, (mtime, mtime), follow_symlinks=False)
    return epoch


def settle_bytecode(path: Path, times: Mapping[Path, int]) -> None:
    """Bind byte code to the time and size of its source.

    With SOURCE_DATE_EPOCH Python binds it to a hash instead, so that each import reads and hashes the source too.
    That costs seconds of a first boot under emulation.
    """
    source = path.parent.parent / (path.name.split(".", 1)[0] + ".py")
    if source not in times or source.is_symlink():
        return
    with path.open("r+b") as out:
        out.seek(4)  # after the magic number: flags, time, size
        out.write(struct.pack("<3L", 0, times[source], source.stat().st_size & 0xFFFFFFFF))
