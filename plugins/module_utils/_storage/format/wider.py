# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Widens a new qcow2 that has not been opened yet, by its header alone: what ``qemu-img resize`` would be a whole process for.

The table of tables (L1) of a new file begins a cluster of its own, and the rest of that cluster is zeros: entries of tables that
are not there. A larger disk only has more of them. Source: QEMU's docs/interop/qcow2, "Header" and "Cluster mapping".
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ..._errors import Corrupt
from ..._sizes import whole_sectors
from . import qcow2

SIZES = struct.Struct(">QII")  # at byte 24: the disk's size, how it is encrypted, the entries of the L1 table
SIZES_AT = 24
L1_AT = struct.Struct(">Q")
L1_AT_AT = 40
ENTRY = 8


def widen(path: Path, size: int) -> bool:
    """Set the virtual size of a new file to ``size`` bytes and return True, or False, unchanged, where the header is not enough."""
    header = qcow2.read_header(path)
    size = whole_sectors(size)
    covered = header.cluster_size * header.cluster_size // (16 if header.extended_l2 else ENTRY)  # by one entry of the L1 table
    entries = -(-size // covered)
    plain = header.version == 3 and not (header.snapshots or header.encrypted or header.external_data or header.dirty)
    if size < header.virtual_size or not plain or entries * ENTRY > header.cluster_size:
        return False
    with path.open("r+b", buffering=0) as file:
        descriptor = file.fileno()
        _size, _encrypted, there = SIZES.unpack(os.pread(descriptor, SIZES.size, SIZES_AT))
        (table,) = L1_AT.unpack(os.pread(descriptor, L1_AT.size, L1_AT_AT))
        if there == 0 or entries < there or os.pread(descriptor, (entries - there) * ENTRY, table + there * ENTRY).strip(b"\0"):
            return False
        os.pwrite(descriptor, SIZES.pack(size, 0, entries), SIZES_AT)
    if qcow2.read_header(path).virtual_size != size:
        raise Corrupt(f"The new disk {path} did not take its size ({size} bytes).", path=str(path))
    return True
