# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds addresses in a network configuration that a guest would not take, and so boot without any network. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_interface
from typing import Any

from ..._errors import InvalidInput

DEVICES = ("ethernets", "bonds", "bridges", "vlans")
WITH_PREFIX = "an address with the length of its prefix, such as 192.0.2.10/24 or 2001:db8::10/64"
ADDRESS = "an IP address, such as 192.0.2.1"
TARGET = "default or a network, such as 192.0.2.0/24"


def check_addresses(config: Mapping[str, Any], where: str) -> None:
    """Raise InvalidInput for the first address, by the version of the configuration, that is not one or lacks its prefix."""
    for path, device in _devices_v2(config, where) if int(config["version"]) == 2 else ():
        _check_device(device, path)
    if int(config["version"]) == 1:
        _check_v1(config, where)


def _devices_v2(config: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in DEVICES:
        devices = config.get(kind)
        for name, device in devices.items() if isinstance(devices, Mapping) else ():
            path = f"{where}.{kind}.{name!s:.60}"
            if not isinstance(device, Mapping):
                raise InvalidInput(f"{path}: it must be a dictionary, such as {{dhcp4: true}}.", option=path)
            if kind == "ethernets" and device.get("set-name") and not device.get("match"):
                raise InvalidInput(
                    f"{path}.set-name: it needs match, such as {{macaddress: …}}, by which the guest finds the interface.",
                    option=f"{path}.set-name",
                )
            yield path, device


def _check_device(device: Mapping[str, Any], where: str) -> None:
    for path, item in _items(device, "addresses", where):
        texts = list(item) if isinstance(item, Mapping) else [item]  # {address: {label: …}}
        for text in texts:
            _require(_has_prefix, text, path, WITH_PREFIX)
    for name in ("gateway4", "gateway6"):
        if device.get(name) is not None:
            _require(_is_address, device[name], f"{where}.{name}", ADDRESS)
    servers = device.get("nameservers")
    if isinstance(servers, Mapping):
        for path, item in _items(servers, "addresses", f"{where}.nameservers"):
            _require(_is_address, item, path, ADDRESS)
    for path, route in _items(device, "routes", where):
        if not isinstance(route, Mapping):
            raise InvalidInput(f"{path}: it must be a dictionary, such as {{to: 0.0.0.0/0, via: 192.0.2.1}}.", option=path)
        _require(_is_target, route.get("to"), f"{path}.to", TARGET)
        if route.get("via") is not None:
            _require(_is_address, route["via"], f"{path}.via", ADDRESS)


def _check_v1(config: Mapping[str, Any], where: str) -> None:
    for path, device in _items(config, "config", where):
        for below, subnet in _items(device, "subnets", path) if isinstance(device, Mapping) else ():
            if not isinstance(subnet, Mapping) or subnet.get("address") is None:
                continue
            if subnet.get("netmask") is None:
                _require(_has_prefix, subnet["address"], f"{below}.address", f"{WITH_PREFIX}, or have a netmask")
            else:
                _require(_is_interface, subnet["address"], f"{below}.address", ADDRESS)
            if subnet.get("gateway") is not None:
                _require(_is_address, subnet["gateway"], f"{below}.gateway", ADDRESS)


def _items(data: Mapping[str, Any], key: str, where: str) -> Iterator[tuple[str, Any]]:
    found = data.get(key)
    if found is None:
        return
    if not isinstance(found, list | tuple):
        raise InvalidInput(f"{where}.{key}: it must be a list, in square brackets or with a dash before each item.",
                           option=f"{where}.{key}")  # fmt: skip
    for place, item in enumerate(found):
        yield f"{where}.{key}[{place}]", item


def _require(rule: Callable[[str], object], value: Any, where: str, says: str) -> None:
    try:
        if isinstance(value, str) and rule(value) is not False:
            return
    except ValueError:
        pass
    raise InvalidInput(f"{where}: it must be {says}; the guest would boot without this network.", option=where)


def _has_prefix(text: str) -> bool:
    ip_interface(text)
    return text.partition("/")[2].isdigit()


def _is_address(text: str) -> None:
    ip_address(text)


def _is_interface(text: str) -> None:
    ip_interface(text)


def _is_target(text: str) -> None:
    if text != "default":
        ip_interface(text)
