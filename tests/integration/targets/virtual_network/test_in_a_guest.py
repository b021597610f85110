# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel of this machine may lack, with Debian's: two hosts with a trunk between them, and VMs, in one guest.

802.1Q, 802.1ad, VLAN-aware bridges, WireGuard, bonds; and a kernel without IPv6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
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
        if self.space.run(("test", "-e", "/proc/sys/net/ipv6"), check=False).rc == 0:
            (folder / "ipv6").mkdir()
        places = Places(folder / "networks.json", folder / "lock", folder / "machine-id", ipv6=folder / "ipv6")
        self.net = Networking(self.space, places)
        outside = Inside(console)
        outside.ip("link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.space.ip("link", "set", "eth0", "up")

    def have(self, name: str, **options: Any) -> Any:
        """Make a network and see that there is nothing left to do; return it."""
        return self.reach(Wanted.checked({"name": name, **options}))

    def reach(self, wanted: Wanted) -> Any:
        """Make what is wanted and see that there is nothing left to do; return it."""
        name, asked = wanted.name, [wanted]
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


def reaches(vm: Inside, address: str) -> bool:
    return vm.run(("ping", "-c", "1", "-W", "3", address), check=False).rc == 0


def tagged(vm: Inside, vlan: int, address: str) -> None:
    """Have a VM use a tag of its own."""
    vm.ip("link", "add", "link", "eth0", "name", f"eth0.{vlan}", "type", "vlan", "id", str(vlan))
    vm.ip("link", "set", f"eth0.{vlan}", "up")
    vm.ip("addr", "add", address, "dev", f"eth0.{vlan}")


def test_an_outer_tag_carries_vlans_and_the_tags_of_vms(console: Console, hosts: list[Host]) -> None:
    outer = [Wanted.link("vlan", {"name": "outer0", "vlan_id": 100, "vlan_protocol": "802.1ad", "underlay": "eth0"})] * 2
    for host, wanted in zip(hosts, outer, strict=True):
        assert host.reach(wanted).link_view()["mtu"] == 1500
        link = json.loads(host.space.ip("-j", "-d", "link", "show", "outer0"))[0]
        assert (link["linkinfo"]["info_data"]["id"], link["linkinfo"]["info_data"]["protocol"]) == (100, "802.1ad")
        assert link["ifalias"] == "edge.cloud network outer0"
    within = [host.have("within", type="vlan", vlan_id=10, underlay="outer0") for host in hosts]
    assert [network.mtu for network in within] == [1496, 1496]
    one = hosts[0].vm(console, within[0], "198.51.100.41/24")
    hosts[1].vm(console, within[1], "198.51.100.42/24")
    one.run(("ping", "-c", "3", "-s", "1468", "198.51.100.42"))
    with pytest.raises(EdgeError, match=r"^state: the vlan outer0 has upon it evl-within, which would be cut off"):
        reconcile(hosts[0].net, [Wanted.link("vlan", {"name": "outer0", "state": "absent"})], check=False)

    # VLAN 10 of a card is another one with each kind of tag, and what VMs tag passes below the outer tag.
    shared = [host.have("shared", type="vlan", vlan_id=10, vlan_protocol="802.1ad", underlay="eth0") for host in hosts]
    vms = [host.vm(console, network, f"203.0.113.{host.number}/24") for host, network in zip(hosts, shared, strict=True)]
    for number, vm in enumerate(vms, start=1):
        tagged(vm, 7, f"192.0.2.{number}/24")
    assert reaches(vms[0], "203.0.113.2")
    assert reaches(vms[0], "192.0.2.2")


def test_a_bridge_that_tells_vlans_apart(console: Console, hosts: list[Host]) -> None:
    for host in hosts:
        host.space.ip("addr", "add", f"10.0.0.{host.number}/24", "dev", "eth0")
    options = {"type": "vxlan", "vni": 9, "underlay": "eth0", "members": ["10.0.0.1", "10.0.0.2"], "vlan_filtering": True}
    aware = [host.have("aware", **options, vlans=["10", "20-29"]) for host in hosts]
    assert [dict(network.links[1].view())["vlans"] for network in aware] == [["1 pvid untagged", "10", "20-29"]] * 2
    vms = [host.vm(console, network, f"198.51.100.{host.number}/24") for host, network in zip(hosts, aware, strict=True)]
    for vlan in (10, 30):
        for number, vm in enumerate(vms, start=1):
            tagged(vm, vlan, f"203.0.{vlan}.{number}/24")
    assert reaches(vms[0], "198.51.100.2")
    assert not reaches(vms[0], "203.0.10.2")  # the ports of VMs have no tags
    for vlan in ("10", "30"):
        for host in hosts:
            host.space.run(("bridge", "vlan", "add", "vid", vlan, "dev", f"vm{host.number}aware"))
    assert reaches(vms[0], "203.0.10.2")
    assert not reaches(vms[0], "203.0.30.2")  # not between the hosts
    hosts[0].space.run(("bridge", "vlan", "del", "vid", "10", "dev", "evx-aware"))
    assert not reaches(vms[0], "203.0.10.2")
    again = hosts[0].have("aware", **options, vlans=["10", "20-29"])
    assert (again.links, reaches(vms[0], "203.0.10.2")) == (aware[0].links, True)
    for host in hosts:
        host.have("aware", **options, vlans=["30"])
    assert (reaches(vms[0], "203.0.30.2"), reaches(vms[0], "203.0.10.2")) == (True, False)
    plain = {key: value for key, value in options.items() if key != "vlan_filtering"}
    for host in hosts:
        assert not host.have("aware", **plain).links[0].vlan_filtering
    assert reaches(vms[0], "203.0.10.2")  # tags pass as they come


def test_a_kernel_without_ipv6(tmp_path: Path) -> None:
    with booted("ipv6.disable=1") as console:
        host = Host(console, "one", 1, tmp_path / "one")
        assert not host.net.places.ipv6.exists()
        host.space.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        options = {"type": "vxlan", "vni": 5, "underlay": "eth0", "members": ["192.0.2.1", "192.0.2.2"]}
        for mtu in (1450, 600, 1400):
            assert host.have("private", **options, mtu=mtu).mtu == mtu
        host.have("storage", type="vlan", vlan_id=5, underlay="eth0")
        host.have("alone", type="isolated")
        failed = refused(host, **{**options, "vni": 6, "members": ["2001:db8::2"]})
        assert failed.startswith("members: 2001:db8::2 is IPv6, and the kernel of this host has none")
        assert "evb-private" in IpRoute(host.space).observe().links  # as the modules of bridges read a host
