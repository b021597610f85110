# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""802.1Q, WireGuard and bonds with Debian's kernel: two hosts with a trunk between them, and a VM in each VLAN, in one guest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from support.network_guest import Console, Inside, booted

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with booted() as found:
        yield found


class Host:
    def __init__(self, console: Console, name: str, number: int, folder: Path) -> None:
        self.space, self.number = Inside(console, name), number
        folder.mkdir()
        (folder / "machine-id").write_text(f"{number:032x}")
        self.net = Networking(self.space, Places(folder / "networks.json", folder / "lock", folder / "machine-id"))
        outside = Inside(console)
        outside.ip("link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.space.ip("link", "set", "eth0", "up")

    def have(self, name: str, **options: Any) -> Any:
        """Make a network and see that there is nothing left to do; return it."""
        asked = [Wanted.checked({"name": name, **options})]
        predicted, _none = reconcile(self.net, asked, check=True)
        plan, after = reconcile(self.net, asked, check=False)
        assert after == predicted.after
        assert plan.changed
        assert not reconcile(self.net, asked, check=True)[0].changed
        return after[name]  # type: ignore[index]

    def vm(self, console: Console, network: Any, address: str) -> Inside:
        name = f"vm{self.number}{network.name}"
        vm = Inside(console, name)
        self.space.ip("link", "add", name, "mtu", str(network.mtu), "type", "veth", "peer", "name", "eth0", "netns", name)
        self.space.ip("link", "set", name, "master", network.bridge, "up")
        vm.ip("link", "set", "eth0", "mtu", str(network.mtu), "up")
        vm.ip("addr", "add", address, "dev", "eth0")
        return vm


def refused(host: Host, **options: Any) -> str:
    with pytest.raises(EdgeError) as caught:
        reconcile(host.net, [Wanted.checked({"name": "no", **options})], check=False)
    return caught.value.message


@pytest.fixture(scope="module")
def hosts(console: Console, tmp_path_factory: pytest.TempPathFactory) -> list[Host]:
    folder = tmp_path_factory.mktemp("hosts")
    outside = Inside(console)
    outside.ip("link", "add", "switch", "type", "bridge", "forward_delay", "0", "vlan_filtering", "1")
    outside.ip("link", "set", "switch", "up")
    found = [Host(console, name, number, folder / name) for number, name in enumerate(("one", "two"), start=1)]
    for number in (1, 2):
        outside.ip("link", "set", f"p{number}", "master", "switch", "up")
        for vlan in ("10", "20"):
            outside.run(("bridge", "vlan", "add", "vid", vlan, "dev", f"p{number}"))
    return found


def test_vlans_pass_a_trunk_whole_and_apart(console: Console, hosts: list[Host]) -> None:
    red = [host.have("red", type="vlan", vlan_id=10, underlay="eth0") for host in hosts]
    assert [network.mtu for network in red] == [1500, 1500]
    blue = hosts[1].have("blue", type="vlan", vlan_id=20, underlay="eth0")
    one = hosts[0].vm(console, red[0], "198.51.100.1/24")
    hosts[1].vm(console, red[1], "198.51.100.2/24")
    hosts[1].vm(console, blue, "198.51.100.3/24")
    one.run(("ping", "-c", "3", "-s", "1472", "198.51.100.2"))  # the largest that is one frame, which is 1518 bytes with its tag
    assert one.run(("ping", "-c", "1", "-W", "3", "198.51.100.3"), check=False).rc != 0
    link = json.loads(hosts[0].space.ip("-j", "-d", "link", "show", "evl-red"))[0]
    assert (link["linkinfo"]["info_data"]["id"], link["linkinfo"]["info_data"]["protocol"]) == (10, "802.1Q")
    moved = hosts[1].have("blue", type="vlan", vlan_id=30, underlay="eth0")
    assert dict(moved.links[1].details)["vlan_id"] == 30
    assert "VLAN 10 of eth0 is in use: the network red" in refused(hosts[1], type="vlan", vlan_id=10, underlay="eth0")


def test_a_second_tag_takes_four_bytes(hosts: list[Host]) -> None:
    hosts[0].space.ip("link", "add", "link", "eth0", "name", "eth0.77", "type", "vlan", "id", "77")
    hosts[0].space.ip("link", "set", "eth0.77", "up")
    assert hosts[0].have("inner", type="vlan", vlan_id=5, underlay="eth0.77").mtu == 1496
    assert "eth0.77" in refused(hosts[0], type="vlan", vlan_id=77, underlay="eth0")


def test_wireguard_carries_vxlan_and_no_vlan(hosts: list[Host]) -> None:
    space = hosts[0].space
    space.ip("link", "add", "wg0", "type", "wireguard")
    space.ip("addr", "add", "203.0.113.1/24", "dev", "wg0")
    space.ip("link", "set", "wg0", "up")
    assert hosts[0].have("far", type="vxlan", vni=5, underlay="wg0", members=["203.0.113.2"]).mtu == 1420 - 50
    assert refused(hosts[0], type="vlan", vlan_id=6, underlay="wg0").startswith(
        "underlay: wg0 (a link of kind wireguard) has no layer 2"
    )
    multicast = refused(hosts[0], type="vxlan", vni=6, underlay="wg0", flood="multicast", group="239.1.1.1")
    assert multicast.startswith("flood: wg0")


def test_a_bond_and_a_bridge_carry_vlans(hosts: list[Host]) -> None:
    space = hosts[0].space
    space.ip("link", "add", "bond0", "type", "bond")
    space.ip("link", "set", "bond0", "up")
    assert hosts[0].have("bonded", type="vlan", vlan_id=5, underlay="bond0").mtu == 1500
    space.ip("link", "add", "br0", "type", "bridge")
    space.ip("link", "set", "br0", "up")
    assert hosts[0].have("bridged", type="vlan", vlan_id=5, underlay="br0").mtu == 1500
