# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.network_config import OPTION, network_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput

LAN = {
    "match": {"macaddress": "52:54:00:12:34:56"},
    "set-name": "lan",
    "addresses": ["198.51.100.20/24", "2001:db8:1::20/64", {"192.0.2.7/32": {"label": "lan:1"}}],
    "gateway4": "198.51.100.1",
    "routes": [
        {"to": "default", "via": "198.51.100.1"},
        {"to": "::/0", "via": "2001:db8:1::1", "on-link": True},
        {"to": "192.0.2.9", "via": "fe80::1"},
        {"to": "203.0.113.0/24", "type": "blackhole"},
    ],
    "nameservers": {"addresses": ["198.51.100.53", "2001:db8::53"], "search": ["lab.example"]},
}
V1 = {"type": "physical", "name": "eth0"}


def v2(kind: str = "ethernets", **device: Any) -> dict[str, Any]:
    return {"version": 2, kind: {"lan": device}}


def v1(**subnet: Any) -> dict[str, Any]:
    return {"version": 1, "config": [{**V1, "subnets": [{"type": "static", **subnet}]}]}


@pytest.mark.parametrize(
    "config",
    [
        v2(**LAN),
        v2(dhcp4=True, addresses=None),
        v2("bridges", interfaces=["a"], **{**LAN, "set-name": "lan"}),
        {"version": 2, "renderer": "networkd"},
        v1(address="192.0.2.5/24", gateway="192.0.2.1"),
        v1(address="192.0.2.5", netmask="255.255.255.0"),
        {"version": 1, "config": [{**V1, "subnets": [{"type": "dhcp"}]}, {"type": "nameserver", "address": "192.0.2.53"}]},
    ],
)
def test_what_guests_take(config: dict[str, Any]) -> None:
    assert network_text(config)
    assert network_text({"network": config})


@pytest.mark.parametrize("kind", ["ethernets", "bonds", "bridges", "vlans"])
@pytest.mark.parametrize(
    ("device", "where"),
    [
        ({"addresses": ["192.0.2.5"]}, "addresses[0]"),
        ({"addresses": ["192.0.2.5/24", "2001:db8::5"]}, "addresses[1]"),
        ({"addresses": "192.0.2.5/24"}, "addresses"),
        ({"addresses": ["192.0.2.5/255.255.255.0"]}, "addresses[0]"),
        ({"addresses": ["192.0.2.5/33"]}, "addresses[0]"),
        ({"addresses": ["192.0.2.256/24"]}, "addresses[0]"),
        ({"addresses": [""]}, "addresses[0]"),
        ({"addresses": [None]}, "addresses[0]"),
        ({"addresses": [{"192.0.2.5": {}}]}, "addresses[0]"),
        ({"gateway4": "192.0.2.1/24"}, "gateway4"),
        ({"gateway6": "none"}, "gateway6"),
        ({"nameservers": {"addresses": "192.0.2.53"}}, "nameservers.addresses"),
        ({"nameservers": {"addresses": ["192.0.2.53, 192.0.2.54"]}}, "nameservers.addresses[0]"),
        ({"routes": {"to": "default", "via": "192.0.2.1"}}, "routes"),
        ({"routes": ["default"]}, "routes[0]"),
        ({"routes": [{"via": "192.0.2.1"}]}, "routes[0].to"),
        ({"routes": [{"to": "any", "via": "192.0.2.1"}]}, "routes[0].to"),
        ({"routes": [{"to": "default", "via": "192.0.2.1/24"}]}, "routes[0].via"),
    ],
)
def test_what_leaves_a_guest_without_network(kind: str, device: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        network_text(v2(kind, **device))
    assert caught.value.details["option"] == f"{OPTION}.{kind}.lan.{where}"


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (v2(**{"set-name": "lan", "dhcp4": True}), "ethernets.lan.set-name"),
        ({"version": 2, "ethernets": {"eth0": None}}, "ethernets.eth0"),
        (v1(address="192.0.2.5"), "config[0].subnets[0].address"),
        (v1(address="192.0.2.5.1", netmask="255.255.255.0"), "config[0].subnets[0].address"),
        (v1(address="192.0.2.5/24", gateway="gw"), "config[0].subnets[0].gateway"),
        ({"version": 1, "config": {"type": "physical"}}, "config"),
    ],
)
def test_the_place_of_other_errors(config: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        network_text(config)
    assert caught.value.details["option"] == f"{OPTION}.{where}"
