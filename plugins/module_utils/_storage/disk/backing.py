# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a qcow2 says of the files below it, before QEMU follows it there."""

from __future__ import annotations

from pathlib import Path

from ..._errors import Refused
from ..format import qcow2
from ..store import references


def require_formats(path: Path) -> None:
    """Raise Refused where a qcow2, or one below it, names a file without its format: QEMU would guess it from that file's bytes."""
    followed: set[Path] = set()
    while path not in followed and path.exists():
        followed.add(path)
        header = qcow2.read_header(path)
        if header.backing_file is None:
            return
        backing = references.backing_name(path, header.backing_file)
        if header.backing_format is None:
            raise Refused(
                f"{path} does not say which format its backing file {backing} has, and that is not guessed from bytes that a guest "
                f"may have written. Record it: qemu-img rebase -u -f qcow2 -b {backing} -F FORMAT {path}",
                path=str(path),
                backing_file=backing,
            )
        if header.backing_format != "qcow2" or not backing.startswith("/"):
            return
        path = Path(backing)
