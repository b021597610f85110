# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces in virtual networks: what a network gives them, and what is left when they leave it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec, Nic, Record, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.virtual_network import VirtualNetwork
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.interface import asks_for_networks
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from support.compute import host

BLUE, RED = VirtualNetwork("blue", "evb-blue", 1450), VirtualNetwork("red", "evb-red", 1400, peers_isolated=True)
TAP = tap_link(stable_uuid("web"), "nic0")


def wanted(before: DomainSpec | None, *nics: dict[str, Any], networks: tuple[VirtualNetwork, ...] = (BLUE, RED)) -> DomainSpec:
    facts = host(virtual_networks={one.name: one for one in networks})
    return resolve(read_options({"name": "web", "nics": list(nics)}), before, (), facts).spec


def again(spec: DomainSpec) -> DomainSpec:
    """Return what libvirt's XML and our record in it say of a domain that was defined."""
    return parse(emit(spec, Record(spec))).spec


IN_BLUE = wanted(None, {"virtual_network": "blue"})
IN_RED = wanted(None, {"virtual_network": "red"})


def test_an_interface_has_bridge_tap_mtu_and_isolation_of_its_network() -> None:
    assert IN_BLUE.nics == (
        Nic("nic0", IN_BLUE.nics[0].mac, bridge="evb-blue", mtu=1450, virtual_network="blue", tap=TAP, mtu_of_network=True),
    )
    assert (IN_RED.nics[0].mtu, IN_RED.nics[0].isolated, IN_RED.nics[0].tap) == (1400, True, TAP)


@pytest.mark.parametrize("spec", [IN_BLUE, IN_RED])
def test_it_is_the_same_when_read_back_and_at_the_next_run(spec: DomainSpec) -> None:
    assert again(spec) == spec
    assert wanted(again(spec), {}) == wanted(again(spec), {"virtual_network": spec.nics[0].virtual_network}) == spec


def test_taps_differ_by_domain_and_interface_and_fit_the_kernel() -> None:
    taps = {tap_link(stable_uuid(vm), nic) for vm in ("web", "db", "x" * 63) for nic in ("nic0", "nic1", "n" * 20)}
    assert len(taps) == 9
    assert {len(tap) for tap in taps} == {15}
    two = wanted(None, {"virtual_network": "blue"}, {"virtual_network": "blue"})
    assert two.nics[0].tap == TAP != two.nics[1].tap


def test_the_xml_has_what_libvirt_needs() -> None:
    element = emit(IN_RED, Record(IN_RED)).find("devices/interface")
    assert element is not None
    assert (element.get("type"), element.find("source").attrib) == ("bridge", {"bridge": "evb-red"})  # type: ignore[union-attr]
    found = {tag: dict(element.find(tag).attrib) for tag in ("target", "mtu", "port")}  # type: ignore[union-attr]
    assert found == {"target": {"dev": TAP}, "mtu": {"size": "1400"}, "port": {"isolated": "yes"}}


@pytest.mark.parametrize("place", [{"bridge": "br0"}, {"network": "edge"}, {"hostdev": "0000:03:10.1"}])
def test_one_that_leaves_loses_name_isolation_and_mtu(place: dict[str, str]) -> None:
    before = again(IN_RED)
    left = wanted(before, place)
    nic = left.nics[0]
    assert (nic.tap, nic.isolated, nic.mtu, nic.virtual_network, nic.mtu_of_network) == (None, False, None, None, False)
    element = emit(left, Record(left), emit(before, Record(before))).find("devices/interface")
    assert element is not None
    assert [tag for tag in ("target", "mtu", "port") if element.find(tag) is not None] == []
    assert parse(emit(left, Record(left), emit(before, Record(before)))).spec == left


def test_one_that_changes_its_network_has_what_the_new_one_gives_and_keeps_its_tap() -> None:
    moved = wanted(again(IN_RED), {"virtual_network": "blue"})
    assert moved == IN_BLUE
    assert parse(emit(moved, Record(moved), emit(IN_RED, Record(IN_RED)))).spec == moved


def test_an_mtu_that_was_given_stays_and_one_of_the_network_follows_it() -> None:
    own = again(wanted(None, {"virtual_network": "blue", "mtu": 1280}))
    larger, smaller = replace(BLUE, mtu=1500), replace(BLUE, mtu=1300)
    assert [wanted(own, {}, networks=(one,)).nics[0].mtu for one in (larger, smaller)] == [1280, 1280]
    assert [wanted(again(IN_BLUE), {}, networks=(one,)).nics[0].mtu for one in (larger, smaller)] == [1500, 1300]
    assert wanted(own, {"bridge": "br0"}).nics[0].mtu == 1280


def test_an_mtu_that_the_network_does_not_carry_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"^nics\[1\]\.mtu: 1451 is more than the virtual network blue carries.* 1450"):
        wanted(None, {"virtual_network": "red"}, {"virtual_network": "blue", "mtu": 1451})
    own = again(wanted(None, {"bridge": "br0", "mtu": 9000}))
    with pytest.raises(InvalidInput, match=r"^nics\[0\]\.mtu: 9000 .* 1450"):
        wanted(own, {"virtual_network": "blue"})


@pytest.mark.parametrize(
    ("nic", "kind", "says"),
    [
        ({"virtual_network": "bleu"}, NotFound, r"nics\[0\]\.virtual_network: .* no virtual network bleu \(there: blue, red\)"),
        ({"virtual_network": "blue", "bridge": "br0"}, InvalidInput, r"nics\[0\]: give one of .*bridge: br0.*network: blue"),
        ({"virtual_network": "blue", "network": "edge"}, InvalidInput, r"nics\[0\]: give one of"),
        ({"virtual_network": "blue", "vlan": 7}, InvalidInput, r"nics\[0\]\.vlan: "),
        ({"virtual_network": ""}, InvalidInput, r"nics\[0\]: give one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_by_its_path(nic: dict[str, Any], kind: type[EdgeError], says: str) -> None:
    with pytest.raises(kind, match=f"^{says}"):
        wanted(None, nic)


TRUNKS = VirtualNetwork("trunks", "evb-trunks", 1450, definition={"vlan_filtering": True})


def on_trunks(before: DomainSpec | None, **nic: Any) -> DomainSpec:
    return wanted(before, nic, networks=(BLUE, TRUNKS))


def test_a_guest_tags_what_its_interface_says_and_what_has_no_tag_passes_beside() -> None:
    made = on_trunks(None, virtual_network="trunks", vlans=["20-29", "10", " 21"])
    assert made.nics[0].vlans == ("10", "20-29")
    vlan = emit(made, Record(made)).find("devices/interface/vlan")
    assert vlan is not None and vlan.get("trunk") == "yes"
    assert [tag.attrib for tag in vlan][:3] == [{"id": "1", "nativeMode": "untagged"}, {"id": "10"}, {"id": "20"}]
    assert again(made) == made == on_trunks(again(made))
    for changed in (on_trunks(again(made), vlans=["11"]), on_trunks(again(made), vlans=[])):
        assert parse(emit(changed, Record(changed), emit(made, Record(made)))).spec == changed
    assert emit(changed, Record(changed), emit(made, Record(made))).find("devices/interface/vlan") is None
    assert on_trunks(again(made), bridge="br0").nics[0].vlans == ()


@pytest.mark.parametrize(
    ("nic", "says"),
    [
        ({"virtual_network": "trunks", "vlans": ["1"]}, r"nics\[0\]\.vlans\[0\]: '1' is not a VLAN or range"),
        ({"virtual_network": "trunks", "vlans": ["9-7"]}, r"nics\[0\]\.vlans\[0\]: "),
        ({"virtual_network": "trunks", "vlans": ["4095"]}, r"nics\[0\]\.vlans\[0\]: "),
        ({"virtual_network": "blue", "vlans": ["7"]}, r"nics\[0\]\.vlans: .* blue does not tell VLANs apart"),
        ({"bridge": "br0", "vlans": ["7"]}, r"nics\[0\]\.vlans: they are for an interface of a virtual network"),
    ],
)
def test_vlans_that_cannot_be_are_named(nic: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{says}"):
        on_trunks(None, **nic)


def test_an_interface_with_vlans_does_not_go_to_a_network_that_passes_all() -> None:
    made = on_trunks(None, virtual_network="trunks", vlans=["10"])
    with pytest.raises(InvalidInput, match=r"^nics\[0\]\.virtual_network: .* blue does not tell VLANs apart"):
        on_trunks(again(made), virtual_network="blue")


def test_a_network_without_its_bridge_is_named() -> None:
    with pytest.raises(NotFound, match=r"^nics\[0\]\.virtual_network: the bridge of the virtual network blue is not there now"):
        wanted(again(IN_BLUE), {}, networks=(replace(BLUE, bridge=None),))


def test_one_that_was_moved_by_hand_is_in_no_virtual_network() -> None:
    element = emit(IN_BLUE, Record(IN_BLUE))
    element.find("devices/interface/source").set("bridge", "br0")  # type: ignore[union-attr]
    found = parse(element).spec
    assert found.nics[0].virtual_network is None
    assert wanted(found, {"virtual_network": "blue"}).nics[0].bridge == "evb-blue"


def test_taps_and_isolation_of_others_stay() -> None:
    element = emit(wanted(None, {"bridge": "br0"}))
    nic = element.find("devices/interface")
    assert nic is not None
    nic.extend([type(nic)("target", {"dev": "tap7"}), type(nic)("port", {"isolated": "yes"})])
    before = parse(element).spec
    after = emit(wanted(before, {"bridge": "br1"}), None, element).find("devices/interface")
    assert after is not None
    assert [(after.find(tag).attrib) for tag in ("target", "port")] == [{"dev": "tap7"}, {"isolated": "yes"}]  # type: ignore[union-attr]


def test_networks_are_read_only_where_an_interface_asks() -> None:
    plain, ours = wanted(None, {"bridge": "br0"}), again(IN_BLUE)
    asks = [
        asks_for_networks(read_options({"name": "web", **options}), before)
        for options, before in [({}, ours), ({"nics": [{}]}, plain), ({"nics": []}, ours), ({"nics": [{"bridge": "b"}]}, None)]
    ]
    assert asks == [False] * 4
    assert asks_for_networks(read_options({"name": "web", "nics": [{}]}), ours)
    assert asks_for_networks(read_options({"name": "web", "nics": [{"virtual_network": "blue"}]}), None)


LEASED = wanted(None, {"virtual_network": "blue", "addresses": ["198.51.100.20/24", "2001:DB8::20"]})


def test_leased_addresses_stay_until_the_interface_leaves_their_network() -> None:
    assert LEASED.nics[0].addresses == ("198.51.100.20/24", "2001:db8::20")
    assert again(LEASED) == LEASED == wanted(again(LEASED), {}) == wanted(again(LEASED), {"virtual_network": "blue"})
    assert wanted(LEASED, {"virtual_network": "red"}).nics[0].addresses == ()
    assert wanted(LEASED, {"addresses": []}) == IN_BLUE
    assert wanted(LEASED, {"virtual_network": "red", "addresses": ["192.0.2.9"]}).nics[0].addresses == ("192.0.2.9",)


def test_an_interface_that_others_gave_another_mac_has_no_lease() -> None:
    root = emit(LEASED, Record(LEASED))
    root.find("devices/interface/mac").set("address", "52:54:00:99:99:99")  # type: ignore[union-attr]
    assert parse(root).spec.nics[0].addresses == ()


@pytest.mark.parametrize(
    ("addresses", "option"),
    [
        (["192.0.2.300"], "nics[0].addresses[0]"),
        (["192.0.2.1", "web.example"], "nics[0].addresses[1]"),
        (["192.0.2.1", "192.0.2.1/24"], "nics[0].addresses[1]"),
        (["fe80::1"], "nics[0].addresses[0]"),
        (["2001:db8::1%eth0"], "nics[0].addresses[0]"),
        (["0.0.0.0"], "nics[0].addresses[0]"),
        (["224.0.0.1"], "nics[0].addresses[0]"),
        ([f"192.0.2.{number}" for number in range(1, 20)], "nics[0].addresses"),
    ],
)
def test_what_no_guest_can_be_reached_by_is_refused(addresses: list[str], option: str) -> None:
    with pytest.raises(InvalidInput) as failed:
        wanted(None, {"virtual_network": "blue", "addresses": addresses})
    assert failed.value.details["option"] == option and failed.value.message.startswith(f"{option}: ")
