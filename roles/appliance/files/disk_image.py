# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a bootable disk from a folder: a partition table, an ext4 file system and GRUB's BIOS stages, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

SECTOR = 512
BOOT_LBA = 34  # the BIOS boot partition: from the end of the GPT to the first MiB
ROOT_LBA = 2048
LINUX_ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"


class Workshop(Protocol):
    """What a disk is made with."""

    root: Path
    work: Path
    disk: Path
    size: int
    grub_dir: Path

    def uuid(self, what: str) -> str:
        """Return the fixed UUID of *what*."""

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None, text: str | None = None) -> str:
        """Run a command, which must succeed, with *text* as its input; return its output."""


def make_disk(build: Workshop, epoch: int) -> None:
    """Write partition table, file system and boot stages into a sparse file."""
    size = build.size
    with build.disk.open("wb") as disk:
        disk.truncate(size)
    last = size // SECTOR - 34
    table = (
        f"label: gpt\nlabel-id: {build.uuid('disk')}\nfirst-lba: {BOOT_LBA}\n"
        f"1: start={ROOT_LBA}, size={last + 1 - ROOT_LBA}, type={LINUX_ROOT_X86_64}, "
        f"uuid={build.uuid('root-partition')}, name=root\n"
        f"2: start={BOOT_LBA}, size={ROOT_LBA - BOOT_LBA}, type={BIOS_BOOT}, uuid={build.uuid('bios')}, name=bios\n"
    )
    build.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(build.disk)], text=table)
    make_filesystem(build, epoch, (last + 1 - ROOT_LBA) * SECTOR // 4096)
    write_grub(build)


def make_filesystem(build: Workshop, epoch: int, blocks: int) -> None:
    """Fill the root partition with an ext4 file system whose every time stamp is known."""
    offset = ROOT_LBA * SECTOR
    features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file"
    features += ",huge_file,dir_nlink,extra_isize,metadata_csum,64bit"
    env = {"E2FSPROGS_FAKE_TIME": str(epoch), "SOURCE_DATE_EPOCH": str(epoch), "MKE2FS_SKIP_PROGRESS": "1"}
    extended = f"offset={offset},hash_seed={build.uuid('hash')},lazy_itable_init=1,lazy_journal_init=1"
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "1", "-L", "root", "-O", features]
    argv += ["-U", build.uuid("root-filesystem"), "-E", extended, "-d", str(build.root), str(build.disk), str(blocks)]
    build.run(argv, env)
    # mke2fs copies the inode change and access times of the folder, which cannot be set.
    first_free = 11  # lost+found is the first inode that is not reserved; the rest follow without holes
    count = sum(1 for _any in build.root.rglob("*"))
    script = []
    for inode in (2, *range(first_free, first_free + count + 1)):
        for field in ("atime", "ctime"):
            script += [f"set_inode_field <{inode}> {field} @{epoch}", f"set_inode_field <{inode}> {field}_extra 0"]
    build.run(["debugfs", "-w", "-f", "-", f"{build.disk}?offset={offset}"], env, "\n".join(script) + "\n")


def write_grub(build: Workshop) -> None:
    """Write GRUB's BIOS stages: boot.img into the MBR, core.img into the BIOS boot partition."""
    modules = build.grub_dir
    core_file = build.work / "core.img"
    argv = ["grub-mkimage", "-d", str(modules), "-O", "i386-pc", "-p", "(,gpt1)/boot/grub", "-o", str(core_file)]
    build.run([*argv, "biosdisk", "part_gpt", "ext2", "normal", "linux"])
    boot = bytearray((modules / "boot.img").read_bytes()[:440])
    core = bytearray(core_file.read_bytes())
    if len(core) > (ROOT_LBA - BOOT_LBA) * SECTOR:
        raise ValueError(f"GRUB's core image of {len(core)} bytes does not fit in its partition")
    struct.pack_into("<Q", boot, 0x5C, BOOT_LBA)  # where boot.img finds the first sector of core.img
    struct.pack_into("<Q", core, 0x1F4, BOOT_LBA + 1)  # where that sector finds the others
    with build.disk.open("r+b") as disk:
        disk.write(boot)
        disk.seek(BOOT_LBA * SECTOR)
        disk.write(core)
