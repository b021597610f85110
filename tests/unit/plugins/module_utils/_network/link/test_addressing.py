# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses: canonical where right, named where wrong, overlaps found."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._network.link import addressing
from ansible_collections.edge.cloud.plugins.module_utils._network.link.addressing import Taken, default_dhcp_range, refuse_overlap
from hypothesis import given
from hypothesis import strategies as st

RIGHT = [
    ("link_name", "br0", "br0"),
    ("link_name", "a-name.of_15chr", "a-name.of_15chr"),
    ("network_name", "edge-default", "edge-default"),
    ("mac_address", "52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
    ("mac_address", " 52:54:00:AB:CD:EF\n", "52:54:00:ab:cd:ef"),
    ("mtu_bytes", 68, 68),
    ("mtu_bytes", 65535, 65535),
    ("interface_address", "192.0.2.1/24", "192.0.2.1/24"),
    ("interface_address", "2001:DB8:0:0::1/64", "2001:db8::1/64"),
    ("ipv4_subnet", "192.0.2.0/24", IPv4Network("192.0.2.0/24")),
    ("domain_name", "VMs.Example.", "vms.example"),
]
WRONG = [
    *(("link_name", name) for name in ("", ".", "..", "a/b", "a b", "lo", "all", "default", "-a", "a" * 16, "a\n", "ä", "a;b")),
    *(("network_name", name) for name in ("", "../x", "a" * 51, "a b", "<a>")),
    *(("mac_address", mac) for mac in ("", "52:54:00", "01:00:5e:00:00:01", "00:00:00:00:00:00", "52:54:00:00:00:0g")),
    *(("mtu_bytes", mtu) for mtu in (0, 67, 65536)),
    *(("interface_address", text) for text in ("192.0.2.1", "192.0.2.1/33", "x/24", "224.0.0.1/4", "127.0.0.1/8")),
    *(("interface_address", text) for text in ("::/0", "0.0.0.0/0", "192.0.2.0/24", "192.0.2.255/24")),
    *(("ipv4_subnet", text) for text in ("192.0.2.1/24", "2001:db8::/64", "192.0.2.0/31", "0.0.0.0/0", "224.0.0.0/8")),
    ("ipv4_subnet", "169.254.0.0/16"),
    *(("domain_name", name) for name in ("", ".", "a..b", "-a.b", "a_b", "a b", "a" * 64, ".".join(["a" * 60] * 5))),
]


@pytest.mark.parametrize(("check", "value", "canonical"), RIGHT)
def test_right(check: str, value: object, canonical: object) -> None:
    assert getattr(addressing, check)(value) == canonical


@pytest.mark.parametrize(("check", "value"), WRONG)
def test_wrong(check: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        getattr(addressing, check)(value)
    assert caught.value.details["option"]


@pytest.mark.parametrize("check", ["network_name", "mac_address"])
def test_an_error_begins_with_the_option_and_repeats_no_long_value(check: str) -> None:
    with pytest.raises(InvalidInput, match=r"^hosts\[3\]\.x: 'aaa") as caught:
        getattr(addressing, check)("a" * 10_000, "hosts[3].x")
    assert caught.value.details["option"] == "hosts[3].x"
    assert len(str(caught.value)) < 400


@given(st.integers(8, 30), st.integers(0, 2**32 - 1))
def test_the_default_range_leaves_the_host_and_a_tenth(prefix: int, number: int) -> None:
    subnet = IPv4Network((number, prefix), strict=False)
    first, last = map(IPv4Address, default_dhcp_range(subnet))
    assert subnet[1] < first <= last == subnet[-2]
    static = int(first) - int(subnet[1])
    assert static == max(1, (subnet.num_addresses - 2) // 10)


def test_the_default_range_of_a_usual_subnet() -> None:
    assert default_dhcp_range(IPv4Network("192.0.2.0/24")) == ("192.0.2.26", "192.0.2.254")


@pytest.mark.parametrize("text", ["192.0.2.0", "192.0.2.1", "192.0.2.255", "192.0.3.5", "x"])
def test_an_address_that_no_vm_can_have(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"hosts\[0\]"):
        addressing.ipv4_in(text, IPv4Network("192.0.2.0/24"), "hosts[0].address")


def network(number: int, length: int) -> IPv4Network:
    return IPv4Network((number, length), strict=False)


prefixes = st.builds(network, st.integers(0, 2**32 - 1), st.integers(1, 32))


@given(prefixes, st.lists(prefixes, max_size=4))
def test_an_overlap_is_refused_exactly_where_an_address_is_shared(subnet: IPv4Network, others: list[IPv4Network]) -> None:
    others = [other for other in others if other.prefixlen >= 8]  # a wider one is a part of a default route
    shared = [other for other in others if other.subnet_of(subnet) or subnet.subnet_of(other)]
    taken = [Taken(other, f"route {number}") for number, other in enumerate(others)]
    if not shared:
        refuse_overlap(subnet, taken)
        return
    with pytest.raises(Conflict) as caught:
        refuse_overlap(subnet, taken)
    assert caught.value.details["overlaps"] == sorted({str(other) for other in shared})
    assert all(str(other) in caught.value.message for other in shared)


def test_a_default_route_and_ipv6_overlap_nothing() -> None:
    taken = [Taken(ip_network("0.0.0.0/0"), "default route"), Taken(ip_network("::/1"), "IPv6")]
    refuse_overlap(IPv4Network("192.0.2.0/24"), taken)


QUARTERS = ("0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2")
SIXTEENTHS = tuple(f"{first}.0.0.0/4" for first in range(0, 256, 16))
EIGHTS = tuple(f"{first}.0.0.0/8" for first in range(256))
VPN = ("main", "unicast", "tun0", "10.8.0.1")


def routes(*networks: str, way: tuple[str, ...] = VPN) -> list[Taken]:
    return [Taken(ip_network(network), "route over tun0", way) for network in networks]


@pytest.mark.parametrize(
    "parts", [("0.0.0.0/0",), ("0.0.0.0/1", "128.0.0.0/1"), ("0.0.0.0/1", *QUARTERS[2:]), QUARTERS, SIXTEENTHS, EIGHTS]
)
def test_a_default_route_in_parts_is_a_default_route(parts: tuple[str, ...]) -> None:
    refuse_overlap(IPv4Network("10.77.0.0/24"), routes(*parts))
    with pytest.raises(Conflict, match=r"overlaps what the host uses already: 10\.77\.0\.0/16 \(route over tun0\)\."):
        refuse_overlap(IPv4Network("10.77.0.0/24"), routes(*parts, "10.77.0.0/16"))


def test_a_network_that_a_vpn_leads_to_is_a_network() -> None:
    for found in (routes("10.0.0.0/8"), routes(*EIGHTS[:10], *EIGHTS[11:]) + routes("10.0.0.0/8", way=("main", "unicast", "tun1"))):
        with pytest.raises(Conflict, match=r"10\.0\.0\.0/8"):
            refuse_overlap(IPv4Network("10.77.0.0/24"), found)


@pytest.mark.parametrize(
    ("used", "advice"),
    [
        (("10.77.0.0/24",), "for example 10.77.1.0/24"),
        (("10.77.0.0/16",), "for example 10.0.0.0/24"),
        (("10.0.0.0/8", "172.16.0.0/12"), "for example 192.168.0.0/24"),
        (("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), "No private range"),
    ],
)
def test_the_advice_is_a_subnet_that_is_free(used: tuple[str, ...], advice: str) -> None:
    with pytest.raises(Conflict, match=advice):
        refuse_overlap(IPv4Network("10.77.0.0/24"), routes("10.77.0.0/26", *used))
