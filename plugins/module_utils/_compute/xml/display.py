# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Display adapter, USB and input devices ↔ libvirt XML. What has the same value already is not touched."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.architecture import architecture
from ..model.spec import DomainSpec
from .device import ALIAS, alias_of
from .properties import read_path, write_path

USB = "controller[@type='usb']"
INPUTS = ("tablet", "keyboard")


def parse_display(root: Element) -> dict[str, Any]:
    """Return the fields of a spec that these devices are."""
    video = _video(root)
    model = None if video is None else read_path(video, "model@type")
    return {
        "video": None if model == architecture(read_path(root, "os/type@arch") or "").video else model,
        "usb": any(one.get("model") != "none" for one in root.iterfind(f"devices/{USB}")),
        **{kind: _input(root, kind) is not None for kind in INPUTS},
    }


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


def _emit_input(root: Element, devices: Element, kind: str, wanted: bool) -> None:
    found = _input(root, kind)
    if found is not None and not wanted:
        devices.remove(found)
    elif found is None and wanted:
        write_path(SubElement(devices, "input", {"type": kind, "bus": "usb"}), "alias@name", ALIAS + kind)
