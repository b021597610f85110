# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and MAC addresses of the links of virtual networks."""

from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._network.link.addressing import LINK_NAME, NETWORK_NAME, mac_address
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.names import (
    PREFIXES,
    bridge_link,
    links_of,
    mac_of,
    mark,
    marked_for,
    tap_link,
)
from hypothesis import given
from hypothesis import strategies as st

networks = st.from_regex(NETWORK_NAME, fullmatch=True)


@given(networks)
def test_every_network_has_names_that_linux_takes_and_that_are_known_by_their_prefix(network: str) -> None:
    names = links_of(network)
    assert all(LINK_NAME.fullmatch(name) and name.startswith(PREFIXES) for name in names)
    assert len(set(names)) == len(names)
    assert marked_for(mark(network)) == network


@given(st.sets(networks, min_size=2, max_size=2))
def test_two_networks_have_different_names(pair: set[str]) -> None:
    assert len({bridge_link(network) for network in pair}) == 2


def test_names_stay_what_they_are() -> None:
    """Another hash would leave VMs on links that are not found any more."""
    assert bridge_link("storage") == "evb-storage"
    assert bridge_link("elevenchars") == "evb-elevenchars"
    assert bridge_link("twelve-chars") == "evb-rxi74opycxe"
    assert tap_link("2f6c1f3e-0b7d-4f7c-9f0a-0123456789ab", 0) == "evt-sierp5niz7t"
    assert mac_of("0123456789abcdef0123456789abcdef\n", "evb-storage") == mac_of("0123456789abcdef0123456789abcdef", "evb-storage")


@given(st.text(min_size=1, max_size=80), st.integers(0, 30))
def test_taps(vm: str, nic: int) -> None:
    assert LINK_NAME.fullmatch(tap_link(vm, nic))
    assert len({tap_link(vm, nic), tap_link(vm, nic + 1), tap_link(f"{vm}0", nic), tap_link(vm, nic * 10 + 1)}) >= 3


@given(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), st.from_regex(r"[0-9a-f]{32}", fullmatch=True), networks)
def test_macs_differ_between_hosts_and_links(one: str, other: str, network: str) -> None:
    macs = [mac_of(host, name) for host in {one, other} for name in links_of(network)]
    assert len(set(macs)) == len(macs)
    assert all(mac_address(mac) == mac and int(mac[:2], 16) & 2 for mac in macs)
