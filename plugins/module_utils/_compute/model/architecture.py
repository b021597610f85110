# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an architecture's guests have unless a user says otherwise: machine, firmware, display adapter, input.

Sources: QEMU's documentation of its machines, libvirt's rules of features (``acpi`` needs UEFI on Arm; s390x and POWER have none).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """The usual hardware of an architecture.

    ``firmware`` is what boots a guest that has no kernel of its own, where ``bios`` is the machine's own firmware. ``acpi`` is
    always, uefi (only with that firmware) or never. ``usb_input`` is whether keyboard and pointer of a display need USB; ``cdrom``
    is the bus of a CD drive. ``packages`` are Debian's, of the UEFI firmware and the emulator.
    """

    machine: str = "virt"
    firmware: str = "bios"
    video: str = "virtio"
    tpm: str = "tpm-tis"
    kvm_cpu: str = "host-passthrough"
    acpi: str = "never"
    usb_input: bool = True
    cdrom: str = "scsi"
    packages: tuple[str, str] = ("", "qemu-system-misc")


_PC = Architecture(
    "q35", "bios", "vga", "tpm-crb", "host-model", "always", usb_input=False, cdrom="sata", packages=("ovmf", "qemu-system-x86")
)
_ARM = Architecture(firmware="uefi", acpi="uefi", packages=("qemu-efi-aarch64", "qemu-system-arm"))
_KNOWN = {
    "x86_64": _PC,
    "i686": Architecture("pc", "bios", "vga", "tpm-crb", "host-model", "always", False, "sata", ("ovmf-ia32", "qemu-system-x86")),
    "aarch64": _ARM,
    "armv7l": Architecture(packages=("qemu-efi-arm", "qemu-system-arm")),
    "riscv64": Architecture(firmware="uefi", packages=("qemu-efi-riscv64", "qemu-system-misc")),
    "loongarch64": Architecture(firmware="uefi", acpi="uefi", packages=("qemu-efi-loongarch64", "qemu-system-misc")),
    "ppc64le": Architecture("pseries", video="vga", tpm="tpm-spapr", kvm_cpu="host-model", packages=("", "qemu-system-ppc")),
    "s390x": Architecture("s390-ccw-virtio", kvm_cpu="host-model", usb_input=False, packages=("", "qemu-system-misc")),
}


def architecture(name: str) -> Architecture:
    """Return the usual hardware of an architecture by libvirt's name of it."""
    return _KNOWN.get(name, Architecture())
