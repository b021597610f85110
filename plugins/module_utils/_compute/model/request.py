# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks of one domain, typed. A module's parameters become it once, in ``read_options``; nothing deeper sees them.

None is an option that was left out, unless it has a default of its own. Sizes and rates are the texts that the user wrote.
``where`` is the path of an item in the options, such as ``disks[0]``, which errors begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .public_address import PublicAddress
from .recovery_policy import RecoveryOptions

AGAIN = ("restarted", "reset")


@dataclass(frozen=True)
class SourceOptions:
    """Where a disk is that no file of the host backs."""

    protocol: str
    name: str = ""
    hosts: tuple[str, ...] = ()
    user: str | None = None
    secret: str | None = None
    tls: bool = False


@dataclass(frozen=True)
class LimitOptions:
    """The limits of a disk; what is asked is the whole of them."""

    total_bytes: str | None = None
    read_bytes: str | None = None
    write_bytes: str | None = None
    total_iops: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None


@dataclass(frozen=True)
class DiskOptions:
    """One item of ``disks``."""

    where: str
    name: str
    image: str | None = None
    size: str | None = None
    path: str | None = None
    format: str | None = None
    preallocation: str | None = None
    target: str | None = None
    bus: str | None = None
    cache: str | None = None
    io: str | None = None
    discard: str | None = None
    serial: str | None = None
    read_only: bool | None = None
    device: str | None = None
    source: SourceOptions | None = None
    iothread: int | None = None
    queues: int | None = None
    limits: LimitOptions | None = None


@dataclass(frozen=True)
class NicOptions:
    """One item of ``nics``."""

    where: str
    name: str
    network: str | None = None
    bridge: str | None = None
    mac: str | None = None
    model: str | None = None
    mtu: int | None = None
    hostdev: str | None = None
    queues: int | None = None
    link: bool | None = None
    inbound: str | None = None
    outbound: str | None = None
    vlan: int | None = None
    vlans: tuple[str, ...] | None = None
    virtual_network: str | None = None
    addresses: tuple[str, ...] | None = None
    public_address: tuple[PublicAddress, ...] | None = None


@dataclass(frozen=True)
class CpuOptions:
    """The CPU; what is asked is the whole of it."""

    mode: str
    model: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class NumaOptions:
    """One item of ``numa``."""

    where: str
    cpus: str
    memory: str


@dataclass(frozen=True)
class FilesystemOptions:
    """One item of ``filesystems``."""

    where: str
    tag: str
    path: str


@dataclass(frozen=True)
class CloudInitOptions:
    """The content of the cloud-init seed; user and vendor data are texts, or mappings that become YAML."""

    hostname: str | None = None
    ssh_authorized_keys: tuple[str, ...] = ()
    user_data: Any = None
    vendor_data: Any = None
    network_config: Mapping[str, Any] | None = None
    meta_data: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DomainOptions:
    """The options of the module ``domain``: what the domain is to be, and what may be done to get there."""

    name: str
    uuid: str | None = None
    memory: str | None = None
    max_memory: str | None = None
    vcpus: int | None = None
    max_vcpus: int | None = None
    cpu: CpuOptions | None = None
    numa: tuple[NumaOptions, ...] | None = None
    hugepages: str | None = None
    vcpu_pinning: tuple[str, ...] | None = None
    emulator_pinning: str | None = None
    iothreads: int | None = None
    virt_type: str | None = None
    arch: str | None = None
    machine: str | None = None
    firmware: str | None = None
    secure_boot: bool | None = None
    tpm: bool | None = None
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    disks: tuple[DiskOptions, ...] | None = None
    image_servers: tuple[str, ...] = ()
    nics: tuple[NicOptions, ...] | None = None
    boot_order: tuple[str, ...] | None = None
    filesystems: tuple[FilesystemOptions, ...] | None = None
    pci_devices: tuple[str, ...] | None = None
    cloud_init: CloudInitOptions | None = None
    context: Mapping[str, Any] | None = None
    from_image_defaults: bool = False
    user_inputs: Mapping[str, Any] | None = None
    console_log: bool | None = None
    virtio_console: bool | None = None
    vnc: bool | None = None
    vnc_listen: str | None = None
    vnc_password: Any = field(default=None, repr=False)
    spice: str | None = None
    watchdog: str | None = None
    guest_agent: bool | None = None
    rng: bool | None = None
    autostart: bool | None = None
    xml_override: str | None = None
    video: str | None = None
    usb: bool | None = None
    tablet: bool | None = None
    keyboard: bool | None = None
    title: str | None = None
    description: str | None = None
    os: str | None = None
    recovery: RecoveryOptions | None = None
    state: str = "running"
    allow_restart: bool = False
    allow_recreate: bool = False
    force_stop: bool = False
    delete_disks: bool = False
    adopt: bool = False
    wait_for_address: bool = False
    timeout: float = 120

    @property
    def run(self) -> str:
        """What the domain does at the end: it runs where it is restarted or reset."""
        return "running" if self.state in AGAIN else self.state

    @property
    def may_restart(self) -> bool:
        """Whether a domain that runs may be shut down and started again."""
        return self.allow_restart or self.state == "restarted"

    @property
    def asks_of_vnc(self) -> bool:
        """Whether it says where a VNC display listens or what its password is."""
        return self.vnc_listen is not None or self.vnc_password is not None

    def disk_path(self, name: str) -> str:
        """Return the path of a disk's options; ``disk NAME`` for one that the domain has and the options do not name."""
        return next((disk.where for disk in self.disks or () if disk.name == name), f"disk {name}")


PARTS: dict[str, type[Any]] = {
    "cpu": CpuOptions,
    "numa": NumaOptions,
    "disks": DiskOptions,
    "source": SourceOptions,
    "limits": LimitOptions,
    "nics": NicOptions,
    "public_address": PublicAddress,
    "filesystems": FilesystemOptions,
    "cloud_init": CloudInitOptions,
    "recovery": RecoveryOptions,
}


def read_options(parameters: Mapping[str, Any]) -> DomainOptions:
    """Return the request that a module's parameters make; they are as Ansible's argument specification leaves them."""
    options: DomainOptions = _read(DomainOptions, parameters, "")
    return options


def _read(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
    names = {field.name for field in fields(cls)}
    known = {name: _value(name, value) for name, value in values.items() if name in names and value is not None}
    return cls(**known, **({"where": where} if "where" in names else {}))


def _value(name: str, value: Any) -> Any:
    """Return a parameter with its parts typed and its lists as tuples; an interface without a name has that of its place."""
    cls = PARTS.get(name)
    if isinstance(value, list | tuple):
        items = tuple(value)
        if name == "nics":
            items = tuple({**item, "name": item.get("name") or f"nic{place}"} for place, item in enumerate(items))
        return items if cls is None else tuple(_read(cls, item, f"{name}[{place}]") for place, item in enumerate(items))
    return value if cls is None else _read(cls, value, name)
