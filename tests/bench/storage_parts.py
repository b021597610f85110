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
FAST = Goal("ours", 0.05, "s")
SMALL = Goal("ours", MIB, "B")
TENTH = Goal(bound=0.10)
SOONER = Goal(bound=1)
PACE = Goal(bound=0.9, at_least=True)
NEARLY = Goal(bound=0.95, at_least=True)


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
