# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Displays, their adapter, USB and input devices ↔ libvirt XML. What has the same value already is not touched."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.architecture import architecture
from ..model.spec import DomainSpec
from ..model.vnc import LOOPBACK, OF_HOST, canonical_address
from .device import ALIAS, alias_of
from .properties import read_path, write_path

VNC = "devices/graphics[@type='vnc']"
USB = "controller[@type='usb']"
INPUTS = ("tablet", "keyboard")


def parse_display(root: Element) -> dict[str, Any]:
    """Return the fields of a spec that these devices are."""
    video, vnc = _video(root), root.find(VNC)
    model = None if video is None else read_path(video, "model@type")
    return {
        "video": None if model == architecture(read_path(root, "os/type@arch") or "").video else model,
        "usb": any(one.get("model") != "none" for one in root.iterfind(f"devices/{USB}")),
        **{kind: _input(root, kind) is not None for kind in INPUTS},
        "vnc_listen": LOOPBACK if vnc is None else _listen(vnc),
        "vnc_password": read_vnc_password(root),
    }


def read_vnc_password(root: Element) -> str | None:
    """Return the password of the VNC display; libvirt shows it to who may change the domain and asks for it."""
    vnc = root.find(VNC)
    return None if vnc is None else vnc.get("passwd") or None


def passwords_in(root: Element) -> set[str]:
    """Return the passwords of all displays, also those that others set."""
    return {password for one in root.iter("graphics") if (password := one.get("passwd"))}


def _listen(vnc: Element) -> str:
    """Return where a display listens, as ``model/vnc`` has it; the attribute is only a copy of the first element."""
    first = vnc.find("listen")
    kind = first.get("type", "none") if first is not None else "socket" if vnc.get("socket") else "address"
    if kind == "network":
        return f"network {read_path(vnc, 'listen@network') or ''}"
    address = read_path(vnc, "listen@address") or vnc.get("listen")
    return kind if kind != "address" else canonical_address(address) if address else OF_HOST


def _ours(root: Element, tag: str, name: str) -> Element | None:
    return next((one for one in root.iterfind(f"devices/{tag}") if alias_of(one) == ALIAS + name), None)


def _video(root: Element) -> Element | None:
    """Return the display adapter: ours, or with a display the first of others."""
    ours = _ours(root, "video", "video")
    shown = any(one.get("type") in ("vnc", "spice") for one in root.iterfind("devices/graphics"))
    return root.find("devices/video") if ours is None and shown else ours


def _input(root: Element, kind: str) -> Element | None:
    ours = _ours(root, "input", kind)
    return root.find(f"devices/input[@type='{kind}'][@bus='usb']") if ours is None else ours


def emit_display(root: Element, devices: Element, spec: DomainSpec, before: DomainSpec | None) -> None:
    """Write those of these devices that differ from ``before``; the display adapter is there where the spec has a display."""
    video, had = _video(root), parse_display(root)
    wanted = spec.video or architecture(spec.arch).video
    ours = video is not None and alias_of(video) == ALIAS + "video"
    if video is not None and (had["video"] != spec.video if ours else before is not None and before.video != spec.video):
        for model in video.findall("model"):
            video.remove(model)
        SubElement(video, "model", {"type": wanted})
    tpm = _ours(root, "tpm", "tpm")
    if tpm is not None and not (before and before.tpm):
        tpm.set("model", architecture(spec.arch).tpm)
    if had["usb"] != spec.usb:
        for old in devices.findall(USB):
            devices.remove(old)
        SubElement(devices, "controller", {"type": "usb", "index": "0", "model": "qemu-xhci" if spec.usb else "none"})
    for kind in INPUTS:
        _emit_input(root, devices, kind, getattr(spec, kind))
    if spec.vnc:
        _emit_vnc(root, spec)


def _emit_vnc(root: Element, spec: DomainSpec) -> None:
    vnc = root.find(VNC)
    if vnc is None:
        return
    if _listen(vnc) != spec.vnc_listen:
        for old in vnc.findall("listen"):
            vnc.remove(old)
        vnc.attrib.pop("socket", None)
        vnc.set("listen", spec.vnc_listen)
    if read_vnc_password(root) != spec.vnc_password:
        write_vnc_password(vnc, spec.vnc_password)


def write_vnc_password(vnc: Element, password: str | None) -> None:
    """Set the password of a VNC display or, with None, remove it; when the old one was to expire says nothing of the new one."""
    write_path(vnc, "@passwd", password)
    write_path(vnc, "@passwdValidTo", None)
    if password is None:
        write_path(vnc, "@connected", None)


def _emit_input(root: Element, devices: Element, kind: str, wanted: bool) -> None:
    found = _input(root, kind)
    if found is not None and not wanted:
        devices.remove(found)
    elif found is None and wanted:
        write_path(SubElement(devices, "input", {"type": kind, "bus": "usb"}), "alias@name", ALIAS + kind)
