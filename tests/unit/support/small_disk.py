# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that is soon full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, mib: int) -> Iterator[Path]:
    """Have a file system of so many MiB at a new folder; skip the test where only root could."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "small", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
