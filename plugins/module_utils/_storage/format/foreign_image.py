# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk images from outside are accepted: our own parsers read them before qemu-img does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..._errors import CommandFailed, Corrupt, Refused
from .. import names
from . import probe, qcow2
from .qemu_img import Checked, QemuImg
from .source_file import state_of

LARGEST_VIRTUAL_SIZE = 2 * 1024**4
LARGEST_UNPACKED = 128 * 1024**3
RAW_HINT = " If it is a guest's raw disk, in which these bytes are the guest's, name the format: raw."


@dataclass(frozen=True)
class Rules:
    """What an import requires and makes: the source's format and checksum, compression, the largest virtual and unpacked sizes.

    The checksum is that of the source as published, packed or not.
    """

    format: str | None = None
    checksum: str | None = None
    compress: bool = False
    largest: int = LARGEST_VIRTUAL_SIZE
    largest_unpacked: int = LARGEST_UNPACKED

    @property
    def algorithm(self) -> str:
        """The checksum algorithm that the source is proven and recorded by."""
        return names.checksum(self.checksum).split(":")[0] if self.checksum else "sha256"


def judge(qemu: QemuImg, path: Path, rules: Rules) -> str:
    """Return the format of an acceptable image, or raise; our own parser reads it before qemu-img does."""
    state_of(path)
    source_format = probe.format_of(path, rules.format)
    virtual_size = path.stat().st_size
    if source_format == "qcow2":
        header = qcow2.read_header(path)
        qcow2.refuse_unless_standalone(header, str(path), RAW_HINT if rules.format is None else "")
        virtual_size = header.virtual_size
    _require_size(path, virtual_size, rules)
    if source_format != "raw":
        info = _info(qemu, path, source_format)
        refuse_other_files(info, path)
        _require_size(path, int(info["virtual-size"]), rules)
        require_sound(qemu, path, source_format)
    return source_format


def require_sound(qemu: QemuImg, path: Path, source_format: str) -> Checked:
    """Raise Corrupt if the image's tables are damaged: a conversion would silently read zeros in place of what is missing.

    Returns what a check found otherwise.
    """
    found = qemu.check_foreign(path, source_format)
    if found.corruptions or found.check_errors:
        raise Corrupt(
            f"{path} is damaged: qemu-img check found {found.corruptions} corruptions and {found.check_errors} errors; it was not "
            "used. Download it again from its publisher.",
            path=str(path),
            **asdict(found),
        )
    return found


def _info(qemu: QemuImg, path: Path, source_format: str) -> dict[str, Any]:
    try:
        return qemu.info(path, source_format)
    except CommandFailed as error:
        raise Corrupt(
            f"{path} is not a sound {source_format} image: qemu-img cannot open it ({error.stderr.strip()[:500] or error.rc}). "
            "Download it again from its publisher.",
            path=str(path),
            rc=error.rc,
        ) from None


def _require_size(path: Path, virtual_size: int, rules: Rules) -> None:
    if virtual_size > rules.largest:
        raise Refused(
            f"{path} has a virtual size of {virtual_size} bytes; at most {rules.largest} are allowed (max_virtual_size).",
            virtual_size=virtual_size,
        )


def refuse_other_files(info: Mapping[str, Any], path: Path) -> None:
    """Raise Refused if qemu-img's report on the image at ``path`` names any other file."""
    specific = info.get("format-specific", {}).get("data", {})
    extents = [extent.get("filename") for extent in specific.get("extents", [])]
    named = [info.get("backing-filename"), info.get("full-backing-filename"), specific.get("data-file"), *extents]
    others = [name for name in named if name and os.path.realpath(name) != os.path.realpath(path)]
    if others:
        raise Refused(f"{path} is refused: it refers to other files ({', '.join(others)}).", path=str(path), points_to=others)
