# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the request to processors, memory, firmware and devices that are there or not."""

from __future__ import annotations

import re
from typing import Any

from ..._errors import InvalidInput
from ..._sizes import GIB, MIB, parse_size, show_size
from ..model.architecture import architecture
from ..model.host_facts import HostFacts
from ..model.override_text import canonical
from ..model.request import CpuOptions, DomainOptions, FilesystemOptions, NumaOptions
from ..model.spec import Cpu, DomainSpec, Filesystem, NumaCell, stable_uuid
from ..xml.override import parse_override
from .values import (
    DEVICE_NAME,
    DEVICE_NAME_SAYS,
    PCI,
    PCI_SAYS,
    choose,
    cpu_numbers,
    cpu_ranges,
    in_range,
    kept_text,
    match,
    unique,
)

MIN_MEMORY = 16 * MIB
DEFAULT_MEMORY = GIB
MOST_VCPUS = 1024
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FAMILIES = {"q35": "pc-q35", "pc": "pc-i440fx"}
VERSION = re.compile(r"-[0-9][0-9.]*$")


def uuid_of(options: DomainOptions, before: DomainSpec | None, name: str) -> str:
    """Return the UUID, which never changes."""
    asked = options.uuid
    if asked is None:
        return before.uuid if before else stable_uuid(name)
    found = match(UUID, asked.lower(), "uuid", "a UUID in its usual form")
    if before and before.uuid != found:
        raise InvalidInput(f"uuid: domain {name} has UUID {before.uuid}; a UUID never changes, {found} was asked.", option="uuid")
    return found


def machine_family(machine: str) -> str:
    """Return ``pc-q35`` of ``pc-q35-7.2``: machines of a family differ in version, those of two in the places of devices."""
    return VERSION.sub("", FAMILIES.get(machine, machine))


def machine_of(asked: str | None, before: DomainSpec | None, arch: str, host: HostFacts) -> str:
    """Return the exact machine version: an alias of what the domain has keeps it, so that an upgrade of QEMU changes nothing."""
    if before and not asked:
        return before.machine
    wanted = asked or architecture(arch).machine
    if before and FAMILIES.get(wanted, wanted) == VERSION.sub("", before.machine):
        return before.machine
    return host.machines.get(wanted, wanted)


def size_fields(options: DomainOptions, before: DomainSpec | None) -> dict[str, Any]:
    """Return memory and vCPUs with their ceilings; a ceiling that is left out stays, and rises with what it holds."""
    memory = _memory(options.memory, "memory", before.memory if before else DEFAULT_MEMORY)
    ceiling = _memory(options.max_memory, "max_memory", max(memory, before.max_memory if before else 0))
    if ceiling < memory:
        raise InvalidInput(
            f"max_memory: {show_size(ceiling)} is less than memory ({show_size(memory)}).", option="max_memory", value=ceiling
        )
    vcpus = int(choose(in_range(options.vcpus, 1, MOST_VCPUS, "vcpus"), before and before.vcpus, 1))
    top = in_range(options.max_vcpus, 1, MOST_VCPUS, "max_vcpus") or max(vcpus, before.max_vcpus if before else 0)
    if top < vcpus:
        raise InvalidInput(f"max_vcpus: {top} is less than vcpus ({vcpus}).", option="max_vcpus", value=top)
    return {"memory": memory, "max_memory": ceiling, "vcpus": vcpus, "max_vcpus": top}


def _memory(asked: str | None, where: str, otherwise: int) -> int:
    if asked is None:
        return otherwise
    size = parse_size(asked, where)
    if size < MIN_MEMORY:
        raise InvalidInput(
            f"{where}: {asked} is {size} bytes, less than 16MiB; write the unit, such as 512MiB.", option=where, value=asked
        )
    return -(-size // MIB) * MIB  # QEMU has whole MiB; libvirt would round up at each start


def cpu_of(asked: CpuOptions | None, before: DomainSpec | None, virt_type: str, arch: str) -> Cpu:
    """Return the CPU; what is asked is the whole of it."""
    if asked is None:
        return before.cpu if before else Cpu({"kvm": architecture(arch).kvm_cpu, "qemu": "maximum"}.get(virt_type, "none"))
    mode, model = asked.mode, asked.model
    if (mode == "custom") != bool(model):
        raise InvalidInput(
            f"cpu.model: it is needed with mode custom, and only there (asked: mode {mode}, model {model or 'none'}).",
            option="cpu.model",
            value=model,
        )
    if virt_type == "qemu" and mode.startswith("host-"):
        raise InvalidInput(f"cpu.mode: {mode} needs virt_type kvm; with qemu use maximum or custom.", option="cpu.mode", value=mode)
    topology = {"sockets": asked.sockets, "cores": asked.cores, "threads": asked.threads}
    for name, count in topology.items():
        in_range(count, 1, MOST_VCPUS, f"cpu.{name}")
    if any(topology.values()):
        topology = {name: count or 1 for name, count in topology.items()}
    return Cpu(mode, model, **topology)


def tuning_fields(options: DomainOptions, before: DomainSpec | None) -> dict[str, Any]:
    """Return pinning, NUMA, huge pages and I/O threads."""
    pages, asked = options.hugepages, options.vcpu_pinning
    pinning = [cpu_ranges(cpus, f"vcpu_pinning[{place}]") if cpus else "" for place, cpus in enumerate(asked or ())]
    while pinning and not pinning[-1]:
        pinning.pop()
    emulator = cpu_ranges(options.emulator_pinning, "emulator_pinning") if options.emulator_pinning else None
    iothreads = in_range(options.iothreads, 0, 64, "iothreads")
    return {
        "hugepages": parse_size(pages, "hugepages") if pages else _keep(options, "hugepages", before, None),
        "numa": _numa(options.numa, before),
        "vcpu_pinning": tuple(pinning) if asked is not None else _keep(options, "vcpu_pinning", before, ()),
        "emulator_pinning": emulator or _keep(options, "emulator_pinning", before, None),
        "iothreads": choose(iothreads, before and before.iothreads, 0),
    }


def _keep(options: DomainOptions, field: str, before: DomainSpec | None, default: Any) -> Any:
    """Return what the domain has of an option that was left out, the default of one that was emptied."""
    return getattr(before, field) if before and getattr(options, field) is None else default


def _numa(asked: tuple[NumaOptions, ...] | None, before: DomainSpec | None) -> tuple[NumaCell, ...]:
    if asked is None:
        return before.numa if before else ()
    return tuple(
        NumaCell(cpu_ranges(cell.cpus, f"{cell.where}.cpus"), _memory(cell.memory, f"{cell.where}.memory", 0)) for cell in asked
    )


def kernel_fields(options: DomainOptions, before: DomainSpec | None) -> dict[str, Any]:
    """Return a kernel of the host with its initrd and command line, which go with it."""
    kernel, initrd = (kept_text(options, field, before) for field in ("kernel", "initrd"))
    cmdline = (kept_text(options, "cmdline", before) or "").strip() or None
    gone = options.kernel == ""
    return {"kernel": kernel, "initrd": None if gone else initrd, "cmdline": None if gone else cmdline}


def usual_firmware(options: DomainOptions, arch: str) -> str:
    """Return what a new domain is booted by: a kernel of the host needs none, and not every machine has firmware of its own."""
    return options.firmware or ("bios" if options.kernel else architecture(arch).firmware)


def firmware_fields(options: DomainOptions, before: DomainSpec | None, folder: str, arch: str) -> dict[str, Any]:
    """Return firmware, secure boot and where the firmware keeps its variables: in the VM's folder, like its disks."""
    firmware = choose(options.firmware, before and before.firmware, usual_firmware(options, arch))
    if before is None and firmware == "bios" and architecture(arch).firmware != "bios" and not options.kernel:
        raise InvalidInput(
            f"firmware: a machine of {arch} has no BIOS to boot from; use uefi, or give a kernel.", option="firmware", value="bios"
        )
    secure = bool(choose(options.secure_boot, before and before.secure_boot, False))
    if before and before.firmware == firmware:
        return {"firmware": firmware, "secure_boot": secure, "nvram": before.nvram}
    return {"firmware": firmware, "secure_boot": secure, "nvram": f"{folder}/nvram.fd" if firmware == "uefi" else None}


def device_fields(options: DomainOptions, before: DomainSpec | None) -> dict[str, Any]:
    """Return devices that are there or not, folders of the host and its PCI devices."""
    spice, watchdog = options.spice, options.watchdog
    override = kept_text(options, "xml_override", before)
    if options.xml_override:
        parse_override(options.xml_override)
        override = canonical(options.xml_override)
    return {
        "vnc": choose(options.vnc, before and before.vnc, False),
        "agent": choose(options.guest_agent, before and before.agent, True),
        "rng": choose(options.rng, before and before.rng, True),
        "tpm": choose(options.tpm, before and before.tpm, False),
        "virtio_console": choose(options.virtio_console, before and before.virtio_console, False),
        "spice": _keep(options, "spice", before, None) if spice in (None, "none") else spice,
        "watchdog": _keep(options, "watchdog", before, None) if watchdog in (None, "none") else watchdog,
        "filesystems": _filesystems(options.filesystems, before),
        "pci_devices": _pci_devices(options.pci_devices, before),
        "xml_override": override,
    }


def _filesystems(asked: tuple[FilesystemOptions, ...] | None, before: DomainSpec | None) -> tuple[Filesystem, ...]:
    if asked is None:
        return before.filesystems if before else ()
    for item in asked:
        match(DEVICE_NAME, item.tag, f"{item.where}.tag", DEVICE_NAME_SAYS)
        if not item.path.startswith("/"):
            where = f"{item.where}.path"
            raise InvalidInput(f"{where}: {item.path} is not absolute.", option=where, value=item.path)
    unique((f"{item.where}.tag", item.tag) for item in asked)
    return tuple(sorted(Filesystem(item.tag, item.path) for item in asked))


def _pci_devices(asked: tuple[str, ...] | None, before: DomainSpec | None) -> tuple[str, ...]:
    if asked is None:
        return before.pci_devices if before else ()
    found = [match(PCI, address.lower(), f"pci_devices[{place}]", PCI_SAYS) for place, address in enumerate(asked)]
    unique((f"pci_devices[{place}]", address) for place, address in enumerate(found))
    return tuple(sorted(found))


def check_together(spec: DomainSpec, before: DomainSpec | None) -> None:
    """Raise where two values that are right alone do not fit; those of a domain that stay together as they are do."""

    def changed(*names: str) -> bool:
        return before is None or any(getattr(spec, name) != getattr(before, name) for name in names)

    if (
        spec.secure_boot
        and changed("secure_boot", "firmware", "machine")
        and (spec.firmware != "uefi" or "q35" not in spec.machine)
    ):
        raise InvalidInput(
            f"secure_boot: it needs firmware uefi and machine q35, found {spec.firmware} and {spec.machine}.",
            option="secure_boot", value=True,
        )  # fmt: skip
    cpu = spec.cpu
    product = (cpu.sockets or 1) * (cpu.cores or 1) * (cpu.threads or 1)
    if cpu.sockets and changed("cpu", "max_vcpus") and product != spec.max_vcpus:
        raise InvalidInput(
            f"cpu.sockets: {cpu.sockets} sockets × {cpu.cores} cores × {cpu.threads} threads are {product} CPUs, "
            f"max_vcpus is {spec.max_vcpus}.", option="cpu.sockets", value=cpu.sockets,
        )  # fmt: skip
    if changed("vcpu_pinning", "max_vcpus") and len(spec.vcpu_pinning) > spec.max_vcpus:
        raise InvalidInput(
            f"vcpu_pinning: it has {len(spec.vcpu_pinning)} entries, max_vcpus is {spec.max_vcpus}.", option="vcpu_pinning"
        )
    if spec.hugepages and changed("hugepages", "max_memory") and spec.max_memory % spec.hugepages:
        raise InvalidInput(
            f"hugepages: {show_size(spec.max_memory)} of memory is not whole pages of {show_size(spec.hugepages)}.",
            option="hugepages", value=spec.hugepages,
        )  # fmt: skip
    if spec.numa and changed("numa", "max_memory", "max_vcpus"):
        _check_numa(spec)


def _check_numa(spec: DomainSpec) -> None:
    total = sum(cell.memory for cell in spec.numa)
    if total != spec.max_memory:
        raise InvalidInput(
            f"numa: its cells have {show_size(total)} of memory, max_memory is {show_size(spec.max_memory)}.",
            option="numa", value=total,
        )  # fmt: skip
    numbers = [number for place, cell in enumerate(spec.numa) for number in cpu_numbers(cell.cpus, f"numa[{place}].cpus")]
    if sorted(numbers) != list(range(spec.max_vcpus)):
        raise InvalidInput(
            f"numa: its cells must have each CPU from 0 to {spec.max_vcpus - 1} once (max_vcpus is {spec.max_vcpus}).",
            option="numa",
        )
