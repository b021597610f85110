# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cases of the storage bench share: disks full of data, and goals."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from report import Goal
from support.images import MIB, qemu_img

GIB = 1024 * MIB
FAST = Goal("ours < 0.1 s", lambda ours, _ratio: ours < 0.1)
SMALL = Goal("ours < 1 MiB", lambda ours, _ratio: ours < MIB)
TENTH = Goal("ratio <= 0.10", lambda _ours, ratio: ratio <= 0.10)
PACE = Goal("ratio >= 0.9", lambda _ours, ratio: ratio >= 0.9)
NEARLY = Goal("ratio >= 0.95", lambda _ours, ratio: ratio >= 0.95)
TOLD = Goal("none", lambda _ours, _ratio: True)


def noise(path: Path, size: int, data: int) -> Path:
    """Make a raw disk of ``size`` bytes, of which ``data`` at the beginning are random and the rest a hole."""
    with path.open("wb") as file:
        for _block in range(data // MIB):
            file.write(os.urandom(MIB))
        file.truncate(size)
    return path


def filled(path: Path, size: int, data: int) -> Path:
    """Make a qcow2 disk of ``size`` bytes of which ``data`` are random."""
    plain = noise(path.with_suffix(".raw"), size, data)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", plain, path)
    plain.unlink()
    return path


def shell(command: str) -> None:
    """Run a pipeline of a user, every part of which has to end well."""
    subprocess.run(["bash", "-o", "pipefail", "-ec", command], check=True, stdin=subprocess.DEVNULL)


def used(path: Path) -> float:
    """Return the bytes that a file takes on the disk."""
    return float(path.stat().st_blocks * 512)
