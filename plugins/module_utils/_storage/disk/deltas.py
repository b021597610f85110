# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deltas of recovery points: qcow2 files of what changed on a disk, whose other content is not in them (see ``_generation``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..format.qemu_img import QemuImg


def compare(qemu: QemuImg, path: Path, size: int, source: Mapping[str, Any] | Path, image: Path | None) -> None:
    """Make the delta that has all in which a disk differs from its image, or from an empty disk; nothing may write the disk.

    ``source`` are QEMU's options of a raw disk, or a qcow2 that stands on others.
    """
    below = (str(source), "qcow2") if isinstance(source, Path) else (f"json:{json.dumps(dict(source))}", "raw")
    qemu.create_delta(path, size, below)
    qemu.rebase(path, (image, "qcow2") if image else None)
    if image:
        qemu.rebase(path, None, unsafe=True)
