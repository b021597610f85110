# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain as plain frozen data: everything that we own in its libvirt XML, and the files behind its disks.

A DomainSpec has no open questions: every default was decided when it was made (see options.py), so that two of
them compare by value and one is the whole description of what libvirt shall run.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

RECORD_VERSION = 1
UUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://edge.cloud/domain")
SEED = "seed"


@dataclass(frozen=True)
class Cpu:
    """The CPU that the guest sees; ``model`` goes with mode ``custom`` only."""

    mode: str
    model: str | None = None


@dataclass(frozen=True)
class Disk:
    """One block device of a guest, backed by a file; ``remote`` is the URL of an image that the file is laid over from afar."""

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
    remote: str | None = None


@dataclass(frozen=True)
class Nic:
    """One network interface of a guest, on a libvirt network or on a host's bridge."""

    name: str
    mac: str
    network: str | None = None
    bridge: str | None = None
    model: str = "virtio"
    mtu: int | None = None


@dataclass(frozen=True)
class DomainSpec:
    """One domain; memory in bytes. Disks are in the order of their targets: libvirt does not keep another."""

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
    agent: bool = True
    rng: bool = True


@dataclass(frozen=True)
class Volume:
    """The file that a disk shall have: an overlay on ``backing`` or an empty qcow2 of ``size`` bytes.

    ``image`` is the digest of the backing image; ``size`` None keeps what the file has.
    """

    disk: str
    path: str
    size: int | None = None
    image: str | None = None
    backing: str | None = None


@dataclass(frozen=True)
class Record:
    """What we asked for, kept in the domain's metadata: it marks the domain as ours and tells what a run started with."""

    spec: DomainSpec
    volumes: tuple[Volume, ...] = ()
    seed: str | None = None

    def to_json(self) -> str:
        """Return the same text for the same record."""
        return json.dumps({"version": RECORD_VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 over the text."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()


def spec_from_dict(data: Mapping[str, Any]) -> DomainSpec:
    """Return the spec of ``asdict(spec)``; keys that this version does not know are ignored."""
    known: dict[str, Any] = _known(DomainSpec, data)
    known["cpu"] = Cpu(**_known(Cpu, data["cpu"]))
    known["disks"] = tuple(Disk(**_known(Disk, disk)) for disk in data.get("disks", ()))
    known["nics"] = tuple(Nic(**_known(Nic, nic)) for nic in data.get("nics", ()))
    return DomainSpec(**known)


def record_from_json(text: str) -> Record | None:
    """Return the record, or None where the text is not one (someone else's element, a damaged one)."""
    try:
        data = json.loads(text)
        volumes = tuple(Volume(**_known(Volume, volume)) for volume in data.get("volumes", ()))
        return Record(spec_from_dict(data["spec"]), volumes, data.get("seed"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _known(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {key: value for key, value in data.items() if key in names}


def stable_uuid(name: str) -> str:
    """Return the UUID that a domain of this name has on every host and after every rebuild."""
    return str(uuid.uuid5(UUID_NAMESPACE, name))


def stable_mac(domain: str, nic: str) -> str:
    """Return the locally administered MAC address of a NIC, the same on every host: 52:54 and 32 bits of SHA-256."""
    digest = hashlib.sha256(f"{domain}/{nic}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x52, 0x54, *digest[:4]))
