# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a disk's XML that lays its file over a remote image: an NBD export over TLS.

While the image is remote, an I/O error pauses the guest and is not reported to it: a replica that reboots costs time, and no
file system.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from ..model.remote_image import from_url
from .properties import write_path

POLICIES = ("driver@error_policy", "driver@rerror_policy")
RECONNECT_SECONDS = "60"


def read_remote(disk: Element) -> str | None:
    """Return the URL of the remote image that a disk's file is laid over."""
    source = disk.find("backingStore[@type='network']/source[@protocol='nbd']")
    host = source.find("host") if source is not None else None
    if source is None or host is None or source.get("tls") != "yes":
        return None
    name = host.get("name", "")
    shown = f"[{name}]" if ":" in name else name
    image = from_url(f"nbds://{shown}:{host.get('port', '0')}/{source.get('name', '')}")
    return image.url if image else None


def drop_policies(disk: Element) -> None:
    """Take out what a disk does at an I/O error while it is laid over a remote image."""
    for path in POLICIES:
        write_path(disk, path, None)


def write_remote(disk: Element, url: str | None) -> None:
    """Write the remote image that the file is laid over; libvirt reads local files below from their headers."""
    had = read_remote(disk)
    if had == url and url is not None:
        return
    for old in disk.findall("backingStore"):
        disk.remove(old)
    image = from_url(url)
    for path in POLICIES if image or had else ():
        write_path(disk, path, "stop" if image else None)
    if image is None:
        return
    below = SubElement(disk, "backingStore", {"type": "network"})
    SubElement(below, "format", {"type": image.format})
    source = SubElement(below, "source", {"protocol": "nbd", "name": image.export, "tls": "yes"})
    SubElement(source, "host", {"name": image.host.strip("[]"), "port": str(image.port)})
    SubElement(source, "reconnect", {"delay": RECONNECT_SECONDS})
    SubElement(below, "backingStore")
