# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of which a domain has one or none, shared folders and PCI devices of the host ↔ libvirt XML."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import DomainSpec, Filesystem
from .device import ALIAS, FILESYSTEMS, Kind, alias_of, drop, find_single, key_of, make, read_pci, write_pci
from .properties import read_path, write_path

SERIAL = Kind("serial", "serial", "@type", "pty", any_of=True)
CONSOLE = Kind("console", "console", "target@type", "virtio", (("type", "pty"),))
AGENT = Kind("channel", "agent", "target@name", "org.qemu.guest_agent.0", (("type", "unix"),))
RNG = Kind("rng", "rng", "@model", "virtio", any_of=True)
TPM = Kind("tpm", "tpm", "@model", "tpm-crb", any_of=True)
WATCHDOG = Kind("watchdog", "watchdog", "@model", "i6300esb")
VNC = Kind("graphics", "vnc", "@type", "vnc", (("autoport", "yes"),), has_alias=False)
SPICE = Kind("graphics", "spice", "@type", "spice", (("autoport", "yes"),), has_alias=False)
VIDEO = Kind("video", "video", "model@type", "vga")
LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only with TLS
NEW: dict[Kind, dict[str, str]] = {
    AGENT: {"target@type": "virtio"},
    RNG: {"backend": "/dev/urandom", "backend@model": "random"},
    TPM: {"backend@type": "emulator", "backend@version": "2.0"},
    VNC: {"@listen": LOOPBACK},
}


def parse_singles(devices: Element, known: DomainSpec | None) -> dict[str, Any]:
    """Return the fields of a spec that these devices are, also those of others; of folders and PCI devices those that are ours.

    ``known`` is the spec that was recorded: its folders and PCI devices may be devices of others that were taken over.
    """
    watchdog = find_single(devices, WATCHDOG)
    serial = find_single(devices, SERIAL)
    tags = {one.tag.lower() for one in known.filesystems} if known else set()
    addresses = set(known.pci_devices) if known else set()
    folders = [one for one in devices.findall("filesystem") if _is_ours(one, "fs") or key_of(one, FILESYSTEMS) in tags]
    functions = [one for one in devices.findall("hostdev") if _is_ours(one, "pci") or _pci_device(one) in addresses]
    return {
        "console_log": None if serial is None else read_path(serial, "log@file"),
        "virtio_console": find_single(devices, CONSOLE) is not None,
        "vnc": find_single(devices, VNC) is not None,
        "spice": _spice(find_single(devices, SPICE)),
        "agent": find_single(devices, AGENT) is not None,
        "rng": find_single(devices, RNG) is not None,
        "tpm": find_single(devices, TPM) is not None,
        "watchdog": None if watchdog is None else watchdog.get("action", "reset"),
        "filesystems": tuple(sorted(_filesystem(one) for one in folders)),
        "pci_devices": tuple(sorted(filter(None, map(_pci_device, functions)))),
    }


def _is_ours(element: Element, kind: str) -> bool:
    return alias_of(element).startswith(f"{ALIAS}{kind}-")


def _spice(element: Element | None) -> str | None:
    """Return how the display is reached; ``other`` is a way that no option makes."""
    if element is None:
        return None
    listen, secure = element.get("listen"), element.get("defaultMode") == "secure"
    if secure and listen == ANYWHERE:
        return "tls"
    return "loopback" if listen == LOOPBACK and not secure else "other"


def _filesystem(element: Element) -> Filesystem:
    return Filesystem(read_path(element, "target@dir") or "", read_path(element, "source@dir") or "")


def _pci_device(element: Element) -> str:
    return read_pci(element.find("source/address")) or "" if element.get("type") == "pci" else ""


def emit_singles(devices: Element, spec: DomainSpec, had: DomainSpec | None) -> None:
    """Write those of these devices in which ``spec`` differs from what the domain has; all of them into a new one."""
    if had is None:
        make(devices, SERIAL)
    if had is None or had.console_log != spec.console_log:
        _emit_log(devices, spec.console_log)
    for kind, field in ((CONSOLE, "virtio_console"), (AGENT, "agent"), (RNG, "rng"), (TPM, "tpm")):
        _emit_single(devices, kind, getattr(spec, field), getattr(had, field) if had else False)
    if (had.watchdog if had else None) != spec.watchdog:
        _emit_single(devices, WATCHDOG, spec.watchdog is not None, bool(had and had.watchdog))
        watchdog = find_single(devices, WATCHDOG)
        if watchdog is not None:
            write_path(watchdog, "@action", spec.watchdog)
    _emit_displays(devices, spec, had)
    if spec.filesystems != (had.filesystems if had else ()):
        _emit_filesystems(devices, spec, had)
    if spec.pci_devices != (had.pci_devices if had else ()):
        _emit_pci_devices(devices, spec, had)


def _emit_log(devices: Element, log: str | None) -> None:
    serial = find_single(devices, SERIAL)
    if serial is None:
        serial = make(devices, SERIAL)
    write_path(serial, "log@file", log)
    write_path(serial, "log@append", "on" if log else None)
    for console in devices.findall("console"):  # libvirt copies the serial port here; a stale copy would win
        if read_path(console, "target@type") == "serial":
            devices.remove(console)


def _emit_single(devices: Element, kind: Kind, wanted: bool, had: bool) -> None:
    if had and not wanted:
        drop(devices, kind)
    elif wanted and not had:
        element = make(devices, kind)
        for path, text in NEW.get(kind, {}).items():
            write_path(element, path, text)


def _emit_displays(devices: Element, spec: DomainSpec, had: DomainSpec | None) -> None:
    """Write the displays; a graphics card comes with the first of them, and the one that we made goes with the last."""
    before = had.spice if had else None
    _emit_single(devices, VNC, spec.vnc, bool(had and had.vnc))
    if spec.spice != before:
        _emit_single(devices, SPICE, spec.spice is not None, before is not None)
        _emit_spice(devices, spec.spice)
    shown, was_shown = spec.vnc or spec.spice is not None, bool(had and (had.vnc or had.spice))
    if shown and not was_shown and devices.find("video") is None:
        make(devices, VIDEO)
    elif was_shown and not shown:
        drop(devices, VIDEO, ours_only=True)


def _emit_spice(devices: Element, wanted: str | None) -> None:
    element = find_single(devices, SPICE)
    if element is None:
        for audio in devices.findall("audio[@type='spice']"):  # libvirt's own companion of the display
            devices.remove(audio)
        return
    _remove_all(element, "listen")
    write_path(element, "@socket", None)
    write_path(element, "@listen", ANYWHERE if wanted == "tls" else LOOPBACK)
    write_path(element, "@defaultMode", "secure" if wanted == "tls" else None)


def _remove_all(element: Element, tag: str) -> None:
    for child in element.findall(tag):
        element.remove(child)


def _emit_filesystems(devices: Element, spec: DomainSpec, had: DomainSpec | None) -> None:
    """Write the folders that differ; a foreign one of the same tag becomes ours."""
    before = {one.tag: one for one in had.filesystems} if had else {}
    wanted = {one.tag for one in spec.filesystems}
    found = {key_of(one, FILESYSTEMS): one for one in devices.findall("filesystem")}
    for tag in before:
        if tag not in wanted and tag in found:
            devices.remove(found[tag])
    for one in spec.filesystems:
        if before.get(one.tag) == one:
            continue
        begin = (("type", "mount"), ("accessmode", "passthrough"))
        element = found.get(one.tag)
        if element is None:
            element = make(devices, Kind("filesystem", f"fs-{one.tag}", "target@dir", one.tag, begin))
        element.attrib.update(begin)
        write_path(element, "driver@type", "virtiofs")
        write_path(element, "source@dir", one.path)


def _emit_pci_devices(devices: Element, spec: DomainSpec, had: DomainSpec | None) -> None:
    """Make the PCI devices that are new and remove those that went; one that others passed through is ours by its address."""
    found = {_pci_device(one): one for one in devices.findall("hostdev")}
    for address in had.pci_devices if had else ():
        if address not in spec.pci_devices and address in found:
            devices.remove(found[address])
    for address in spec.pci_devices:
        if address not in found:
            name = "pci-" + address.replace(":", "-").replace(".", "-")
            begin = (("mode", "subsystem"), ("type", "pci"), ("managed", "yes"))
            element = make(devices, Kind("hostdev", name, "alias@name", ALIAS + name, begin))
            write_pci(SubElement(SubElement(element, "source"), "address"), address)
