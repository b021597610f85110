# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and the files below it, as they are, also while a VM runs on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Busy, Corrupt, NotFound
from ..format import disk_format, qcow2
from ..format.qemu_img import QemuImg
from ..store import references

LONGEST_CHAIN = 200


def chain_of(qemu: QemuImg, path: Path) -> list[dict[str, Any]]:
    """Return a disk and every local file below it, from the top; raise Corrupt if the chain is a circle."""
    chain: list[dict[str, Any]] = []
    image_format = "raw" if disk_format.recorded_raw(path) else "qcow2"
    if not path.exists():
        return chain
    while True:
        link, following = _link(qemu, path, image_format)
        chain.append(link)
        if following is None:
            return chain
        if len(chain) >= LONGEST_CHAIN or str(following[0]) in {known["path"] for known in chain}:
            raise Corrupt(
                f"The backing files of {chain[0]['path']} form a circle, or the chain is longer than {LONGEST_CHAIN}.", chain=chain
            )
        path, image_format = following


def _link(qemu: QemuImg, path: Path, image_format: str) -> tuple[dict[str, Any], tuple[Path, str] | None]:
    if not path.is_file():
        raise NotFound(f"{path}, a backing image of the chain, does not exist on this host.", path=str(path))
    found = path.stat()
    header = qcow2.read_header(path) if image_format == "qcow2" else None
    backing = references.backing_name(path, header.backing_file) if header and header.backing_file else None
    link = {
        "path": str(path),
        "format": image_format,
        "virtual_size": header.virtual_size if header else found.st_size,
        "actual_size": found.st_blocks * 512,
        "cluster_size": header.cluster_size if header else None,
        "in_use": header is not None and (_files.open_in_qemu(path) if header.external_data else locked(qemu, path)),
        "backing_file": backing,
    }
    local = backing is not None and backing.startswith("/")
    return link, (Path(str(backing)), (header and header.backing_format) or "raw") if local else None


def locked(qemu: QemuImg, path: Path) -> bool:
    """Return whether a QEMU has a disk open."""
    try:
        qemu.require_unlocked(path)
    except Busy:
        return True
    return False
