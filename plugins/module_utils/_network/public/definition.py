# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One public address, checked once at the edge. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Any

from ..._errors import InvalidInput
from ..link.addressing import link_name, mac_address

Address = IPv4Address | IPv6Address
MODES = ("routed", "nat")
THIS_NETWORK = IPv4Network("0.0.0.0/8")
SPEC: dict[str, Any] = {
    "address": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "choices": list(MODES), "default": "routed"},
    "bridge": {"type": "str"},
    "tap": {"type": "str"},
    "mac": {"type": "str"},
    "private_address": {"type": "str"},
    "uplink": {"type": "str"},
    "vm": {"type": "str"},
}


@dataclass(frozen=True)
class Definition:
    """A public address and the NIC that it belongs to: the bridge that the NIC is on, its tap device and its MAC address.

    ``private_address`` is the one that the guest has in its network, in mode nat only; ``uplink`` None is the link of the default
    route. ``vm`` serves people.
    """

    address: str
    mode: str
    bridge: str
    tap: str
    mac: str
    private_address: str | None = None
    uplink: str | None = None
    vm: str | None = None

    @classmethod
    def checked(cls, options: Mapping[str, Any], where: str = "") -> Definition:
        """Return the canonical form of a user's options, or raise InvalidInput that begins with the path of the bad one."""
        address = public(options["address"], f"{where}address")
        mode = str(options.get("mode") or MODES[0])
        if mode not in MODES:
            raise InvalidInput(f"{where}mode: {mode!r} is neither routed nor nat.", option=f"{where}mode")
        for option in ("bridge", "tap", "mac"):
            if not options.get(option):
                says = f"{where}{option}: a public address needs the {option} of its NIC; give it."
                raise InvalidInput(says, option=f"{where}{option}")
        return cls(
            address=str(address),
            mode=mode,
            bridge=link_name(str(options["bridge"]), f"{where}bridge"),
            tap=link_name(str(options["tap"]), f"{where}tap"),
            mac=mac_address(str(options["mac"]), f"{where}mac"),
            private_address=_private(options.get("private_address"), mode, address, f"{where}private_address"),
            uplink=link_name(str(options["uplink"]), f"{where}uplink") if options.get("uplink") else None,
            vm=_vm(options.get("vm"), f"{where}vm"),
        )

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_address(self.address).version

    @property
    def of_guest(self) -> str:
        """The address that the guest itself has and sends from."""
        return self.private_address or self.address

    def as_json(self) -> dict[str, Any]:
        """Return the definition as JSON, without what is not given; ``checked`` takes it again."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def _one(text: str) -> Address:
    """Return an address, also one that is written as a /32 or /128; raise ValueError for all else."""
    plain, _slash, width = text.strip().partition("/")
    found = ip_address(plain)
    if width not in ("", str(found.max_prefixlen)):
        raise ValueError(text)
    return found


def public(text: Any, option: str = "address") -> Address:
    """Return a unicast address that a host of the Internet or of a site can have."""
    try:
        found = _one(str(text))
    except ValueError:
        says = f"{option}: {str(text)[:60]!r} is not one address; write it as 203.0.113.10 or 2001:db8::10."
        raise InvalidInput(says, option=option, value=text) from None
    if isinstance(found, IPv6Address) and (found.scope_id or found.ipv4_mapped):
        raise InvalidInput(f"{option}: {found} has a zone or is IPv4 within IPv6; give a plain address.", option=option, value=text)
    reserved = isinstance(found, IPv4Address) and (found.is_reserved or found in THIS_NETWORK)
    if found.is_multicast or found.is_unspecified or found.is_loopback or found.is_link_local or reserved:
        says = f"{option}: {found} is multicast, loopback, link-local, unspecified or reserved; no VM can have it."
        raise InvalidInput(says, option=option, value=text)
    return found


def _private(given: Any, mode: str, address: Address, option: str) -> str | None:
    if mode == "routed":
        if given:
            raise InvalidInput(f"{option}: it is for mode: nat; a routed address is the guest's own.", option=option, value=given)
        return None
    if not given:
        raise InvalidInput(f"{option}: mode: nat needs the address that the guest has in its network.", option=option)
    found = public(given, option)
    if found.version != address.version:
        says = f"{option}: {found} is not of the IP version of {address}; NAT translates none."
        raise InvalidInput(says, option=option, value=given)
    if found == address:
        says = f"{option}: {found} is the public address itself; use mode: routed for a guest that has it."
        raise InvalidInput(says, option=option, value=given)
    return str(found)


def _vm(given: Any, option: str) -> str | None:
    name = str(given or "")
    if len(name) > 255 or (name and not name.isprintable()):
        raise InvalidInput(f"{option}: {name!r:.80} is not the name of a VM.", option=option)
    return name or None
