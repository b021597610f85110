# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of virtual networks against hosts that are made up: also those that the development machine cannot have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.link.model import Link
from ansible_collections.edge.cloud.plugins.module_utils._network.link.routes import Address
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Definition, Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.evpn import warnings
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.names import MAKING, links_of, mac_of, mark
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.plan import plan
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.state import Facts, Networks, Peer, VirtualLink
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.steps import AttachTap
from hypothesis import given
from hypothesis import strategies as st

HOST = "0123456789abcdef0123456789abcdef"
CARD = Link("eth0", mac="52:54:00:00:00:01", up=True, addresses=(Address("192.0.2.11/24"), Address("2001:db8::11/64")))
WIREGUARD = Link("wg0", "wireguard", mtu=1420, up=True, ethernet=False, multicast=False, addresses=(Address("198.51.100.1/24"),))
OTHERS = {
    link.name: link
    for link in (
        CARD,
        WIREGUARD,
        Link("lo", mtu=65536, ethernet=False, addresses=(Address("203.0.113.77/32"),)),
        Link("eth1", up=False),
        Link("br0", "bridge", up=True, mtu=1500),
        Link("six0", up=True, addresses=(Address("2001:db8:6::11/64"),)),
        Link("tun0", "vxlan", up=True, mtu=1450, master="br0", data={"id": 7000, "link": "eth0", "port": 4789, "learning": True}),
        Link("eth0.30", "vlan", up=True, lower="eth0", data={"id": 30, "protocol": "802.1Q"}),
        Link("vnet0", "tun", up=True, master="br0"),
    )
}
FACTS = Facts(OTHERS, {"tun0": (Peer("192.0.2.99"),)}, machine_id=HOST)


def wanted(**options: Any) -> Wanted:
    return Wanted.checked({"name": "a", **options})


def error(facts: Facts = FACTS, **options: Any) -> EdgeError:
    with pytest.raises(EdgeError) as caught:
        plan(facts, [wanted(**options)]).require()
    return caught.value


def mtu(facts: Facts = FACTS, **options: Any) -> int | None:
    return plan(facts, [wanted(**options)]).require().after["a"].mtu


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["192.0.2.12"]}, 1450),
        ({"type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["2001:db8::12"]}, 1430),
        ({"type": "vxlan", "vni": 1, "underlay": "wg0"}, 1370),
        ({"type": "vxlan", "vni": 1, "underlay": "eth0", "mtu": 1400}, 1400),
        ({"type": "vlan", "vlan_id": 1, "underlay": "eth0"}, 1500),
        ({"type": "vlan", "vlan_id": 1, "underlay": "eth0.30"}, 1496),  # a second tag
        ({"type": "vlan", "vlan_id": 1, "underlay": "br0"}, 1496),  # a tunnel is among the ports
        ({"type": "isolated", "mtu": 9000}, 9000),
        ({"type": "bridge", "bridge": "br0"}, 1500),
    ],
)
def test_mtu_of_each_encapsulation(options: dict[str, Any], size: int) -> None:
    assert mtu(**options) == size


@pytest.mark.parametrize(
    ("options", "begins", "words"),
    [
        ({"type": "vlan", "vlan_id": 1, "underlay": "wg0"}, "underlay: ", "no layer 2"),
        ({"type": "vlan", "vlan_id": 1, "underlay": "eth1"}, "underlay: ", "is down"),
        ({"type": "vlan", "vlan_id": 30, "underlay": "eth0"}, "vlan_id: ", "eth0.30"),
        ({"type": "vlan", "vlan_id": 1, "underlay": "vnet0"}, "underlay: ", "belongs to a VM"),
        ({"type": "vlan", "vlan_id": 1, "underlay": "eth0", "mtu": 1501}, "mtu: ", "1500 at most"),
        ({"type": "vxlan", "vni": 7000, "underlay": "eth0"}, "vni: ", "tun0"),
        ({"type": "vxlan", "vni": 1, "underlay": "wg0", "flood": "multicast", "group": "239.1.1.1"}, "flood: ", "no multicast"),
        ({"type": "vxlan", "vni": 1, "underlay": "wg0", "members": ["2001:db8::1"]}, "underlay: ", "no IPv6 address"),
        ({"type": "vxlan", "vni": 1, "underlay": "eth1"}, "underlay: ", "no address"),
        ({"type": "vxlan", "vni": 1, "underlay": "six0", "flood": "evpn"}, "underlay: ", "no IPv4 address"),
        ({"type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["203.0.113.77"]}, "members: ", "on lo"),
        ({"type": "bridge", "bridge": "br0", "mtu": 1501}, "mtu: ", "has 1500"),
    ],
)
def test_what_a_host_cannot_have(options: dict[str, Any], begins: str, words: str) -> None:
    found = error(**options)
    assert found.message.startswith(begins)
    assert words in found.message


def test_a_vlan_alone_and_what_is_upon_it() -> None:
    asked = Wanted.link("vlan", {"name": "storage0", "vlan_id": 20, "underlay": "eth0"})
    made = plan(FACTS, [asked]).require()
    assert made.actions == ["Add the vlan storage0", "Make storage0 at boot"]
    facts = after(FACTS, made.after)
    assert not plan(facts, [asked]).require().steps
    state = made.after["storage0"]
    assert state.link_view() == {
        "name": "storage0",
        "state": "present",
        "kind": "vlan",
        "mac": mac_of(HOST, "storage0"),
        "mtu": 1500,
        "up": True,
        "master": None,
        "vlan_id": 20,
        "vlan_protocol": "802.1Q",
        "underlay": "eth0",
        "boot": {
            "name": "storage0",
            "type": "vlan",
            "vlan_id": 20,
            "vlan_protocol": "802.1Q",
            "underlay": "eth0",
            "bare": True,
        },
    }
    upon = plan(facts, [wanted(type="vlan", vlan_id=20, underlay="storage0")]).require().after["a"]
    assert upon.mtu == 1496
    facts = after(facts, {"a": upon})
    for options, option in (({"vlan_id": 21, "underlay": "eth0"}, "vlan_id"), ({"state": "absent"}, "state")):
        with pytest.raises(EdgeError, match=f"^{option}: the vlan storage0 has upon it evl-a, which would be cut off"):
            plan(facts, [Wanted.link("vlan", {"name": "storage0", **options})]).require()
    moved = plan(facts, [Wanted.link("vlan", {"name": "storage0", "vlan_id": 21, "underlay": "eth0", "allow_disruption": True})])
    assert moved.require().actions[:2] == ["Remove the vlan storage0", "Add the vlan storage0"]


def test_the_same_number_with_another_kind_of_tag_is_another_vlan() -> None:
    asked = wanted(type="vlan", vlan_id=30, vlan_protocol="802.1ad", underlay="eth0")
    made = plan(FACTS, [asked]).require()
    assert made.steps[1].ip[0][-4:] == ("protocol", "802.1ad", "id", "30")  # type: ignore[attr-defined]
    facts = after(FACTS, made.after)
    again = error(facts, name="b", type="vlan", vlan_id=30, vlan_protocol="802.1ad", underlay="eth0")
    assert again.message.startswith("vlan_id: VLAN 30 (802.1ad) of eth0 is in use: the network a has it")
    assert (
        plan(facts, [wanted(type="vlan", vlan_id=31, underlay="eth0")]).require().actions[0]
        == "Remove the vlan evl-a of the network a"
    )


def commands(facts: Facts, asked: Wanted, program: str) -> list[str]:
    steps = plan(facts, [asked]).require().steps
    return [" ".join(words) for step in steps for words in getattr(step, program)]


def test_a_bridge_that_tells_vlans_apart() -> None:
    base = {"type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["192.0.2.12"]}
    aware = {**base, "vlan_filtering": True, "vlans": ["20-29", "10", "30"]}
    made = plan(FACTS, [wanted(**aware)]).require()
    assert made.after["a"].links[1].vlans == ("1 pvid untagged", "10", "20-30")
    assert commands(FACTS, wanted(**aware), "fdb")[:2] == ["vlan add dev evx-a vid 10", "vlan add dev evx-a vid 20-30"]
    assert any(words.endswith("vlan_filtering 1") for words in commands(FACTS, wanted(**aware), "ip"))
    facts = after(FACTS, made.after)
    less = wanted(**{**aware, "vlans": ["25"]})
    assert commands(facts, less, "fdb") == [
        "vlan del dev evx-a vid 10",
        "vlan del dev evx-a vid 20-24",
        "vlan del dev evx-a vid 26-30",
    ]
    changed = replace(facts, vlans={"evx-a": ("1", "5 pvid untagged", "10", "20-30 untagged")})
    assert commands(changed, wanted(**aware), "fdb") == [
        "vlan del dev evx-a vid 1",
        "vlan del dev evx-a vid 5",
        "vlan del dev evx-a vid 20-30",
        "vlan add dev evx-a vid 1 pvid untagged",
        "vlan add dev evx-a vid 20-30",
    ]
    assert commands(facts, wanted(**base), "fdb") == ["vlan del dev evx-a vid 10", "vlan del dev evx-a vid 20-30"]
    assert commands(facts, wanted(**base), "ip") == ["link set dev evb-a type bridge vlan_filtering 0"]


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    "user", [Link("vnet7", "tun", up=True, master="evb-a"), Link("evb-a.10", "vlan", up=True, lower="evb-a", data={"id": 10})]
)
def test_telling_vlans_apart_is_not_begun_or_ended_under_who_uses_the_bridge(on: bool, user: Link) -> None:
    base = {"type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["192.0.2.12"]}
    before, change = {**base, "vlan_filtering": not on}, {**base, "vlan_filtering": on}
    facts = after(FACTS, plan(FACTS, [wanted(**before)]).require().after)
    assert commands(facts, wanted(**change), "ip") == [f"link set dev evb-a type bridge vlan_filtering {int(on)}"]
    used = replace(facts, links={**facts.links, user.name: user})
    caught = error(used, **change)
    assert caught.code == "refused"
    assert caught.message.startswith(f"vlan_filtering: evb-a of the network a has {user.name}, for which ")
    assert "set allow_disruption" in caught.message
    assert commands(used, wanted(**change, allow_disruption=True), "ip") == commands(facts, wanted(**change), "ip")
    assert plan(used, [wanted(**{**before, "members": ["192.0.2.13"]})]).require().changed, "all else may change"
    bridge = replace(used.links["evb-a"], vlan_filtering=on)
    others = replace(used, links={**used.links, "evb-a": bridge})
    assert commands(others, wanted(**before), "ip") == [f"link set dev evb-a type bridge vlan_filtering {int(not on)}"]


def test_a_port_of_a_vm_that_is_attached_again_has_the_vlans_that_it_had() -> None:
    trunk = AttachTap("a", "vnet0", "evb-a", vlans=("1 pvid untagged", "10", "20-29"))
    assert [" ".join(words) for words in trunk.fdb] == ["vlan add dev vnet0 vid 10", "vlan add dev vnet0 vid 20-29"]
    access = AttachTap("a", "vnet0", "evb-a", vlans=("30 pvid untagged",))
    assert [" ".join(words) for words in access.fdb] == ["vlan del dev vnet0 vid 1", "vlan add dev vnet0 vid 30 pvid untagged"]
    assert AttachTap("a", "vnet0", "evb-a").fdb == ()


def linked(*links: Link, **more: Any) -> Facts:
    """Return the host with further links, or others of those names."""
    return replace(FACTS, links={**OTHERS, **{link.name: link for link in links}}, **more)


@pytest.mark.parametrize("master", ["br1", "bond1"])
def test_a_vlan_of_a_bridge_or_bond_and_of_its_port_are_the_same(master: str) -> None:
    """The kernel gives the frames to the VLAN of the port, and the other one never gets any."""
    over = Link(master, "bridge" if master == "br1" else "bond", up=True)
    facts = linked(over, replace(CARD, master=master), Link("eth0.30", "vlan", up=True, lower="eth0", data=OTHERS["eth0.30"].data))
    for number, kept in (
        (30, "the link eth0.30, which is not ours, has it"),
        (40, "the network b has it, which is made at boot"),
    ):
        facts = replace(facts, record={"b": {"name": "b", "type": "vlan", "vlan_id": 40, "underlay": "eth0"}})
        found = error(facts, type="vlan", vlan_id=number, underlay=master)
        assert found.message.startswith(
            f"vlan_id: VLAN {number} of {master}, whose port eth0 has the same frames, is in use: {kept}"
        )
    both = [
        Wanted.checked({"name": name, "type": "vlan", "vlan_id": 50, "underlay": underlay}, f"networks[{place}].")
        for place, (name, underlay) in enumerate((("a", master), ("b", "eth0")))
    ]
    with pytest.raises(EdgeError, match=r"^networks\[1\]\.vlan_id: VLAN 50 of eth0 is in use: the network a of this task has it"):
        plan(facts, both).require()
    assert mtu(facts, type="vlan", vlan_id=30, vlan_protocol="802.1ad", underlay=master) == 1500
    assert mtu(facts, type="vlan", vlan_id=30, underlay="eth0.30") == 1496  # within the other tag


def test_groups_of_networks_that_are_made_at_boot_count() -> None:
    base = {"type": "vxlan", "underlay": "eth0", "flood": "multicast"}
    record = {
        f"n{place}": {**base, "name": f"n{place}", "vni": place + 2, "port": 4789, "group": f"239.1.1.{place}"}
        for place in range(3)
    }
    facts = replace(FACTS, record=record, most_groups=3)
    found = error(facts, **base, vni=1, group="239.1.1.9")
    assert found.message.startswith("group: 239.1.1.9 would be multicast group 4 of UDP port 4789, and the kernel joins 3")
    assert mtu(facts, **base, vni=1, group="239.1.1.2") == 1450
    assert mtu(facts, **base, vni=1, group="239.1.1.9", port=4790) == 1450
    assert plan(facts, [wanted(**base, vni=1, group="239.1.1.9"), Wanted("n0", None)]).require().changed


def test_a_tunnel_of_a_vpn_program_is_not_a_port_of_a_vm() -> None:
    vpn = Link("tun1", "tun", mtu=1500, up=True, ethernet=False, addresses=(Address("10.8.0.1/24"),))
    assert mtu(linked(vpn), type="vxlan", vni=1, underlay="tun1", members=["10.8.0.2"]) == 1450
    assert "no layer 2" in error(linked(vpn), type="vlan", vlan_id=1, underlay="tun1").message


def test_other_names_of_links() -> None:
    facts = linked(replace(CARD, altnames=("enp1s0", "evb-a")), replace(OTHERS["br0"], altnames=("enbridge",)))
    assert error(facts, type="vlan", vlan_id=1, underlay="enp1s0").message.startswith("underlay: enp1s0 is another name of eth0; ")
    assert error(facts, type="bridge", bridge="enbridge").message.startswith("bridge: enbridge is another name of br0; ")
    assert error(facts, type="isolated").message.startswith(
        "name: a needs the link evb-a, which exists and is another name of eth0"
    )
    alone = Wanted.link("vlan", {"name": "enp1s0", "vlan_id": 1, "underlay": "eth0"})
    with pytest.raises(EdgeError, match=r"^name: enp1s0 needs the link enp1s0, which exists and is another name of eth0"):
        plan(facts, [alone]).require()


def test_a_vlan_over_a_bridge_that_does_not_let_it_pass() -> None:
    aware = Link("br1", "bridge", up=True, vlan_filtering=True, data={"vlan_protocol": "802.1Q"})
    facts = linked(aware, vlans={"br1": ("1 pvid untagged", "10-20")})
    found = error(facts, type="vlan", vlan_id=21, underlay="br1")
    assert found.message.startswith("underlay: the bridge br1 tells VLANs apart, and VLAN 21 does not pass it")
    assert "bridge vlan add vid 21 dev br1 self" in found.message
    assert mtu(facts, type="vlan", vlan_id=15, underlay="br1") == 1500


@pytest.mark.parametrize("cloud", ["Amazon EC2", "Microsoft Azure"])
def test_a_cloud_without_layer_2(cloud: str) -> None:
    facts = linked(Link("br1", "bridge", up=True), replace(CARD, master="br1"), Link("br2", "bridge", up=True), cloud=cloud)
    for underlay in ("eth0", "br1"):
        found = error(facts, type="vlan", vlan_id=1, underlay=underlay)
        assert (found.code, found.details["option"]) == ("unsupported", "underlay")
        assert f"of {cloud}, whose network has no layer 2" in found.message
        assert "type: vxlan" in found.message
        assert found.message.endswith("if it does pass them, write none to /etc/edge/cloud.")
    over = error(facts, type="bridge", bridge="br1")
    assert over.message.startswith(f"bridge: br1 has the port eth0, a card of {cloud}")
    assert mtu(facts, type="bridge", bridge="br2") == 1500
    assert mtu(facts, type="vlan", vlan_id=1, underlay="br2") == 1500  # between VMs of this host
    assert mtu(facts, type="vxlan", vni=1, underlay="eth0") == 1450


def test_a_tunnel_has_a_layer_2_in_a_cloud() -> None:
    tunnel = Link("cluster0", "vxlan", mtu=1450, up=True, data={"id": 1, "link": "eth0", "port": 4789}, master="br1")
    facts = linked(Link("br1", "bridge", up=True, mtu=1450), tunnel, cloud="Amazon EC2")
    assert mtu(facts, type="bridge", bridge="br1") == 1450
    for underlay in ("cluster0", "br1"):
        assert mtu(facts, type="vlan", vlan_id=1, underlay=underlay) == 1446


@pytest.mark.parametrize(("kind", "kept"), [("bond", True), ("team", True), ("bridge", False)])
def test_the_mac_address_that_a_bond_gives_a_link_stays(kind: str, kept: bool) -> None:
    made = Link("storage0", "vlan", up=True, lower="eth0", mac=CARD.mac, alias=mark("storage0"), master="up0")
    facts = linked(replace(made, data={"id": 20, "protocol": "802.1Q"}), Link("up0", kind, up=True, mac=CARD.mac))
    asked = Wanted.link("vlan", {"name": "storage0", "vlan_id": 20, "underlay": "eth0"})
    actions = plan(facts, [asked]).require().actions
    assert any("MAC" in action for action in actions) is not kept, actions


IPV6 = {"type": "vxlan", "vni": 1, "underlay": "eth0"}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"members": ["2001:db8::12", "2001:db8::13"]}, "members"),
        ({"flood": "multicast", "group": "ff05::1"}, "group"),
        ({"local": "2001:db8::11"}, "local"),
    ],
)
def test_an_underlay_of_ipv6_on_a_host_without_it(options: dict[str, Any], option: str) -> None:
    assert mtu(**IPV6, **options) == 1430
    found = error(replace(FACTS, ipv6=False), **IPV6, **options)
    assert (found.code, found.details["option"]) == ("unsupported", option)
    assert "ipv6.disable=1" in found.message


def test_a_host_without_ipv6_is_asked_for_nothing_of_it() -> None:
    small = replace(FACTS, links={**OTHERS, "evb-a": Link("evb-a", "bridge", mtu=600, mac=mac_of(HOST, "evb-a"), alias=mark("a"))})
    for facts, asked in ((FACTS, wanted(**IPV6, members=["192.0.2.12"])), (small, wanted(type="isolated"))):
        assert any("addrgenmode" in words for words in commands(facts, asked, "ip"))
        assert not any("addrgenmode" in words or "fe80" in words for words in commands(replace(facts, ipv6=False), asked, "ip"))


def test_evpn_has_ipv4_and_each_vni_once() -> None:
    six = {"type": "vxlan", "vni": 1, "underlay": "eth0", "flood": "evpn", "local": "2001:db8::11"}
    with pytest.raises(EdgeError, match=r"^local: 2001:db8::11 is of IPv6, over which the FRR of Debian"):
        wanted(**six)
    four = {"type": "vxlan", "vni": 1, "underlay": "eth0", "flood": "evpn"}
    made = plan(FACTS, [wanted(**four)]).require().after["a"]
    assert dict(made.links[1].details)["local"] == "192.0.2.11"
    both = [wanted(**four), Wanted.checked({"name": "b", **four, "port": 4790})]
    with pytest.raises(EdgeError, match="VNI 1 of EVPN, which knows no ports, is in use"):
        plan(FACTS, both).require()


def test_a_warning_only_where_bgp_is_needed_and_missing(tmp_path: Path) -> None:
    evpn, static = (wanted(type="vxlan", vni=1, underlay="eth0", flood=flood) for flood in ("evpn", "static"))
    socket = tmp_path / "bgpd.vty"
    assert ["asked for a, and FRR's BGP" in one for one in warnings([static, evpn], socket)] == [True]
    assert warnings([static, wanted(state="absent")], socket) == []
    socket.touch()
    assert warnings([evpn], socket) == []


def test_own_address_is_told_apart() -> None:
    members = ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    made = plan(FACTS, [wanted(type="vxlan", vni=1, underlay="eth0", members=members)]).require().after["a"]
    assert made.peers == ("192.0.2.10", "192.0.2.12")
    two = replace(CARD, addresses=(Address("192.0.2.11/24"), Address("198.51.100.11/24")))
    facts = replace(FACTS, links={**OTHERS, "eth0": two})
    near = plan(facts, [wanted(type="vxlan", vni=1, underlay="eth0", members=["198.51.100.12"])]).require().after["a"]
    assert dict(near.links[1].details)["local"] == "198.51.100.11"
    assert error(facts, type="vxlan", vni=1, underlay="eth0", members=["203.0.113.1"]).message.startswith("local: ")


def test_a_network_over_one_of_ours_is_refused() -> None:
    ours = Link("evb-b", "bridge", up=True, alias=mark("b"))
    other = Link("moved", "bridge", up=True, alias=mark("b"))
    facts = replace(FACTS, links={**OTHERS, "evb-b": ours, "moved": other})
    assert "belongs to the virtual network b" in error(facts, type="vlan", vlan_id=1, underlay="moved").message


def test_a_link_that_only_looks_unfinished_is_not_ours() -> None:
    half = Link("evb-a", "bridge", mac=mac_of(HOST, "evb-a"), group=MAKING)
    assert plan(replace(FACTS, links={**OTHERS, "evb-a": half}), [wanted(type="isolated")]).require().actions[0] == (
        "Finish evb-a of the network a"
    )
    for other in (replace(half, mac="02:00:00:00:00:01"), replace(half, group="default"), replace(half, alias="x")):
        facts = replace(FACTS, links={**OTHERS, "evb-a": other})
        assert error(facts, type="isolated").message.startswith("name: ")
        assert not plan(facts, [wanted(state="absent")]).require().steps


names = st.sampled_from(["a", "b", "a-name-of-many-letters"])
addresses = st.lists(st.integers(1, 20).map("192.0.2.{}".format), max_size=5)


filtering = st.sampled_from(
    [
        {},
        {"vlan_filtering": True},
        {"vlan_filtering": True, "vlans": ["10", "20-29"]},
        {"vlan_filtering": True, "vlans": ["2-4094"]},
    ]
)


@st.composite
def definitions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    number = draw(st.integers(1, 3)) + 10 * ["a", "b", "a-name-of-many-letters"].index(name)
    return {
        "name": name,
        **draw(
            st.sampled_from(
                [
                    {"type": "vxlan", "vni": number, "underlay": "eth0", "members": draw(addresses), **draw(filtering)},
                    {"type": "vxlan", "vni": number, "underlay": "wg0", "mtu": draw(st.integers(600, 1370))},
                    {"type": "vxlan", "vni": number, "underlay": "eth0", "flood": "multicast", "group": "239.0.0.1"},
                    {"type": "vxlan", "vni": number, "underlay": "eth0", "flood": "evpn"},
                    {
                        "type": "vlan",
                        "vlan_id": number,
                        "vlan_protocol": draw(st.sampled_from([None, "802.1Q", "802.1ad"])),
                        "underlay": draw(st.sampled_from(["eth0", "br0"])),
                        **draw(filtering),
                    },
                    {"type": "isolated", "vlan_filtering": draw(st.booleans())},
                    {"type": "bridge"},
                    {"type": "bridge", "bridge": "br0"},
                    {"state": "absent"},
                ]
            )
        ),
    }


def as_link(one: VirtualLink, network: str) -> Link:
    details = dict(one.details)
    renamed = {"vni": "id", "underlay": "link", "vlan_id": "id", "vlan_protocol": "protocol"}
    data = {renamed.get(key, key): value for key, value in details.items() if value is not None}
    lower = str(details["underlay"]) if one.kind == "vlan" else ""
    return Link(
        one.name,
        one.kind,
        one.master,
        one.mtu,
        one.mac,
        one.up,
        vlan_filtering=one.vlan_filtering,
        learns=one.learns,
        alias=mark(network),
        data=data,
        lower=lower,
    )


def after(facts: Facts, networks: Networks) -> Facts:
    """Return the host after a plan, as its prediction says."""
    going = {link.name for name in networks for link in facts.ours(name)}
    links = {name: link for name, link in facts.links.items() if name not in going}
    peers = {name: found for name, found in facts.peers.items() if name not in going}
    record = {name: raw for name, raw in facts.record.items() if name not in networks}
    for name, state in networks.items():
        links |= {one.name: as_link(one, name) for one in state.links}
        peers |= {one.name: tuple(map(Peer, state.peers)) for one in state.links if one.kind == "vxlan"}
        record |= {name: state.boot} if state.boot is not None else {}
    vlans = {one.name: one.vlans for state in networks.values() for one in state.links if one.vlans}
    return replace(facts, links=links, peers=peers, record=record, vlans={**facts.vlans, **vlans})


@given(st.data())
def test_a_plan_leads_from_any_networks_to_any_others_and_touches_nothing_else(data: st.DataObject) -> None:
    facts = FACTS
    for _round in range(2):
        chosen = data.draw(st.lists(names, unique=True, min_size=1))
        asked = [Wanted.checked(data.draw(definitions(name))) for name in chosen]
        made = plan(facts, asked).require()
        own = {link for name in chosen for link in links_of(name)}
        assert {words[words.index("dev") + 1] for step in made.steps for words in step.ip if words[1] != "add"} <= own  # type: ignore[attr-defined]
        assert {words[words.index("dev") + 1] for step in made.steps for words in step.fdb} <= own  # type: ignore[attr-defined]
        facts = after(facts, made.after)
        again = plan(facts, asked).require()
        assert again.actions == []
        assert again.before == made.after
        assert {name: facts.links[name] for name in OTHERS} == OTHERS


@given(names.flatmap(definitions))
def test_a_definition_is_the_same_after_the_file_of_the_boot(options: Mapping[str, Any]) -> None:
    definition = Wanted.checked(options).definition
    if definition is not None:
        assert Definition.checked(definition.as_json()) == definition
