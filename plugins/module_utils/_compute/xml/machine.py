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
NO_FIRMWARE: dict[str, Any] = {"firmware": "bios", "secure_boot": False, "nvram": None}
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
        "hugepages": _hugepages(root),
        **_firmware(root),
    }


def _hugepages(root: Element) -> int | None:
    """Return the size of the pages, 0 for the host's own size, None without huge pages."""
    if root.find("memoryBacking/hugepages") is None:
        return None
    return read_scaled(root, "memoryBacking/hugepages/page", size="@size")


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


def emit_machine(root: Element, spec: DomainSpec, had: DomainSpec | None) -> None:
    """Write processors, memory and firmware in which ``spec`` differs from what the domain has; all of a new one."""
    write_all(root, TUNE, asdict(spec), asdict(had) if had else None)
    if had is None or (had.vcpus, had.max_vcpus) != (spec.vcpus, spec.max_vcpus):
        write_path(root, "vcpus", None)  # which of them are on: libvirt makes it from the two numbers
        write_path(root, "vcpu", str(spec.max_vcpus))
        write_path(root, "vcpu@current", str(spec.vcpus) if spec.vcpus < spec.max_vcpus else None)
    if had is None or had.max_memory != spec.max_memory:
        write_kib(root, "memory", spec.max_memory)
    if had is None or (had.memory, had.max_memory) != (spec.memory, spec.max_memory):
        write_kib(root, "currentMemory", spec.memory)
    if spec.cpu != (had.cpu if had else Cpu("none")):
        _emit_cpu(root, spec.cpu)
    if spec.numa != (had.numa if had else ()):
        _emit_numa(root, spec)
    if spec.vcpu_pinning != (had.vcpu_pinning if had else ()):
        _emit_pinning(root, spec)
    if spec.hugepages != (had.hugepages if had else None):
        _emit_hugepages(root, spec.hugepages)
    if _firmware_of(spec) != (_firmware_of(had) if had else NO_FIRMWARE):
        _emit_firmware(root, spec)


def _emit_hugepages(root: Element, size: int | None) -> None:
    backing = root.find("memoryBacking")
    if backing is not None and not size:
        for old in backing.findall("hugepages"):
            backing.remove(old)
        if not len(backing):
            root.remove(backing)
    if size:
        write_path(root, "memoryBacking/hugepages/page@size", str(size // KIB))
        write_path(root, "memoryBacking/hugepages/page@unit", "KiB")


def _emit_cpu(root: Element, cpu: Cpu) -> None:
    element = root.find("cpu")
    if element is None:
        element = SubElement(root, "cpu")
    numa = element.findall("numa")
    element.clear()  # match, check and features belonged to the CPU that was
    write_all(element, CPU, asdict(cpu))
    element.extend(numa)
    if cpu == Cpu("none") and not numa:
        root.remove(element)


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
    old = tune.findall("vcpupin")
    begin = list(tune).index(old[0]) if old else len(tune)
    pins = [Element("vcpupin", {"vcpu": str(place), "cpuset": cpus}) for place, cpus in enumerate(spec.vcpu_pinning) if cpus]
    for pin in old:
        tune.remove(pin)
    for offset, pin in enumerate(pins):
        tune.insert(begin + offset, pin)
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


def emit_shared_memory(root: Element, spec: DomainSpec, had: DomainSpec | None, keep: bool) -> None:
    """Let host programs (virtiofsd) see the guest's memory; what we shared goes with our last folder, unless it is to be kept."""
    shared = read_path(root, "memoryBacking/access@mode") == "shared"
    if spec.filesystems and not shared:
        write_path(root, "memoryBacking/source@type", "memfd")
        write_path(root, "memoryBacking/access@mode", "shared")
    elif had is not None and had.filesystems and not spec.filesystems and not keep and not _is_seen(root):
        write_path(root, "memoryBacking/source@type", None)
        write_path(root, "memoryBacking/access@mode", None)


def _is_seen(root: Element) -> bool:
    """Return whether devices of others need the guest's memory to be shared."""
    return any(
        root.find(f"devices/{path}") is not None for path in ("filesystem/driver[@type='virtiofs']", "interface[@type='vhostuser']")
    )
