# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel of this host says of files, CPUs and kinds of I/O that a guest is to have."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..._errors import Unsupported
from ..._libvirt import error_name, intent, libvirt, lookup
from ..._sizes import SECTOR
from ..model.request import DomainOptions
from ..xml.domain import parse_xml
from ..xml.properties import read_path

BRIDGE_VLANS = 11_000_000  # libvirt 11.0
SYS = Path("/sys/class/net")
DEVICES = Path("/sys/dev/block")
BLOCKS = (512, 1024, 2048, 4096)
LARGEST_BLOCK = 4096
IO_URING = Path("/proc/sys/kernel/io_uring_disabled")


def kind_of(path: str) -> str | None:
    """Return file, block, folder or other; None where there is nothing."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return None
    tests = (("file", stat.S_ISREG), ("block", stat.S_ISBLK), ("folder", stat.S_ISDIR))
    return next((kind for kind, test in tests if test(mode)), "other")


def identity(path: str) -> tuple[int, int] | str:
    """Return what two names of one file, by whatever links and mounts, have in common; the path where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return path
    if stat.S_ISBLK(found.st_mode):
        return (-1, found.st_rdev)
    return (found.st_dev, found.st_ino)


def without_direct_io(paths: Iterable[str]) -> frozenset[str]:
    """Return those of the files that their file system does not open for direct I/O."""
    found = set()
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_NONBLOCK))
        except OSError:
            found.add(path)
    return frozenset(found)


def coarse_files(sizes: Mapping[str, int], block_of: Callable[[str], int] | None = None) -> frozenset[str]:
    """Return those of the raw files, path → bytes, whose end direct I/O cannot reach: they are no whole number of its blocks."""
    block_of = block_of or direct_block
    return frozenset(path for path, size in sizes.items() if size % block_of(path))


def direct_block(path: str) -> int:
    """Return the smallest read, in bytes, that a file allows by direct I/O, found as QEMU finds it; a sector where it has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_NONBLOCK)
    except OSError:
        return SECTOR
    try:
        with mmap.mmap(-1, LARGEST_BLOCK) as page:
            return next((size for size in BLOCKS if _reads(descriptor, memoryview(page)[:size])), LARGEST_BLOCK)
    finally:
        os.close(descriptor)


def _reads(descriptor: int, into: memoryview) -> bool:
    with into:
        try:
            os.preadv(descriptor, [into], 0)
        except OSError as error:
            return error.errno != errno.EINVAL
    return True


def without_writing(paths: Iterable[str]) -> frozenset[str]:
    """Return those of the files and block devices that cannot be written on this host, not even root."""
    return frozenset(path for path in paths if not os.access(path, os.W_OK) or _is_read_only_device(path))


def _is_read_only_device(path: str) -> bool:
    try:
        found = Path(path).stat()
        device = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return stat.S_ISBLK(found.st_mode) and (DEVICES / device / "ro").read_text().strip() == "1"
    except OSError:
        return False


def has_address(address: str) -> bool:
    """Return whether a program can listen on an IP address here now."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def io_uring_allowed() -> bool:
    """Return whether QEMU may use io_uring: 2 forbids it to all, 1 to users without a capability, as QEMU's is."""
    try:
        return IO_URING.read_text().strip() == "0"
    except OSError:
        return True


def online_cpus(connection: Any) -> tuple[bool, ...]:
    """Return for each CPU of the host whether it is online; nothing where libvirt does not know it."""
    try:
        with intent("read the CPUs of this host"):
            return tuple(bool(on) for on in connection.getCPUMap()[1])
    except Unsupported:
        return ()


def tagging(connection: Any, options: DomainOptions) -> frozenset[str]:
    """Return the networks and bridges of interfaces with a VLAN on which libvirt can give them one.

    Open vSwitch can always, a Linux bridge where it filters VLANs (a bridge that does not would let all through) and libvirt is
    11.0 or newer.
    """
    asked = [nic for nic in options.nics or () if nic.vlan]
    modern = bool(asked) and tags_bridges(connection)
    found = {nic.bridge for nic in asked if nic.bridge and modern and _filters(nic.bridge)}
    for name in {nic.network for nic in asked if nic.network}:
        with intent(f"read network {name}"):
            network = lookup(connection.networkLookupByName, name)
            if network is None:
                continue
            tree = parse_xml(network.XMLDesc())
        bridge = read_path(tree, "bridge@name")
        if read_path(tree, "virtualport@type") == "openvswitch" or (modern and bridge and _filters(bridge)):
            found.add(name)
    return frozenset(found)


def tags_bridges(connection: Any) -> bool:
    """Return whether libvirt gives interfaces of Linux bridges their VLANs."""
    with intent("read the version of libvirt"):
        return bool(connection.getLibVersion() >= BRIDGE_VLANS)


def _filters(bridge: str) -> bool:
    try:
        return (SYS / bridge / "bridge/vlan_filtering").read_text().strip() == "1"
    except OSError:
        return False


def missing_secrets(connection: Any, options: DomainOptions) -> frozenset[str]:
    """Return the secrets of network disks that libvirt does not have."""
    wanted = {disk.source.secret for disk in options.disks or () if disk.source and disk.source.secret}
    found = set()
    for secret in wanted:
        try:
            connection.secretLookupByUUIDString(secret)
        except libvirt.libvirtError as error:
            if error_name(error) == "VIR_ERR_NO_SECRET":
                found.add(secret)
    return frozenset(found)
