# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that were made to do harm, or came to it; each maker writes one file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from support.images import MIB, qcow2, qemu_img, raw

EXABYTES8 = 2**63 - 512
CLUSTER = 65536


def patch(path: Path, at: int, form: str, value: int) -> None:
    """Write a number into a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack(form, value))


def plain(path: Path, *options: str) -> Path:
    qemu_img("create", "-f", "qcow2", *options, path, "1M")
    return path


def field(at: int, form: str, value: int) -> Callable[[Path], None]:
    """Return a maker of a qcow2 with one field of its header changed."""
    return lambda path: patch(plain(path), at, form, value)


def _secret(path: Path) -> Path:
    secret = path.with_name(f"{path.name}.secret")
    secret.write_bytes(b"s" * MIB)
    return secret


def backing(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-b", _secret(path), "-F", "raw", path)


def backing_afar(path: Path) -> None:
    qemu_img("create", "-u", "-f", "qcow2", "-b", "nbd://192.0.2.1/x", "-F", "raw", path, "1M")


def data_file(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={_secret(path)},data_file_raw=on", path, "1M")


def truncated(path: Path) -> None:
    qcow2(path, 2)
    with path.open("r+b") as file:
        file.truncate(MIB)


def truncated_as(form: str) -> Callable[[Path], None]:
    """Return a maker of an image of another format that lost its end."""

    def make(path: Path) -> None:
        whole = raw(path.with_name(f"{path.name}.raw"), 4)
        qemu_img("convert", "-f", "raw", "-O", form, whole, path)
        with path.open("r+b") as file:
            file.truncate(3 * MIB)

    return make


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(plain(path).read_bytes()[:50])


def unreadable_snapshots(path: Path) -> None:
    """Count snapshots where there are none: what stands there is no table."""
    qcow2(path, 1)
    patch(path, 60, ">I", 20000)
    patch(path, 64, ">Q", 5 * CLUSTER)


def exabytes(path: Path) -> None:
    """Claim 8 EiB with an L1 table that would be as large as is allowed."""
    patch(plain(path, "-o", "cluster_size=2M"), 24, ">Q", EXABYTES8)


def _tables(path: Path, cluster_bits: int, entries: int, size: int, *, counted: bool, version: int = 3) -> None:
    """Write a qcow2 whose L1 entries all name one L2 table, whose entries all name one cluster, ``counted`` rightly or not."""
    cluster = 1 << cluster_bits
    l1_at = 3 * cluster
    l2_at = l1_at + -(-entries * 8 // cluster) * cluster
    data_at = l2_at + cluster
    width, order = (">H", 4) if version == 2 or not counted else (">Q", 6)
    counts = [1] * (l2_at // cluster) + [entries, entries * (cluster // 8)] if counted else []
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, cluster_bits, size, 0, entries, l1_at, cluster, 1, 0, 0)
    with path.open("wb") as file:
        file.write(head + (struct.pack(">QQQII", 0, 0, 0, order, 104) if version > 2 else b""))
        file.seek(cluster)
        file.write(struct.pack(">Q", 2 * cluster))
        file.seek(2 * cluster)
        file.write(b"".join(struct.pack(width, count) for count in counts))
        file.seek(l1_at)
        file.write(struct.pack(">Q", l2_at) * entries)
        file.seek(l2_at)
        file.write(struct.pack(">Q", data_at) * (cluster // 8) + b"x" * cluster)


def endless_complaints(path: Path) -> None:
    """A check of these 32 MiB would print some 50 GB."""
    _tables(path, 9, 4 * MIB, 4 * MIB * 64 * 512, counted=False)


def endless_tables(path: Path) -> None:
    """A check of these 11 MiB would follow 26 thousand million entries, all of them counted as the image says."""
    _tables(path, 21, 100_000, 2 * 1024**4, counted=True)


def one_cluster_everywhere(path: Path) -> None:
    """3 GiB of a disk that are all the same 64 KiB; the old version has it converted."""
    _tables(path, 16, 6, 3 * 1024**3, counted=True, version=2)


def one_cluster_in_a_delta(path: Path, size: int) -> None:
    """A delta all of whose disk is the same 64 KiB, counted rightly."""
    _tables(path, 16, 1, size, counted=True)
    patch(path, 3 * 65536, ">Q", 2**63 | 4 * 65536)  # the table has one user


def vmdk_descriptor(path: Path) -> None:
    path.write_text(f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "{_secret(path)}" 0\n')


def petabyte(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", path, "1P")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(b"noise" * 20_000)


# name → maker, the error's code, and words of its message.
REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "backing file": (backing, "refused", "backing file"),
    "backing file afar": (backing_afar, "refused", "backing file"),
    "data file": (data_file, "refused", "another file"),
    "encrypted": (field(32, ">I", 1), "refused", "encrypted"),
    "LUKS": (field(32, ">I", 2), "refused", "encrypted"),
    "marked corrupt": (field(79, ">B", 2), "refused", "marked corrupt"),
    "unknown feature": (field(72, ">B", 1), "unsupported", "unknown qcow2 features"),
    "version 9": (field(4, ">I", 9), "unsupported", "version 9"),
    "header_length": (field(100, ">I", 2**32 - 8), "corrupt", "header_length"),
    "L1 entries": (field(36, ">I", 2**32 - 1), "corrupt", "L1 table"),
    "L1 outside": (field(40, ">Q", 2**62), "corrupt", "L1 table lies outside"),
    "refcount clusters": (field(56, ">I", 2**32 - 1), "corrupt", "refcount table"),
    "refcount outside": (field(48, ">Q", 2**62), "corrupt", "refcount table lies outside"),
    "snapshot count": (field(60, ">I", 2**32 - 1), "corrupt", "snapshots"),
    "snapshot table": (unreadable_snapshots, "corrupt", "snapshot"),
    "truncated": (truncated, "corrupt", "corruptions"),
    "truncated VMDK": (truncated_as("vmdk"), "corrupt", ""),
    "truncated VDI": (truncated_as("vdi"), "corrupt", "cut short"),
    "truncated VHDX": (truncated_as("vhdx"), "corrupt", ""),
    "truncated VPC": (truncated_as("vpc"), "corrupt", ""),
    "cut in the header": (cut_in_the_header, "corrupt", "qcow2"),
    "8 EiB": (exabytes, "refused", "max_virtual_size"),
    "1 PiB": (petabyte, "refused", "max_virtual_size"),
    "VMDK descriptor": (vmdk_descriptor, "refused", "other files"),
    "empty": (empty, "invalid_input", "it is empty"),
    "noise": (noise, "invalid_input", "no disk image format"),
}
# What only a look at every table can tell.
CHECKED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "endless complaints": (endless_complaints, "corrupt", "could not finish"),
    "endless tables": (endless_tables, "corrupt", "could not finish"),
}
