# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs, facts and strategies for tests of the compute room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import HostFacts
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DiskLimits,
    DomainSpec,
    Filesystem,
    NetworkSource,
    Nic,
    NumaCell,
    Record,
    Volume,
)
from ansible_collections.edge.cloud.plugins.module_utils._vlans import collapsed
from hypothesis import strategies as st

DIGEST = "sha256:" + "ab" * 32
MIB, GIB = 2**20, 2**30
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,19}", fullmatch=True).filter(lambda name: name not in ("seed", "context"))
words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=30)
paths = words.map(lambda word: "/" + word)
macs = st.lists(st.integers(0, 255), min_size=5, max_size=5).map(lambda rest: ":".join(f"{octet:02x}" for octet in (0x52, *rest)))
modes = st.sampled_from(["host-model", "host-passthrough", "maximum", "none"])
some = st.none() | st.integers(1, 64)
cpus = st.one_of(st.builds(Cpu, modes), st.builds(Cpu, st.just("custom"), words, some, some, some))
kib = st.integers(1, 2**32).map(lambda number: number * 1024)
pci = st.from_regex(r"0000:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", fullmatch=True)
cpusets = st.sampled_from(["0", "1-3", "0-1,4"])
remotes = st.builds(
    NetworkSource,
    protocol=st.sampled_from(["rbd", "nbd"]),
    name=words,
    hosts=st.lists(st.sampled_from(["198.51.100.1:6789", "storage.example:10809", "[2001:db8::1]:10809"]), max_size=3).map(tuple),
    user=st.none() | words,
    secret=st.none() | st.uuids().map(str),
    tls=st.booleans(),
)
rates = st.integers(0, 2**40)
vnc_passwords = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8)
limits = st.builds(DiskLimits, rates, rates, rates, rates, rates, rates)


def in_order(found: list[Any]) -> tuple[Any, ...]:
    return tuple(sorted(found))


def disks() -> st.SearchStrategy[tuple[Disk, ...]]:
    disk = st.builds(
        Disk,
        name=names,
        path=paths,
        format=st.sampled_from(["qcow2", "raw"]),
        target=st.from_regex(r"vd[a-y]", fullmatch=True),
        bus=st.sampled_from(["virtio", "scsi", "sata"]),
        cache=st.sampled_from(["default", "none", "writeback"]),
        io=st.sampled_from([None, "native", "threads", "io_uring"]),
        discard=st.sampled_from([None, "unmap", "ignore"]),
        serial=st.none() | words,
        read_only=st.booleans(),
        boot=st.none() | st.integers(1, 9),
        device=st.sampled_from(["disk", "cdrom"]),
        iothread=some,
        queues=some,
        limits=limits,
        block=st.booleans(),
    )
    remote = st.builds(lambda disk, source: replace(disk, path="", format="raw", block=False, source=source), disk, remotes)
    empty = disk.map(lambda disk: replace(disk, path="", format="raw", block=False, device="cdrom", read_only=True))
    disk = disk | remote | empty
    return st.lists(disk, max_size=4, unique_by=(lambda one: one.name, lambda one: one.target)).map(
        lambda found: tuple(sorted(found, key=lambda one: one.target))
    )


trunks = st.frozensets(st.integers(2, 4094), max_size=5).map(lambda found: collapsed(dict.fromkeys(found, "")))


def nics() -> st.SearchStrategy[tuple[Nic, ...]]:
    place = st.one_of(st.fixed_dictionaries({"network": words}), st.fixed_dictionaries({"bridge": words}))
    nic = st.builds(
        lambda where, tags, **rest: Nic(**where, **tags, **rest),
        where=place,
        name=names,
        mac=macs,
        model=st.sampled_from(["virtio", "e1000e"]),
        mtu=st.none() | st.integers(68, 65535),
        queues=some,
        link=st.booleans(),
        inbound=st.none() | kib,
        outbound=st.none() | kib,
        tags=st.fixed_dictionaries({"vlan": st.none() | st.integers(1, 4094)}) | st.fixed_dictionaries({"vlans": trunks}),
        boot=some,
    )
    function = st.builds(Nic, name=names, mac=macs, hostdev=pci)
    return st.lists(nic | function, max_size=4, unique_by=(lambda one: one.name, lambda one: one.mac)).map(tuple)


specs = st.builds(
    DomainSpec,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    uuid=st.uuids().map(str),
    virt_type=st.sampled_from(["kvm", "qemu"]),
    arch=st.sampled_from(["x86_64", "aarch64"]),
    machine=st.sampled_from(["q35", "pc-q35-7.2", "virt"]),
    memory=kib,
    vcpus=st.integers(1, 512),
    cpu=cpus,
    kernel=st.none() | paths,
    initrd=st.none() | paths,
    cmdline=st.none() | words,
    disks=disks(),
    nics=nics(),
    console_log=st.none() | paths,
    vnc=st.booleans(),
    vnc_listen=st.sampled_from(["127.0.0.1", "0.0.0.0", "::", "192.0.2.7", "2001:db8::7"]),
    vnc_password=st.none() | vnc_passwords,
    agent=st.booleans(),
    rng=st.booleans(),
    max_memory=kib,
    max_vcpus=st.integers(1, 512),
    hugepages=st.sampled_from([None, 2**21, 2**30]),
    numa=st.lists(st.builds(NumaCell, cpusets, kib), max_size=3).map(tuple),
    vcpu_pinning=st.sampled_from([(), ("0",), ("", "1-3"), ("4", "", "0-1,5")]),
    emulator_pinning=st.none() | cpusets,
    iothreads=st.integers(0, 8),
    firmware=st.sampled_from(["bios", "uefi"]),
    tpm=st.booleans(),
    spice=st.sampled_from([None, "loopback", "tls"]),
    virtio_console=st.booleans(),
    watchdog=st.sampled_from([None, "reset", "poweroff", "pause"]),
    filesystems=st.lists(st.builds(Filesystem, names, paths), max_size=2, unique_by=lambda one: one.tag).map(in_order),
    pci_devices=st.lists(pci, max_size=2, unique=True).map(in_order),
    usb=st.booleans(),
    cpu_features=st.sampled_from([(), ("-vmx",), ("-svm", "aes")]),
    title=st.none() | words,
    description=st.none() | words,
    os=st.sampled_from(["linux", "windows"]),
    tablet=st.booleans(),
    keyboard=st.booleans(),
).flatmap(lambda spec: st.just(spec) if spec.firmware == "bios" else st.builds(_uefi, st.just(spec), st.booleans(), paths))


def _uefi(spec: DomainSpec, secure: bool, nvram: str) -> DomainSpec:
    return replace(spec, secure_boot=secure, nvram=nvram)


def spec(**changes: Any) -> DomainSpec:
    values: dict[str, Any] = {
        "name": "web",
        "uuid": "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f",
        "virt_type": "kvm",
        "arch": "x86_64",
        "machine": "pc-q35-7.2",
        "memory": GIB,
        "vcpus": 1,
        "cpu": Cpu("host-model"),
    }
    return DomainSpec(**{**values, **changes})


def root_disk(**changes: Any) -> Disk:
    values: dict[str, Any] = {
        "name": "root",
        "path": "/var/lib/edge/vms/web/root.qcow2",
        "format": "qcow2",
        "target": "vda",
        "bus": "virtio",
        "cache": "none",
        "io": "native",
        "discard": "unmap",
        "serial": "root",
        "boot": 1,
    }
    return Disk(**{**values, **changes})


def root_volume(**changes: Any) -> Volume:
    values: dict[str, Any] = {
        "disk": "root",
        "path": "/var/lib/edge/vms/web/root.qcow2",
        "size": 20 * GIB,
        "image": DIGEST,
        "backing": f"/var/lib/edge/images/{'ab' * 32}.qcow2",
    }
    return Volume(**{**values, **changes})


def host(**changes: Any) -> HostFacts:
    values: dict[str, Any] = {
        "virt_types": ("kvm", "qemu"),
        "arch": "x86_64",
        "memory": 64 * GIB,
        "machines": {"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"},
        "networks": {"edge": True, "asleep": False},
        "bridges": ("br-lan",),
        "images": {DIGEST: 2 * GIB},
        "direct_io": True,
    }
    return HostFacts(**{**values, **changes})


def record(**changes: Any) -> Record:
    return Record(spec(disks=(root_disk(),), **changes), (root_volume(),))
