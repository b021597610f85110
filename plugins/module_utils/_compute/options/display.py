# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to displays, their adapter, USB and input devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from ..._errors import InvalidInput
from ..model.architecture import architecture
from ..model.request import DomainOptions
from ..model.spec import DomainSpec
from ..model.vnc import LOOPBACK
from ..xml.override import parse_override
from .values import choose

INPUTS = ("tablet", "keyboard")
PASSWORD = re.compile(r"[!-~]{1,8}")


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


def vnc_fields(options: DomainOptions, before: DomainSpec | None, devices: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the VNC display listens and its password; ``devices`` are the fields of what a domain has or has not."""
    asked = {"vnc_listen": options.vnc_listen, "vnc_password": options.vnc_password}
    for option, value in asked.items():
        if value and not devices["vnc"]:
            raise InvalidInput(f"{option}: the guest has no VNC display; give vnc: true, too.", option=option)
    listen, password = asked.values()
    if password and devices["xml_override"] and _sets_password(devices["xml_override"]):
        raise InvalidInput(
            "vnc_password: xml_override sets the passwd of a display, too, and would win; take it out there.", option="vnc_password"
        )
    return {
        "vnc_listen": choose(None, before and before.vnc_listen, LOOPBACK) if listen is None else _address(listen),
        "vnc_password": (before and before.vnc_password) if password is None else _password(password),
    }


def _sets_password(override: str) -> bool:
    displays = parse_override(override).iterfind("devices/graphics[@passwd]")
    return any(one.get("type") in (None, "vnc") for one in displays)


def _address(text: str) -> str:
    try:
        return str(ip_address("" if "%" in text else text))
    except ValueError:
        raise InvalidInput(
            f"vnc_listen: {text!r} is not valid; it must be an IP address of the host such as 127.0.0.1, or 0.0.0.0 or :: for all.",
            option="vnc_listen",
            value=text,
        ) from None


def _password(asked: Any) -> str | None:
    """Return the password, None for the empty one; no error shows it."""
    if not isinstance(asked, str):
        found = "a number" if isinstance(asked, int | float) and not isinstance(asked, bool) else "no text"
        raise InvalidInput(f"vnc_password: YAML made {found} of it; quote it.", option="vnc_password")
    if asked and not PASSWORD.fullmatch(asked):
        raise InvalidInput(
            "vnc_password: it must be 1 to 8 printable ASCII characters without spaces; the VNC protocol takes no more.",
            option="vnc_password",
        )
    return asked or None
