# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, before anything is changed, hardware that a domain asks for and this host does not have."""

from __future__ import annotations

from ...._errors import InvalidInput, NoSpace, NotFound, Unsupported
from ...._sizes import show_size
from ...model.architecture import architecture
from ...model.host_facts import HostFacts
from ...model.spec import DomainSpec
from ...model.state import VmState
from ...options.resolve import pci_path
from ...options.values import unique

PACKAGES = {
    "firmware": ("UEFI firmware", "ovmf"),
    "tpm": ("TPM emulator", "swtpm-tools"),
    "spice": ("SPICE server in QEMU", "qemu-system-modules-spice"),
}


def check_hardware(spec: DomainSpec, before: DomainSpec | None, host: HostFacts) -> None:
    """Raise where the host lacks memory to grow to, a program, a setting, a folder or a PCI device."""
    if spec.max_memory > host.memory and (before is None or before.max_memory != spec.max_memory):
        raise InvalidInput(
            f"max_memory: {show_size(spec.max_memory)} is more than this host has ({show_size(host.memory)}).",
            option="max_memory",
            value=spec.max_memory,
        )
    for option in sorted(host.lacks):
        what, package = PACKAGES[option]
        package = architecture(spec.arch).packages[0] if option == "firmware" else package
        raise Unsupported(
            f"{option}: libvirt on this host finds no {what}; install it (Debian: {package}), or have the role hypervisor do it "
            f"(hypervisor_hardware: [{option}]).",
            option=option,
            value=getattr(spec, option),
        )
    if host.unset:
        raise Unsupported(
            f"spice: tls opens the display to the network, and /etc/libvirt/qemu.conf of this host does not set "
            f"{' and '.join(host.unset)}. Have the role hypervisor do it (hypervisor_hardware: [spice], hypervisor_spice_password) "
            "or use spice: loopback.",
            option="spice",
            value="tls",
        )
    for place, one in enumerate(spec.filesystems):
        if one.path in host.missing:
            where = f"filesystems[{place}].path"
            raise NotFound(f"{where}: this host has no folder {one.path}.", option=where, value=one.path)
    _check_functions(spec, before, host)


def _check_functions(spec: DomainSpec, before: DomainSpec | None, host: HostFacts) -> None:
    had = {*before.pci_devices, *(nic.hostdev for nic in before.nics)} if before else set()
    functions = {f"nics[{place}].hostdev": nic.hostdev for place, nic in enumerate(spec.nics) if nic.hostdev}
    functions |= {f"pci_devices[{place}]": address for place, address in enumerate(spec.pci_devices)}
    unique((where, address) for where, address in functions.items() if address)
    for where, address in functions.items():
        if address and pci_path(address) in host.missing:
            raise NotFound(f"{where}: this host has no PCI device {address}.", option=where, value=address)
        if address in host.ungrouped and address not in had:
            raise Unsupported(
                f"{where}: no IOMMU of this host is in use for PCI device {address}, without which no guest can have it; switch it "
                "on in the firmware and for the kernel (intel_iommu=on; amd_iommu is on by itself).",
                option=where,
                value=address,
            )


def memory_needed(spec: DomainSpec, state: VmState, asked: str, *, restart: bool = False) -> int:
    """Return how many bytes a guest will take from the host that it does not have yet: all where it starts, else what it grows by.

    ``restart`` is whether it may be restarted for that; without, it grows as far as its balloon lets it.
    """
    if asked not in ("running", "paused"):
        return 0
    if state.run in ("stopped", "saved"):
        return spec.memory
    grows = state.live and (restart or (spec.memory <= state.live.max_memory and state.run == "running"))
    return max(0, spec.memory - state.live.memory) if state.live and grows else 0


def check_memory(spec: DomainSpec, state: VmState, asked: str, host: HostFacts, *, restart: bool = False) -> None:
    """Raise NoSpace where a guest that is to start or grow wants more memory, or more huge pages, than the host has left."""
    needed = memory_needed(spec, state, asked, restart=restart)
    if spec.hugepages and needed:
        _check_pages(needed, spec.hugepages, host)
    elif host.free is not None and needed > host.free:
        grown = "" if needed == spec.memory else f" ({show_size(needed)} of it new)"
        raise NoSpace(
            f"memory: {show_size(spec.memory)}{grown} is more than this host has left ({show_size(host.free)}); stop another VM, "
            "give this one less, or keep it stopped (state).",
            option="memory",
            value=spec.memory,
        )


def _check_pages(needed: int, size: int, host: HostFacts) -> None:
    if not host.free_pages:
        return
    if size not in host.free_pages:
        known = ", ".join(show_size(one) for one in sorted(host.free_pages))
        raise InvalidInput(f"hugepages: this host has pages of {known}, none of {show_size(size)}.", option="hugepages", value=size)
    if (wanted := -(-needed // size)) > (free := host.free_pages[size]):
        raise NoSpace(
            f"hugepages: {show_size(needed)} of memory takes {wanted} pages of {show_size(size)}, and this host has {free} "
            "free; reserve more (sysctl vm.nr_hugepages, or hugepages= at boot), stop another VM, or give this one less.",
            option="hugepages",
            value=size,
        )
