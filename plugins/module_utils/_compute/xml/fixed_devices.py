# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of which a domain has one or none, shared folders and PCI devices of the host ↔ libvirt XML."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import DomainSpec, Filesystem
from .device import ALIAS, Kind, drop, drop_stale, find_single, our_devices, owned, read_pci, write_pci
from .properties import read_path, write_path

SERIAL = Kind("serial", "serial", "@type", "pty")
CONSOLE = Kind("console", "console", "target@type", "virtio", (("type", "pty"),))
AGENT = Kind("channel", "agent", "target@name", "org.qemu.guest_agent.0", (("type", "unix"),))
RNG = Kind("rng", "rng", "@model", "virtio")
TPM = Kind("tpm", "tpm", "@model", "tpm-crb")
WATCHDOG = Kind("watchdog", "watchdog", "@model", "i6300esb")
VNC = Kind("graphics", "vnc", "@type", "vnc", (("autoport", "yes"),), has_alias=False)
SPICE = Kind("graphics", "spice", "@type", "spice", (("autoport", "yes"),), has_alias=False)
VIDEO = Kind("video", "video", "model@type", "vga")
LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only with TLS


def parse_singles(root: Element, adopt: bool) -> dict[str, Any]:
    """Return the fields of a spec that these devices are."""
    watchdog = find_single(root, WATCHDOG, adopt)
    spice = find_single(root, SPICE, adopt)
    serial = root.find("devices/serial")
    return {
        "console_log": None if serial is None else read_path(serial, "log@file"),
        "virtio_console": find_single(root, CONSOLE, adopt) is not None,
        "vnc": find_single(root, VNC, adopt) is not None,
        "spice": None if spice is None else "tls" if spice.get("defaultMode") == "secure" else "loopback",
        "agent": find_single(root, AGENT, adopt) is not None,
        "rng": find_single(root, RNG, adopt) is not None,
        "tpm": find_single(root, TPM, adopt) is not None,
        "watchdog": None if watchdog is None else watchdog.get("action", "reset"),
        "filesystems": tuple(sorted(_filesystem(name, one) for name, one in our_devices(root, "filesystem", "fs", False))),
        "pci_devices": tuple(sorted(_pci_device(one) for _name, one in our_devices(root, "hostdev", "pci", False))),
    }


def _filesystem(name: str | None, element: Element) -> Filesystem:
    return Filesystem(name or "", read_path(element, "source@dir") or "")


def _pci_device(element: Element) -> str:
    return read_pci(element.find("source/address")) or ""


def emit_singles(devices: Element, spec: DomainSpec) -> None:
    """Write these devices of ``spec``, and take out those of ours that it does not have."""
    serial = owned(devices, SERIAL)
    write_path(serial, "log@file", spec.console_log)
    write_path(serial, "log@append", "on" if spec.console_log else None)
    for console in devices.findall("console"):  # libvirt copies the serial port here; a stale copy would win
        if read_path(console, "target@type") == "serial":
            devices.remove(console)
    for wanted, kind, details in _singles(spec):
        if wanted:
            element = owned(devices, kind)
            if "@listen" in details and element.get("listen") != details["@listen"]:
                _remove_all(element, "listen")
            for path, text in details.items():
                write_path(element, path, text)
        else:
            drop(devices, kind)
    if spec.spice is None:
        for audio in devices.findall("audio[@type='spice']"):  # libvirt's own companion of the display
            devices.remove(audio)
    _emit_filesystems(devices, spec)
    _emit_pci_devices(devices, spec)


def _singles(spec: DomainSpec) -> tuple[tuple[bool, Kind, dict[str, str | None]], ...]:
    tls = spec.spice == "tls"
    return (
        (spec.virtio_console, CONSOLE, {}),
        (spec.agent, AGENT, {"target@type": "virtio"}),
        (spec.rng, RNG, {"backend": "/dev/urandom", "backend@model": "random"}),
        (spec.tpm, TPM, {"backend@type": "emulator", "backend@version": "2.0"}),
        (spec.watchdog is not None, WATCHDOG, {"@action": spec.watchdog}),
        (spec.vnc, VNC, {"@listen": LOOPBACK}),
        (spec.spice is not None, SPICE, {"@listen": ANYWHERE if tls else LOOPBACK, "@defaultMode": "secure" if tls else None}),
        (spec.vnc or spec.spice is not None, VIDEO, {}),
    )


def _remove_all(element: Element, tag: str) -> None:
    for child in element.findall(tag):
        element.remove(child)


def _emit_filesystems(devices: Element, spec: DomainSpec) -> None:
    drop_stale(devices, "filesystem", "fs", {one.tag for one in spec.filesystems})
    for one in spec.filesystems:
        begin = (("type", "mount"), ("accessmode", "passthrough"))
        element = owned(devices, Kind("filesystem", f"fs-{one.tag}", "target@dir", one.tag, begin))
        write_path(element, "driver@type", "virtiofs")
        write_path(element, "source@dir", one.path)


def _emit_pci_devices(devices: Element, spec: DomainSpec) -> None:
    names = {address: address.replace(":", "-").replace(".", "-") for address in spec.pci_devices}
    drop_stale(devices, "hostdev", "pci", set(names.values()))
    for address, name in names.items():
        begin = (("mode", "subsystem"), ("type", "pci"), ("managed", "yes"))
        element = owned(devices, Kind("hostdev", f"pci-{name}", "alias@name", f"{ALIAS}pci-{name}", begin))
        if read_pci(element.find("source/address")) != address:
            _remove_all(element, "source")
            write_pci(SubElement(SubElement(element, "source"), "address"), address)
