# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's kernel can do for a guest's network, and whether a file is a kernel that QEMU boots by itself."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

SYMBOLS = Path("/proc/kallsyms")
MODULES = Path("/lib/modules")
SHAPING = {
    "inbound": {"sch_htb": "htb_enqueue", "sch_sfq": "sfq_enqueue", "cls_fw": "fw_classify"},
    "outbound": {"sch_ingress": "ingress_init", "cls_u32": "u32_classify", "act_police": "tcf_police_init"},
}
"""What libvirt needs of the kernel for a limit: module, and a function that is there where it is loaded or built in."""
HEAD = 8192
X86_BOOT, SETUP_SECTORS, USUAL_SETUP_SECTORS, SECTOR = slice(0x202, 0x206), 0x1F1, 4, 512
MULTIBOOT = (0x1BADB002).to_bytes(4, "little")


def cannot_limit(ways: Collection[str], symbols: Path = SYMBOLS, modules: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Return for each of the ways (inbound, outbound) that this kernel cannot limit which modules it has not; doubt is none."""
    if not ways:
        return {}
    try:
        known = {line.split(maxsplit=3)[2].split(".")[0] for line in symbols.read_text().splitlines()}
    except (OSError, IndexError):
        return {}
    loadable = _loadable(modules or MODULES / os.uname().release)
    lacks = {way: tuple(name for name, call in SHAPING[way].items() if name not in loadable and call not in known) for way in ways}
    return {way: missing for way, missing in lacks.items() if missing and known}


def _loadable(folder: Path) -> set[str]:
    """Return the modules that can be loaded."""
    try:
        rows = (folder / "modules.dep").read_text().splitlines()
    except OSError:
        return set()
    return {Path(row.split(":")[0]).name.split(".")[0].replace("-", "_") for row in rows}


def is_no_kernel(path: str) -> bool:
    """Return whether QEMU refuses a file as a kernel for x86: it has no header of one, and is too short for the oldest kind."""
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
            size = file.seek(0, os.SEEK_END)
    except OSError:
        return False
    if head[X86_BOOT] == b"HdrS" or head.startswith(b"\x7fELF") or MULTIBOOT in head:
        return False
    sectors = head[SETUP_SECTORS] if len(head) > SETUP_SECTORS else 0
    return size < ((sectors or USUAL_SETUP_SECTORS) + 1) * SECTOR
