# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ties a domain to its host: devices, files and sockets that only this host has. Pure: it reads XML.

A kind of device that is not known to move is a tie, so that nothing is left behind unnoticed. Disks have rules of their own
(``source``) except for what is said here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from xml.etree.ElementTree import Element

from ..xml.properties import read_path

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
MOVE = ("emulator", "controller", "hub", "memballoon", "watchdog", "panic", "sound", "vsock", "iommu", "redirfilter", "nvram")
PORTS = ("pty", "null", "vc", "spicevmc", "spiceport", "qemu-vdagent", "dbus", "file", "unix")
EVERYWHERE = ("", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost")  # noqa: S104 - compared with
OF_EVERY_HOST = re.compile(r"/usr/.*|/dev/(u?random|net/tun|vhost-net|null|zero)|/machine(/.*)?|(/var)?(/lib|/run)/libvirt/qemu/.*")
ELSEWHERE = ("metadata", "name", "title", "description", "os", "seclabel")  # no files, or looked at elsewhere
HOST_ARGUMENT = re.compile(r"/|vfio|\bhost(addr|bus|device|port)?=|chardev|netdev|passthrough")
Rule = Callable[[Element], "str | None"]


def _one_of(path: str, known: Iterable[str], text: str) -> Rule:
    """Return a rule that what ``path`` says is one of ``known``; ``text`` has a place for the value."""

    def rule(element: Element) -> str | None:
        value = read_path(element, path) or ""
        return None if value in known else text.format(value)

    return rule


def _interface(element: Element) -> str | None:
    kind = element.get("type", "")
    who = f"its interface {read_path(element, 'mac@address') or ''}".rstrip()
    if kind == "user" and read_path(element, "backend@type") == "passt":
        return f"{who} is served by a program of this host (passt)"
    return None if kind in ("network", "bridge", "user", "null") else f"{who} is of type {kind}, which belongs to this host"


def _hostdev(element: Element) -> str:
    return f"a device of this host ({element.get('type', '?')}) is passed through to it"


def _filesystem(element: Element) -> str:
    kind = read_path(element, "driver@type") or "9p"
    kind = "9p" if kind in ("path", "handle") else kind
    return f"the folder {next(iter(_values(element.find('source'))), '?')} of this host is shared with it ({kind})"


def _graphics(element: Element) -> str | None:
    kind = element.get("type", "")
    if kind not in ("vnc", "spice", "dbus") or read_path(element, "gl@enable") == "yes":
        return f"its display ({kind}) is drawn by this host"
    addresses = {element.get("listen", ""), *(one.get("address", "") for one in element.iterfind("listen[@type='address']"))}
    own = sorted(addresses - set(EVERYWHERE))
    return f"its display listens on {', '.join(own)}, an address of this host" if own else None


def _video(element: Element) -> str | None:
    drawn = read_path(element, "model/acceleration@accel3d") == "yes" or read_path(element, "driver@name") == "vhostuser"
    return "its graphics card is drawn by this host" if drawn else None


def _disk(element: Element) -> str | None:
    target = read_path(element, "target@dev") or "?"
    if element.find("shareable") is not None and element.get("type") != "network":
        return f"its disk {target} is shared with other domains of this host"
    if element.find("transient") is not None:
        return f"its disk {target} forgets what is written to it, in a file that only this host has"
    if element.find("source/reservations") is not None:
        return f"its disk {target} has reservations that a program of this host manages"
    if read_path(element, "source/host@transport") == "unix":
        return f"its disk {target} is reached by a socket of this host"
    return None


RULES: dict[str, Rule] = {
    **{tag: lambda _element: None for tag in MOVE},
    "disk": _disk,
    "interface": _interface,
    "hostdev": _hostdev,
    "filesystem": _filesystem,
    "graphics": _graphics,
    "video": _video,
    "redirdev": _one_of("@type", ("spicevmc",), "a USB device is redirected to it by a socket ({}) of this host"),
    "smartcard": _one_of("@mode", ("passthrough",), "a smart card of this host ({}) is passed through to it"),
    "tpm": _one_of("backend@type", ("emulator",), "the TPM of this host ({}) is passed through to it"),
    "input": _one_of("@type", ("tablet", "mouse", "keyboard"), "an input device of this host ({}) is passed through to it"),
    "rng": _one_of("backend@model", ("random", "builtin"), "it draws random numbers from a service of this host ({})"),
    "audio": _one_of("@type", ("none", "spice", "dbus", "vnc"), "it plays sound on this host ({})"),
    "memory": _one_of("@model", ("dimm", "virtio-mem"), "it has memory of this host ({})"),
    "crypto": _one_of("backend@model", ("builtin",), "a cryptographic device of this host ({}) is passed through to it"),
    **{
        tag: _one_of("@type", PORTS, f"its {tag} device is a port or an address of this host ({{}})")
        for tag in ("serial", "parallel", "console", "channel")
    },
}


def ties(root: Element) -> Iterator[str]:
    """Yield why a domain cannot leave its host, by its live or its persistent XML."""
    for element in root.iterfind("devices/*"):
        rule = RULES.get(element.tag)
        found = rule(element) if rule else f"it has a device of a kind that is not known to move: {element.tag}"
        if found:
            yield f"{found}; take it out first"
    if root.find("launchSecurity") is not None:
        yield "its memory is encrypted by the processor of this host (launchSecurity)"
    arguments = [one.get("value", "") for one in root.iterfind(f"{QEMU}commandline/{QEMU}arg")]
    if any(HOST_ARGUMENT.search(one) for one in arguments):
        yield "it has QEMU arguments that may name things of this host (qemu:commandline); take them out first"


def strange_paths(config: Element, home: str) -> Iterator[str]:
    """Yield a reason for each path in the persistent XML that is neither in the VM's folder, ``home``, nor on every host."""
    for section in config:
        for element in section if section.tag == "devices" else [section]:
            if element.tag in (*ELSEWHERE, "disk", "filesystem", "hostdev") or element.tag.startswith("{"):
                continue
            for path in sorted(set(_values(element))):
                if not path.startswith(f"{home}/") and not OF_EVERY_HOST.fullmatch(path):
                    yield f"it uses {path} of this host ({element.tag}), which is outside of its folder {home}; take it out first"


def needed_files(root: Element) -> list[str]:
    """Return the files outside of the VM's folder that its start reads and the destination must have too."""
    paths = (read_path(root, f"os/{path}") for path in ("kernel", "initrd", "dtb", "loader", "nvram@template", "acpi/table"))
    return [path for path in paths if path and path.startswith("/")]


def secrets(root: Element) -> list[tuple[str, str]]:
    """Return libvirt's secrets that disks and a TPM need: the kind, ``uuid`` or that of a usage such as ``ceph``, and its text."""
    found = [("uuid", one.get("secret", "")) for one in root.iterfind("devices/tpm/backend/encryption")]
    for one in root.iterfind("devices/disk//secret"):
        found.append(("uuid", one.get("uuid", "")) if one.get("uuid") else (one.get("type", ""), one.get("usage", "")))
    return sorted({pair for pair in found if pair[1]})


def _values(element: Element | None) -> Iterator[str]:
    """Yield every text and attribute that is an absolute path."""
    for one in element.iter() if element is not None else ():
        for text in (*one.attrib.values(), (one.text or "").strip()):
            if text.startswith("/"):
                yield text
