# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pure reader of qcow2 headers that trusts no length, offset or flag, so that qemu-img opens only files that we have checked."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Corrupt, Refused, Unsupported

MAGIC = b"QFI\xfb"
SHORT_HEAD, HEAD_BYTES = 4096, 2 * 1024 * 1024  # nearly every header fits the first; a cluster has at most the second
FIXED = struct.Struct(">4sIQIIQIIQQIIQ")
FEATURES = struct.Struct(">QQQII")
EXTENSION = struct.Struct(">II")
BACKING_FORMAT, DATA_FILE, FEATURE_NAMES = 0xE2792ACA, 0x44415441, 0x6803F857
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
KNOWN_INCOMPATIBLE = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2
LONGEST_NAME = 1023
LARGEST_L1_BYTES = 32 * 1024 * 1024
LARGEST_REFCOUNT_BYTES = 8 * 1024 * 1024
MOST_SNAPSHOTS = 65536


@dataclass(frozen=True)
class Header:
    """The values of a qcow2 header, checked to be possible; sizes in bytes."""

    version: int
    virtual_size: int
    cluster_size: int
    backing_file: str | None
    backing_format: str | None
    data_file: str | None
    external_data: bool
    encrypted: bool
    snapshots: int
    dirty: bool
    corrupt: bool
    extended_l2: bool
    extensions: frozenset[int] = frozenset()


def parse(head: bytes, file_size: int, where: str) -> Header:
    """Return the header in ``head`` (the first bytes of the file, up to a cluster) or raise Corrupt or Unsupported."""
    if len(head) < FIXED.size or head[:4] != MAGIC:
        raise Corrupt(f"{where} is not qcow2: its first bytes are not a qcow2 header.", path=where)
    (_magic, version, backing_at, backing_length, cluster_bits, size, crypt, l1_count, l1_at, refcount_at, refcount_clusters,
     snapshots, snapshots_at) = FIXED.unpack_from(head)  # fmt: skip
    if version not in (2, 3):
        raise Unsupported(f"{where} is qcow2 version {version}; only versions 2 and 3 are supported.", path=where)
    _require(9 <= cluster_bits <= 21, where, f"cluster_bits is {cluster_bits}, not 9 to 21")
    cluster = 1 << cluster_bits
    incompatible, header_length = _features(head, version, where)
    _require(header_length <= min(cluster, len(head)), where, f"header_length {header_length} is beyond the first cluster")
    _require(0 < size <= 2**63 - 1, where, f"its virtual size is {size}")
    _require(l1_count * 8 <= LARGEST_L1_BYTES, where, f"its L1 table has {l1_count} entries")
    _require(refcount_clusters * cluster <= LARGEST_REFCOUNT_BYTES, where, f"its refcount table has {refcount_clusters} clusters")
    _require(snapshots <= MOST_SNAPSHOTS, where, f"it has {snapshots} snapshots")
    for offset, length, what in (
        (l1_at, l1_count * 8, "L1 table"),
        (refcount_at, refcount_clusters * cluster, "refcount table"),
        (snapshots_at, snapshots * 40, "snapshot table"),
    ):
        _require(
            length == 0 or (offset % cluster == 0 and offset + length <= file_size), where, f"its {what} lies outside the file"
        )
    extensions = _extensions(head, header_length, min(cluster, backing_at or cluster), where)
    data_file = extensions.get(DATA_FILE)
    return Header(
        version=version,
        virtual_size=size,
        cluster_size=cluster,
        backing_file=_backing(head, backing_at, backing_length, cluster, where),
        backing_format=_text(extensions.get(BACKING_FORMAT), where),
        data_file=_text(data_file, where),
        external_data=bool(incompatible & EXTERNAL_DATA) or data_file is not None,
        encrypted=crypt != 0,
        snapshots=snapshots,
        dirty=bool(incompatible & DIRTY),
        corrupt=bool(incompatible & CORRUPT),
        extended_l2=bool(incompatible & EXTENDED_L2),
        extensions=frozenset(extensions),
    )


def _require(condition: bool, where: str, otherwise: str) -> None:
    if not condition:
        raise Corrupt(f"{where} is not a sound qcow2 image: {otherwise}.", path=where)


def _features(head: bytes, version: int, where: str) -> tuple[int, int]:
    """Return the incompatible feature bits and the header's length."""
    if version == 2:
        return 0, FIXED.size
    _require(len(head) >= FIXED.size + FEATURES.size, where, "the header is cut short")
    incompatible, _any, _any, refcount_order, length = FEATURES.unpack_from(head, FIXED.size)
    _require(refcount_order <= 6, where, f"refcount_order is {refcount_order}")
    _require(length >= FIXED.size + FEATURES.size and length % 8 == 0, where, f"header_length is {length}")
    if incompatible & ~KNOWN_INCOMPATIBLE:
        raise Unsupported(f"{where} needs unknown qcow2 features ({incompatible & ~KNOWN_INCOMPATIBLE:#x}).", path=where)
    return incompatible, length


def _extensions(head: bytes, at: int, end: int, where: str) -> dict[int, bytes]:
    """Return the header extensions by type; they must end inside the first cluster and appear once."""
    found: dict[int, bytes] = {}
    whole, end = end, min(end, len(head))
    while at + EXTENSION.size <= end:
        kind, length = EXTENSION.unpack_from(head, at)
        if kind == 0:
            return found
        at += EXTENSION.size
        _require(length <= end - at, where, f"header extension {kind:#x} is {length} bytes long and leaves the header")
        _require(kind not in found, where, f"header extension {kind:#x} appears twice")
        found[kind] = head[at : at + length]
        at += (length + 7) & ~7
    _require(end == whole, where, "the header is cut short")
    return found


def _backing(head: bytes, at: int, length: int, cluster: int, where: str) -> str | None:
    if at == 0:
        return None
    inside = 0 < length <= LONGEST_NAME and at + length <= min(cluster, len(head))
    _require(inside, where, "its backing file name lies outside the header")
    return _text(head[at : at + length], where)


def _text(data: bytes | None, where: str) -> str | None:
    if data is None:
        return None
    _require(b"\0" not in data and 0 < len(data) <= LONGEST_NAME, where, "a name in its header is not text")
    return data.decode("utf-8", "surrogateescape")


def read_header(path: Path) -> Header:
    """Return the header of the file ``path``."""
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        head = os.pread(file.fileno(), SHORT_HEAD, 0)
        try:
            return parse(head, size, str(path))
        except Corrupt:
            if size <= SHORT_HEAD or head[:4] != MAGIC:
                raise
        return parse(os.pread(file.fileno(), HEAD_BYTES, 0), size, str(path))


def refuse_unless_standalone(header: Header, where: str, hint: str = "") -> None:
    """Raise Refused unless the image is standalone: opening it reads no other file. ``hint`` ends the message."""
    problems = {
        f"it has the backing file {header.backing_file!r}": header.backing_file is not None,
        f"it keeps its data in another file ({header.data_file!r})": header.external_data,
        "it is encrypted": header.encrypted,
        "it is marked corrupt": header.corrupt,
    }
    found = [problem for problem, there in problems.items() if there]
    if found:
        how = f"Flatten it where it came from (qemu-img convert).{hint}"
        raise Refused(f"{where} is refused: {' and '.join(found)}. {how}", path=where)
