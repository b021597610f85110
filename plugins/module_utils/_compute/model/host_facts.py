# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan must know of the host, as plain data, read once by host.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._errors import EdgeError
from .remote_image import RemoteImage
from .virtual_network import VirtualNetwork


@dataclass(frozen=True)
class Folders:
    """Where a host keeps the files of its VMs, a folder each, its images (the host cache), recovery points, and locks."""

    vms: str = "/var/lib/edge/vms"
    images: str = "/var/lib/edge/images"
    locks: str = "/run/edge/locks"
    recovery: str = "/var/lib/edge/recovery"

    def vm(self, name: str) -> str:
        """Return the folder of one VM; ``name`` was checked, so that it stays under ``vms``."""
        return f"{self.vms}/{name}"

    def seed(self, name: str) -> str:
        """Return where the cloud-init seed of one VM is."""
        return f"{self.vm(name)}/seed.iso"

    def context(self, name: str) -> str:
        """Return where OpenNebula's context disk of one VM is."""
        return f"{self.vm(name)}/context.iso"

    def lock(self, name: str) -> str:
        """Return the file that who works on one VM holds a lock on."""
        return f"{self.locks}/domain-{name}"

    def point(self, name: str) -> str:
        """Return the file that who makes a recovery point of one VM holds a lock on."""
        return f"{self.locks}/point-{name}"

    def frozen(self, name: str) -> str:
        """Return the marker that exists while the file systems of one VM's guest are frozen by us."""
        return f"{self.locks}/frozen-{name}"

    def image(self, digest: str) -> str:
        """Return where the host cache keeps an image."""
        return f"{self.images}/{digest.removeprefix('sha256:')}.qcow2"


@dataclass(frozen=True)
class VolumeFile:
    """A disk's file as qemu-img sees it; sizes in bytes. ``block`` is a block device.

    QEMU opens one that is ``encrypted`` by qcow2 only with a key, and one that is marked ``corrupt`` only for reading.
    """

    path: str
    format: str
    size: int
    backing: str | None = None
    backing_format: str | None = field(default=None, compare=False)
    block: bool = False
    encrypted: bool = field(default=False, compare=False)
    corrupt: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ChainFile:
    """One file of a disk's chain, the top first; sizes in bytes: what the guest sees, what the file occupies.

    Both are None where the file is not on this host or cannot be read as the format that it should have.
    """

    path: str
    format: str | None
    size: int | None
    allocated: int | None


@dataclass(frozen=True)
class Offer:
    """An image that is not in the host cache and can be brought there; the bytes to fetch and of the disk in it."""

    name: str
    size: int
    virtual_size: int


@dataclass(frozen=True)
class HostFacts:
    """One hypervisor: what libvirt offers, what is there, and the files that were asked about.

    ``virt_types`` and ``machines`` are those of the architecture that was asked about, ``arches`` all that
    libvirt offers, where one was asked for.
    ``machines`` maps an alias such as q35 to the version it stands for. ``files`` has every existing disk file that was asked
    about, ``images`` the virtual size in bytes of every image of the host cache that was, ``remote_images`` those that a replica
    serves until they are here, ``offers`` those that can be pulled first, ``unavailable`` why others cannot, ``missing`` paths that
    do not exist, ``lacks`` options that need what is not installed.
    ``kinds`` says of each of those that is there whether it is a file, block (device), folder or other, ``no_direct`` has disks
    that take no direct I/O, ``read_only`` those that cannot be written.
    ``no_kernel`` is whether the file asked for as the guest's kernel is none, ``cannot_limit`` has for inbound and outbound which
    modules the host's kernel lacks to limit them.
    ``ungrouped`` are asked PCI functions that no IOMMU keeps apart. ``cpus`` is for each CPU of the host whether it is online.
    ``tagging`` are the asked networks and bridges on which libvirt can give an interface a VLAN; ``tags_bridges`` whether it can on
    Linux bridges that filter VLANs, read only if an interface asks for some.
    ``unset`` has settings of libvirt's ``qemu.conf`` that were needed and are not there; ``vnc_is_guarded`` is whether it lets only
    those use a VNC display who prove who they are, ``has_vnc_listen`` whether the asked address of one is an address of the host.
    ``virtual_networks`` are those of the host, read where an interface is to be in one.
    ``kept`` has files that an earlier domain may have left of a disk that is asked, and on record as what format, None without one.
    ``free`` is bytes of memory that are unused or can be reclaimed; ``free_pages``, looked at where huge pages were asked
    for, how many pages of each size (bytes) are free. Where libvirt does not report them, ``free`` is None, and ``free_pages`` and
    ``cpu_models`` are empty.
    """

    virt_types: tuple[str, ...]
    arch: str
    memory: int
    free: int | None = None
    free_pages: Mapping[int, int] = field(default_factory=dict)
    machines: Mapping[str, str] = field(default_factory=dict)
    cpu_models: tuple[str, ...] = ()
    networks: Mapping[str, bool] = field(default_factory=dict)
    bridges: tuple[str, ...] = ()
    domains: Mapping[str, str] = field(default_factory=dict)
    macs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, VolumeFile] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    remote_images: Mapping[str, RemoteImage] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    unavailable: Mapping[str, EdgeError] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    unset: tuple[str, ...] = ()
    vnc_is_guarded: bool = False
    has_vnc_listen: bool = True
    direct_io: bool = False
    folders: Folders = field(default_factory=Folders)
    arches: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    no_direct: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()
    ungrouped: frozenset[str] = frozenset()
    no_kernel: bool = False
    cannot_limit: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cpus: tuple[bool, ...] = ()
    io_uring: bool = True
    missing_secrets: frozenset[str] = frozenset()
    tagging: frozenset[str] = frozenset()
    tags_bridges: bool = True
    kept: Mapping[str, str | None] = field(default_factory=dict)
    virtual_networks: Mapping[str, VirtualNetwork] = field(default_factory=dict)

    def image_sizes(self) -> dict[str, int]:
        """Return the virtual size in bytes of every image that a disk can be laid over, here, on a replica or pulled before."""
        offered = {digest: image.virtual_size for digest, image in self.offers.items()}
        return {**offered, **{digest: image.size for digest, image in self.remote_images.items()}, **self.images}
