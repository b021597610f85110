# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain as plain frozen data: everything that we own in its libvirt XML, and the files behind its disks.

A DomainSpec has no open questions: every default was decided when it was made (see ``options/resolve``), so that two of
them compare by value and one is the whole description of what libvirt is to run.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from typing import Any

from ..._errors import Corrupt
from ..._json import require_schema
from .override_text import concealed
from .public_address import PublicAddress
from .recovery_policy import RecoveryPolicy
from .vnc import LOOPBACK

RECORD_VERSION = 1
UUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://edge.cloud/domain")
SEED = "seed"
CONTEXT = "context"


@dataclass(frozen=True)
class Cpu:
    """The CPU that the guest sees; ``model`` goes with mode ``custom`` only. Without a topology each vCPU is a socket."""

    mode: str
    model: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class NumaCell:
    """One NUMA node of the guest: its vCPUs as ranges, such as ``0-3``, and its memory in bytes."""

    cpus: str
    memory: int


@dataclass(frozen=True)
class NetworkSource:
    """Where a disk is that no file of the host backs; ``secret`` is the UUID of a libvirt secret, ``hosts`` are HOST:PORT."""

    protocol: str
    name: str
    hosts: tuple[str, ...] = ()
    user: str | None = None
    secret: str | None = None
    tls: bool = False


@dataclass(frozen=True)
class DiskLimits:
    """The most that a guest may read and write, in bytes or requests a second; 0 means unlimited."""

    total_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    total_iops: int = 0
    read_iops: int = 0
    write_iops: int = 0


@dataclass(frozen=True)
class Disk:
    """One block device of a guest, backed by a file, by ``source``, or (a CD drive) by nothing: then ``path`` is empty.

    ``path`` and ``format`` are the disk's own file, which the record names; ``block`` where it is a block device. Where there is an
    ``overlay`` of it in the VM's folder, a qcow2, the guest writes that one: the active file. ``remote`` is the URL of a remote
    image that the active file is laid over. ``foreign`` is the target that the disk had when it was taken over
    from others, None for one that we made; ``other`` says what backs one of others that is neither a file nor ``source``.
    """

    name: str
    path: str
    format: str
    target: str
    bus: str
    cache: str = "default"
    io: str | None = None
    discard: str | None = None
    serial: str | None = None
    read_only: bool = False
    boot: int | None = None
    device: str = "disk"
    remote: str | None = None
    source: NetworkSource | None = None
    iothread: int | None = None
    queues: int | None = None
    limits: DiskLimits = DiskLimits()
    block: bool = False
    overlay: str | None = None
    foreign: str | None = None
    other: str | None = None

    @property
    def active(self) -> str:
        """The file that the guest reads and writes, what libvirt's XML names."""
        return self.overlay or self.path

    @property
    def active_format(self) -> str:
        """The format of the active file."""
        return "qcow2" if self.overlay else self.format

    @property
    def active_block(self) -> bool:
        """Whether the active file is a block device."""
        return self.block and not self.overlay

    @property
    def own(self) -> Disk:
        """The disk on its own file."""
        return replace(self, overlay=None, remote=None)


@dataclass(frozen=True)
class Nic:
    """One network interface of a guest, on a libvirt network, on a host's bridge, or a PCI function (SR-IOV) of the host.

    One of a ``virtual_network`` is on that network's ``bridge``, by a device of the host that is called ``tap``; ``isolated`` ones
    of a bridge do not reach each other. ``mtu_of_network``: its ``mtu`` is the network's, and follows it. A ``public_address`` is
    the host's work, of which the guest's hardware knows nothing.
    ``inbound`` and ``outbound`` are the most that the guest receives and sends, in bytes a second. ``vlan`` is the 802.1Q
    VLAN that its frames are tagged with outside of it, ``vlans`` those that the guest may tag itself, as texts (``_vlans``).
    ``addresses`` are those that it has leases of, which configure nothing: they
    are kept for who asks where the guest is. ``foreign`` is the MAC address that it had
    when it was taken over from others, None for one that we made; ``other`` says where one of others is that is of none of the
    three kinds, such as ``direct eth0 bridge``.
    """

    name: str
    mac: str
    network: str | None = None
    bridge: str | None = None
    model: str = "virtio"
    mtu: int | None = None
    hostdev: str | None = None
    queues: int | None = None
    link: bool = True
    inbound: int | None = None
    outbound: int | None = None
    boot: int | None = None
    vlan: int | None = None
    vlans: tuple[str, ...] = ()
    foreign: str | None = None
    other: str | None = None
    virtual_network: str | None = None
    tap: str | None = None
    isolated: bool = False
    mtu_of_network: bool = False
    addresses: tuple[str, ...] = ()
    public_address: tuple[PublicAddress, ...] = ()


@dataclass(frozen=True, order=True)
class Filesystem:
    """A folder of the host that the guest mounts by its tag (virtiofs)."""

    tag: str
    path: str


@dataclass(frozen=True)
class DomainSpec:
    """One domain; memory in bytes. Disks are in the order of their targets: libvirt does not keep another.

    Shared folders are in the order of their tags, PCI devices in that of their addresses.

    ``video`` None is the usual display adapter of the architecture.
    ``max_vcpus`` and ``max_memory`` are what a running guest can grow to, never less than what it has.
    ``vnc_listen`` and ``vnc_password`` are those of the VNC display, where there is one (see ``vnc``). Nothing shows the password.
    """

    name: str
    uuid: str
    virt_type: str
    arch: str
    machine: str
    memory: int
    vcpus: int
    cpu: Cpu
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    console_log: str | None = None
    vnc: bool = False
    vnc_listen: str = LOOPBACK
    vnc_password: str | None = field(default=None, repr=False)
    agent: bool = True
    rng: bool = True
    max_memory: int = 0
    max_vcpus: int = 0
    hugepages: int | None = None
    numa: tuple[NumaCell, ...] = ()
    vcpu_pinning: tuple[str, ...] = ()
    emulator_pinning: str | None = None
    iothreads: int = 0
    firmware: str = "bios"
    secure_boot: bool = False
    nvram: str | None = None
    tpm: bool = False
    spice: str | None = None
    virtio_console: bool = False
    watchdog: str | None = None
    filesystems: tuple[Filesystem, ...] = ()
    pci_devices: tuple[str, ...] = ()
    xml_override: str | None = None
    video: str | None = None
    usb: bool = False
    tablet: bool = False
    keyboard: bool = False
    title: str | None = None
    description: str | None = None
    os: str = "linux"
    cpu_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_memory", max(self.max_memory, self.memory))
        object.__setattr__(self, "max_vcpus", max(self.max_vcpus, self.vcpus))
        if not self.vnc:
            object.__setattr__(self, "vnc_listen", LOOPBACK)
            object.__setattr__(self, "vnc_password", None)


@dataclass(frozen=True)
class Foreign:
    """Devices of a domain that others made and no option has named: they are read, shown and never written.

    A disk has the name of its target, an interface that of its place. ``taken_over``: others made the whole domain. ``ordered``
    are of devices that are ours by then: what names those that the boot order alone took over (see ``Record``).
    """

    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    taken_over: bool = False
    ordered: tuple[str, ...] = ()

    @property
    def targets(self) -> frozenset[str]:
        """The device names of these disks."""
        return frozenset(disk.target for disk in self.disks)


NOTHING_FOREIGN = Foreign()


@dataclass(frozen=True)
class Volume:
    """The file that a disk is to have: an overlay on ``backing`` or an empty qcow2 of ``size`` bytes.

    ``image`` is the digest of the backing image; ``size`` None keeps what the file has.
    """

    disk: str
    path: str
    size: int | None = None
    image: str | None = None
    backing: str | None = None


@dataclass(frozen=True)
class Record:
    """What we asked for, kept in the domain's metadata: it marks the domain as ours and keeps what a run started with.

    Its disks are on their own files: overlays come and go without it. ``kept`` has the keys of a newer version.
    ``taken_over``: others made the domain. ``ordered``: the targets and MAC addresses (``foreign``) of devices of others that only
    the boot order has named, so that a list of disks or interfaces that leaves them out does not end them. ``cloned_from`` is the
    name of the domain that it was cloned from, ``restored_from`` UUID and generation (``UUID EPOCH.NUMBER``) of the recovery point
    that it was made from, ``recovery`` what it asks of recovery points, None for none.
    """

    spec: DomainSpec
    volumes: tuple[Volume, ...] = ()
    seed: str | None = None
    context: str | None = None
    taken_over: bool = False
    ordered: tuple[str, ...] = ()
    cloned_from: str | None = None
    restored_from: str | None = None
    recovery: RecoveryPolicy | None = None
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.spec, DomainSpec):  # what was read from a text is checked later
            object.__setattr__(self, "spec", replace(self.spec, disks=tuple(disk.own for disk in self.spec.disks)))

    def to_json(self) -> str:
        """Return the same text for the same record, without passwords; what has its default is left out."""
        override = self.spec.xml_override
        spec = replace(self.spec, vnc_password=None, xml_override=concealed(override) if override else override)
        shown = replace(self, spec=spec)
        return json.dumps({**self.kept, "version": RECORD_VERSION, **_plain(shown)}, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 over the text."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()


def spec_from_dict(data: Mapping[str, Any]) -> DomainSpec:
    """Return the spec of ``asdict(spec)``; keys that this version does not know are ignored."""
    spec: DomainSpec = _build(DomainSpec, data)
    return spec


def record_from_json(text: str) -> Record | None:
    """Return the record, or None where the text is not one (someone else's element, a damaged one).

    Keys that this version does not know are kept beside the spec, and ignored in it: what they stand for stays in libvirt's XML.
    Raises Unsupported where a newer major version wrote it: the domain is ours, and must not be taken for someone else's.
    """
    try:
        data = json.loads(text)
        require_schema(data, RECORD_VERSION, "What edge.cloud wrote into the domain's metadata", key="version")
        names = {one.name for one in fields(Record)} - {"kept"} | {"version"}
        record: Record = replace(_build(Record, data), kept={key: value for key, value in data.items() if key not in names})
    except (ValueError, KeyError, TypeError, AttributeError, Corrupt):
        return None
    return record if isinstance(record.spec, DomainSpec) and isinstance(record.spec.cpu, Cpu) else None


PARTS: dict[tuple[type[Any], str], type[Any]] = {
    (Record, "spec"): DomainSpec,
    (Record, "volumes"): Volume,
    (Record, "recovery"): RecoveryPolicy,
    (DomainSpec, "cpu"): Cpu,
    (DomainSpec, "numa"): NumaCell,
    (DomainSpec, "disks"): Disk,
    (DomainSpec, "nics"): Nic,
    (Nic, "public_address"): PublicAddress,
    (DomainSpec, "filesystems"): Filesystem,
    (Disk, "source"): NetworkSource,
    (Disk, "limits"): DiskLimits,
}


def _build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """Return an object of ``cls``, its parts too; lists become tuples."""
    names = {one.name for one in fields(cls)} - {"kept"}
    return cls(**{key: _part(PARTS.get((cls, key)), value) for key, value in data.items() if key in names})


def _part(cls: type[Any] | None, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_part(cls, item) for item in value)
    return value if cls is None or value is None else _build(cls, value)


def _plain(value: Any) -> Any:
    """Return a dataclass as a dictionary of what differs from its defaults."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    pairs = [(one, getattr(value, one.name)) for one in fields(value) if one.name != "kept"]
    return {one.name: _plain(found) for one, found in pairs if one.default is MISSING or found != one.default}


def stable_uuid(name: str) -> str:
    """Return the UUID that a domain of this name has on every host and after every rebuild."""
    return str(uuid.uuid5(UUID_NAMESPACE, name))


def stable_mac(domain: str, nic: str) -> str:
    """Return the locally administered MAC address of a NIC, the same on every host: 52:54 and 32 bits of SHA-256."""
    digest = hashlib.sha256(f"{domain}/{nic}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x52, 0x54, *digest[:4]))
