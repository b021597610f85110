# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processors, memory and firmware ↔ libvirt XML. What has the same value already is not touched."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._sizes import KIB
from ..model.spec import Cpu, DomainSpec, NumaCell
from .properties import Property, or_nothing, read_all, read_path, read_scaled, write_all, write_kib, write_path

CPU = (
    Property("mode", "@mode", absent="none", encode=lambda mode: None if mode == "none" else mode),
    Property("model", "model"),
    Property("sockets", "topology@sockets", int),
    Property("cores", "topology@cores", int),
    Property("threads", "topology@threads", int),
)
TUNE = (
    Property("iothreads", "iothreads", int, 0, or_nothing),
    Property("emulator_pinning", "cputune/emulatorpin@cpuset"),
)
SECURE_BOOT = "os/firmware/feature[@name='secure-boot'][@enabled='yes']"


def parse_machine(root: Element) -> dict[str, Any]:
    """Return the fields of a spec that are processors, memory and firmware."""
    cpu = root.find("cpu")
    top = int(read_path(root, "vcpu") or 1)
    ceiling = read_scaled(root, "memory")
    return {
        **read_all(root, TUNE),
        "vcpus": int(read_path(root, "vcpu@current") or top),
        "max_vcpus": top,
        "memory": read_scaled(root, "currentMemory") or ceiling,
        "max_memory": ceiling,
        "cpu": Cpu(**read_all(cpu, CPU)) if cpu is not None else Cpu("none"),
        "numa": _numa(root),
        "vcpu_pinning": _pinning(root),
        "hugepages": read_scaled(root, "memoryBacking/hugepages/page", size="@size") or None,
        **_firmware(root),
    }


def _numa(root: Element) -> tuple[NumaCell, ...]:
    cells = root.findall("cpu/numa/cell")
    return tuple(NumaCell(cell.get("cpus", ""), read_scaled(cell, "", size="@memory")) for cell in cells)


def _pinning(root: Element) -> tuple[str, ...]:
    pins = {int(pin.get("vcpu", "0")): pin.get("cpuset", "") for pin in root.iterfind("cputune/vcpupin")}
    return tuple(pins.get(place, "") for place in range(max(pins) + 1)) if pins else ()


def _firmware(root: Element) -> dict[str, Any]:
    uefi = read_path(root, "os@firmware") == "efi" or read_path(root, "os/loader@type") == "pflash"
    secure = root.find(SECURE_BOOT) is not None or read_path(root, "os/loader@secure") == "yes"
    return {"firmware": "uefi" if uefi else "bios", "secure_boot": secure, "nvram": read_path(root, "os/nvram") or None}


def emit_machine(root: Element, spec: DomainSpec) -> None:
    """Write processors, memory and firmware of ``spec``."""
    had = parse_machine(root)
    write_all(root, TUNE, asdict(spec))
    if (had["vcpus"], had["max_vcpus"]) != (spec.vcpus, spec.max_vcpus):
        write_path(root, "vcpus", None)  # which of them are on: libvirt makes it from the two numbers
    write_path(root, "vcpu", str(spec.max_vcpus))
    write_path(root, "vcpu@current", str(spec.vcpus) if spec.vcpus < spec.max_vcpus else None)
    write_kib(root, "memory", spec.max_memory)
    write_kib(root, "currentMemory", spec.memory)
    _emit_cpu(root, spec.cpu)
    if had["numa"] != spec.numa:
        _emit_numa(root, spec)
    if had["vcpu_pinning"] != spec.vcpu_pinning:
        _emit_pinning(root, spec)
    if had["hugepages"] != spec.hugepages:
        write_path(root, "memoryBacking/hugepages/page@size", str(spec.hugepages // KIB) if spec.hugepages else None)
        write_path(root, "memoryBacking/hugepages/page@unit", "KiB" if spec.hugepages else None)
    if {key: had[key] for key in ("firmware", "secure_boot", "nvram")} != _firmware_of(spec):
        _emit_firmware(root, spec)


def _emit_cpu(root: Element, cpu: Cpu) -> None:
    element = root.find("cpu")
    if element is not None and read_all(element, CPU) == asdict(cpu):
        return
    numa = element.find("numa") if element is not None else None
    if element is not None:  # match, check and features belonged to the CPU that was
        root.remove(element)
    if cpu != Cpu("none") or numa is not None:
        new = SubElement(root, "cpu")
        write_all(new, CPU, asdict(cpu))
        if numa is not None:
            new.append(numa)


def _emit_numa(root: Element, spec: DomainSpec) -> None:
    cpu = root.find("cpu")
    if cpu is None:
        cpu = SubElement(root, "cpu")
    for old in cpu.findall("numa"):
        cpu.remove(old)
    numa = SubElement(cpu, "numa") if spec.numa else None
    for place, cell in enumerate(spec.numa):
        attributes = {"id": str(place), "cpus": cell.cpus, "memory": str(cell.memory // KIB), "unit": "KiB"}
        SubElement(numa, "cell", attributes)  # type: ignore[arg-type]
    if not cpu.attrib and not len(cpu):
        root.remove(cpu)


def _emit_pinning(root: Element, spec: DomainSpec) -> None:
    tune = root.find("cputune")
    if tune is None:
        tune = SubElement(root, "cputune")
    for old in tune.findall("vcpupin"):
        tune.remove(old)
    for place, cpus in enumerate(spec.vcpu_pinning):
        if cpus:
            SubElement(tune, "vcpupin", {"vcpu": str(place), "cpuset": cpus})
    if not len(tune):
        root.remove(tune)


def _firmware_of(spec: DomainSpec) -> dict[str, Any]:
    return {"firmware": spec.firmware, "secure_boot": spec.secure_boot, "nvram": spec.nvram}


def _emit_firmware(root: Element, spec: DomainSpec) -> None:
    """Write what the firmware must have and let libvirt find the file; Debian's first match is one with secure boot."""
    for path in ("os/loader", "os/nvram", "os/firmware"):
        parent, tag = root.find("os"), path.removeprefix("os/")
        for old in parent.findall(tag) if parent is not None else ():
            parent.remove(old)  # type: ignore[union-attr]
    uefi = spec.firmware == "uefi"
    write_path(root, "os@firmware", "efi" if uefi else None)
    write_path(root, "os/nvram", spec.nvram)
    if uefi:
        firmware = SubElement(root.find("os"), "firmware")  # type: ignore[arg-type]
        enabled = "yes" if spec.secure_boot else "no"
        for feature in ("secure-boot", "enrolled-keys"):
            SubElement(firmware, "feature", {"enabled": enabled, "name": feature})


def emit_shared_memory(root: Element, wanted: bool, had: bool) -> None:
    """Let host programs (virtiofsd) see the guest's memory; it goes with the last of our shared folders."""
    if wanted or had:
        write_path(root, "memoryBacking/source@type", "memfd" if wanted else None)
        write_path(root, "memoryBacking/access@mode", "shared" if wanted else None)
