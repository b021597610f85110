# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disk files are, read without disturbing who uses them."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from .._compute.model.host_facts import ChainFile, Folders, VolumeFile
from .._errors import EdgeError
from .._runner import Runner
from .._sizes import SECTOR
from .._storage.disk.backing import require_formats
from .._storage.format import disk_format, qcow2
from .._storage.format.qemu_img import QemuImg
from .._storage.store.references import backing_name

LONGEST_CHAIN = 200


@dataclass(frozen=True)
class DiskReader:
    """See ReadTool."""

    runner: Runner
    folders: Folders

    def info(self, path: str, image_format: str) -> VolumeFile:
        """See ImageTool.

        Headers of qcow2 are read here: a process for each disk would be most of the time of a run that changes nothing.
        """
        block = Path(path).is_block_device()
        if image_format == "qcow2":
            header = qcow2.read_header(Path(path))
            backing = _named(Path(path), header.backing_file) if header.backing_file else None
            flaws = header.encrypted, header.corrupt
            return VolumeFile(path, image_format, header.virtual_size, backing, header.backing_format, block, *flaws)
        if image_format == "raw":
            return VolumeFile(path, image_format, _raw_size(Path(path)), block=block)
        size = QemuImg(self.runner).info(Path(path), image_format, shared=True)["virtual-size"]
        return VolumeFile(path, image_format, size, block=block)

    def detect(self, path: str) -> str:
        """See ImageTool."""
        return disk_format.detect_format(Path(path))

    def require_formats(self, path: str) -> None:
        """See ImageTool."""
        require_formats(Path(path))

    def noted_format(self, path: str) -> str | None:
        """See ImageTool."""
        return disk_format.noted_format(Path(path))

    def chain(self, path: str, image_format: str) -> list[ChainFile]:
        """See ImageTool; the format of an overlay below is the one that its overlay's header names."""
        overlays: list[ChainFile] = []
        following: tuple[str, str | None] | None = (path, image_format)
        while following and following[0] not in {overlay.path for overlay in overlays} and len(overlays) < LONGEST_CHAIN:
            overlay, following = _overlay(*following)
            overlays.append(overlay)
        return overlays


def _overlay(name: str, image_format: str | None) -> tuple[ChainFile, tuple[str, str | None] | None]:
    """Return one file of a chain, and name and format of the one below it."""
    path = Path(name)
    try:
        found = image_format or disk_format.detect_format(path)
        allocated = path.stat().st_blocks * 512
        if found != "qcow2":
            return ChainFile(name, found, _raw_size(path) if found == "raw" else None, allocated), None
        header = qcow2.read_header(path)
    except (OSError, EdgeError):
        return ChainFile(name, image_format, None, None), None
    below = (_named(path, header.backing_file), header.backing_format) if header.backing_file else None
    return ChainFile(name, found, header.virtual_size, allocated), below


def _named(overlay: Path, backing: str) -> str:
    """Return a backing file as an absolute path, by the name that domains have too: /dev/GROUP/VOLUME is a link."""
    plain = backing.removeprefix("file:")
    return plain if plain.startswith("/") else backing_name(overlay, backing)


def _raw_size(path: Path) -> int:
    """Return the bytes of a raw file or block device in whole sectors, as QEMU counts them; a drive without a medium has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOMEDIUM, errno.ENXIO) and path.is_block_device():
            return 0
        raise
    try:
        return -(-os.lseek(descriptor, 0, os.SEEK_END) // SECTOR) * SECTOR
    finally:
        os.close(descriptor)
