# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of a clone, from that of its source. Pure. All that others wrote stays, except for what only one domain can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from html import unescape
from xml.etree.ElementTree import Element

from ..model.spec import Record
from ..xml.arrival import NAMESPACE as ARRIVAL
from ..xml.disk import write_file
from ..xml.domain import MARK, mark_element
from ..xml.properties import read_path, write_path
from .model import Names

PORTS = ("serial", "parallel", "console", "channel")
SHARED_PORTS = ("pty", "null", "vc", "spicevmc", "spiceport", "qemu-vdagent", "dbus", "stdio")
SHARED_NICS = ("network", "bridge", "user", "direct", "null")
WORDS = ("metadata", "title", "description")
ONE_ONLY = (
    ("rng", "source"), ("smartcard", "source"), ("redirdev", "source"), ("input", "source"), ("audio", "audio"),
    ("pstore", "path"), ("lease", "target"),
)  # fmt: skip
WHERE = ("path", "host", "service", "dev", "evdev")
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
WRITERS = frozenset(
    {
        "drive", "blockdev", "pflash", "hda", "hdb", "hdc", "hdd", "fda", "fdb", "sd", "mtdblock", "chardev", "netdev", "monitor",
        "qmp", "serial", "parallel", "debugcon", "D",
    }
)  # fmt: skip
READ_ONLY = re.compile(r"""\b(readonly=on|read-only=on|"read-only":\s*true)""")
OF_LIBVIRT = re.compile(r"(/var/lib|(/var)?/run)/libvirt/qemu/.*")


def cloned_xml(root: Element, names: Names) -> Element:
    """Return the XML of the clone, still without its mark."""
    root = deepcopy(root)
    _identity(root, names)
    metadata = root.find("metadata")
    for element in list(metadata) if metadata is not None else ():
        if element.tag == MARK or element.tag.startswith(f"{{{ARRIVAL}}}"):
            metadata.remove(element)  # type: ignore[union-attr]
    for element in root.iterfind("devices/disk"):
        _disk(element, names)
    for element in root.iterfind("devices/interface"):
        _nic(element, names)
    for tag in PORTS:
        for element in root.iterfind(f"devices/{tag}"):
            _port(element, names)
    for element in root.iterfind("devices/vsock/cid[@address]"):
        element.attrib.clear()
        element.set("auto", "yes")  # libvirt finds a free one
    _nvram(root, names)
    return root


def _identity(root: Element, names: Names) -> None:
    old = (root.findtext("uuid") or "?").lower()
    write_path(root, "name", names.new)
    write_path(root, "uuid", names.uuid)
    for entry in root.iterfind("sysinfo/*/entry"):
        if (entry.text or "").strip().lower() == old or entry.get("name") == "uuid":
            entry.text = names.uuid
    for generation in root.findall("genid"):
        generation.text = None  # libvirt makes a new one


def mark(root: Element, record: Record) -> None:
    """Write the record of the clone into its XML."""
    metadata = root.find("metadata")
    if metadata is None:
        metadata = Element("metadata")
        root.append(metadata)
    metadata.append(mark_element(record))


def _disk(element: Element, names: Names) -> None:
    copy = names.disks.get(read_path(element, "target@dev") or "")
    if copy is not None:
        write_file(element, copy.path, block=False)
        write_path(element, "driver@type", copy.made_format)
    elif element.get("type") == "file":
        write_path(element, "source@file", names.moved(read_path(element, "source@file")))
    for below in element.findall("backingStore"):
        element.remove(below)  # libvirt finds it


def _nic(element: Element, names: Names) -> None:
    if found := read_path(element, "mac@address"):
        write_path(element, "mac@address", names.mac(found))
    tap = names.taps.get(read_path(element, "target@dev") or "")
    for device in element.findall("target"):
        element.remove(device)  # the name of a device of the host
    if tap:
        write_path(element, "target@dev", tap)
    for parameter in element.iterfind("filterref/parameter[@name='MAC']"):
        parameter.set("value", names.mac(parameter.get("value", "")))


def _port(element: Element, names: Names) -> None:
    for path in ("source@path", "log@file"):
        if (found := read_path(element, path)) is not None:
            write_path(element, path, names.moved(found))
    source = element.find("source")
    if source is not None and element.get("type") == "unix" and OF_LIBVIRT.fullmatch(source.get("path", "")):
        element.remove(source)  # libvirt chooses it by the domain's name


def _nvram(root: Element, names: Names) -> None:
    nvram = root.find("os/nvram")
    if nvram is None or not names.nvram:
        return
    if nvram.find("source") is not None:
        write_path(nvram, "source@file", names.nvram)
    else:
        nvram.text = names.nvram


def nvram_of(root: Element) -> str | None:
    """Return the file of the firmware's variables, None without one."""
    return read_path(root, "os/nvram/source@file") or read_path(root, "os/nvram") or None


def shareable(root: Element) -> list[str]:
    """Return the targets of the disks that several domains may write at once."""
    return [read_path(one, "target@dev") or "" for one in root.iterfind("devices/disk") if one.find("shareable") is not None]


def obstacles(root: Element, clone: Element, names: Names) -> Iterator[str]:
    """Yield what both domains would have, and only one can: what stands in the way of a clone, apart from its disks."""
    yield from _devices(root)
    for tag in PORTS:
        for element in clone.iterfind(f"devices/{tag}"):
            yield from _port_obstacles(tag, element, names)
    nvram = root.find("os/nvram")
    if nvram is not None and nvram.get("type", "file") != "file":
        yield f"the variables of its firmware are of type {nvram.get('type')}, which is not copied"
    yield from _arguments(root)
    yield from _left(root, clone, names)


def override_obstacles(override: str | None, root: Element, names: Names) -> Iterator[str]:
    """Yield what of the source its override names, which would be written over the clone's own with its next change."""
    text = unescape(override or "")
    for word in sorted(_own_words(root, names)):
        if _words([word]).search(text):
            yield f"its xml_override names {word}, which only one domain can have; take it out there first"


def _words(words: Iterable[str]) -> re.Pattern[str]:
    """Return what finds one of the words, a path not in that of a file beside it."""
    ends = (re.escape(word) + ("" if word.endswith("/") else r"(?![\w.-])") for word in words)
    return re.compile("|".join(ends), re.IGNORECASE)


def _own_words(root: Element, names: Names) -> set[str]:
    """Return what is the source's alone: its UUID, MAC addresses, folder, firmware's variables and the files of its disks."""
    files = {path for copy in names.disks.values() for path in (copy.source, *copy.files)}
    found = {root.findtext("uuid") or "", *names.macs, f"{names.old_home}/", nvram_of(root) or "", *files}
    return {word for word in found if word}


def _devices(root: Element) -> Iterator[str]:
    for element in root.iterfind("devices/hostdev"):
        yield f"a device of this host ({element.get('type', '?')}) is passed through to it; take it out first"
    for element in root.iterfind("devices/interface"):
        if (kind := element.get("type", "")) not in SHARED_NICS:
            yield f"its interface {read_path(element, 'mac@address') or '?'} is of type {kind}, which only one domain can have"
    yield from _sockets(root)


def _sockets(root: Element) -> Iterator[str]:
    """Yield files and sockets of the host that devices but disks and ports have."""
    for element in root.iterfind("devices/memory"):
        if path := read_path(element, "source/path"):
            yield f"its memory device is the file {path}, which is not copied"
    for element in (*root.iterfind("devices/graphics"), *root.iterfind("devices/graphics/listen")):
        if (path := element.get("socket")) and not OF_LIBVIRT.fullmatch(path):
            yield f"its display listens on {path}, which only one domain can have"
    for element in root.iterfind("devices/filesystem"):
        if path := read_path(element, "source@socket"):
            yield f"its shared folder is served by a program of its own at {path}"
    for backend in root.iterfind("devices/tpm/backend"):
        if backend.get("type") != "emulator":
            yield "it has a TPM of this host, which only one domain can have"
        if path := read_path(backend, "source@path"):
            yield f"its TPM has its state in {path}, which both would write"
    yield from _connections(root)


def _connections(root: Element) -> Iterator[str]:
    """Yield files, devices and addresses that belong to devices of which most have none."""
    for tag, path in ONE_ONLY:
        for element in root.iterfind(f"devices/{tag}"):
            for source in element.iter(path):
                words = [*(value for name, value in source.attrib.items() if name in WHERE), (source.text or "").strip()]
                if any(words):
                    yield f"its {tag} uses {' '.join(filter(None, words))}, which only one domain can have"


def _port_obstacles(tag: str, element: Element, names: Names) -> Iterator[str]:
    kind, path = element.get("type", ""), read_path(element, "source@path")
    ours = path is None or path.startswith(names.new_home + "/")
    if kind not in SHARED_PORTS and not (kind in ("unix", "file") and ours):
        yield f"its {tag} is of type {kind}{f' ({path})' if path else ''}, which only one domain can have"
    log = read_path(element, "log@file")
    if log is not None and not log.startswith(names.new_home + "/"):
        yield f"its {tag} is logged to {log}, into which both would write"


def _arguments(root: Element) -> Iterator[str]:
    """Yield options that name to QEMU itself a file that it writes, or a socket; what they say can have secrets."""
    before = ""
    for element in root.iterfind(f"{{{QEMU}}}commandline/{{{QEMU}}}arg"):
        value = element.get("value", "")
        if before.lstrip("-") in WRITERS and "/" in value and not READ_ONLY.search(value):
            yield f"its QEMU is started with {before} for a file or socket that both would use; take it out first"
        before = value


def _left(root: Element, clone: Element, names: Names) -> Iterator[str]:
    """Yield each place of the clone that still names what is the source's alone."""
    own = _words(_own_words(root, names))
    for part in (part for part in clone if part.tag not in WORDS):
        for element, text in ((one, text) for one in part.iter() for text in (*one.attrib.values(), one.text or "")):
            if found := own.search(text):
                shown = found[0] if element.tag.startswith(f"{{{QEMU}}}") else text.strip()
                yield f"{element.tag.rpartition('}')[2]} names {shown}, which is the source's own, and both would use"
