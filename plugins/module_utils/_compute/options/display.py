# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to display adapter, USB and input devices."""

from __future__ import annotations

from typing import Any

from ..._errors import InvalidInput
from ..model.architecture import architecture
from ..model.request import DomainOptions
from ..model.spec import DomainSpec
from .values import choose

INPUTS = ("tablet", "keyboard")


def display_fields(options: DomainOptions, before: DomainSpec | None, arch: str, shown: bool) -> dict[str, Any]:
    """Return them; ``shown`` is whether the guest has a display (VNC, SPICE), which brings what its architecture needs for it."""
    usual = architecture(arch)
    first = shown and not (before and (before.vnc or before.spice))
    if options.video and not shown:
        raise InvalidInput("video: the guest has no display; give vnc or spice, too.", option="video", value=options.video)
    video = choose(options.video, before and before.video, None) if shown else None
    asked = {name: getattr(options, name) for name in INPUTS}
    brings = first and usual.usb_input
    wanted = {name: bool(choose(asked[name], brings or (before and getattr(before, name)), False)) for name in INPUTS}
    usb = choose(options.usb, brings or any(asked.values()) or (before and before.usb), False)
    for name, value in wanted.items():
        if value and not usb and (asked[name] or options.usb is False):
            raise InvalidInput(f"{name}: it needs usb.", option=name, value=True)
    return {"video": None if video == usual.video else video, "usb": bool(usb), **wanted}
