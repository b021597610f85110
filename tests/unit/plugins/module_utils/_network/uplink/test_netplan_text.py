# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of netplan with a bridge over a link: edited as text, with all else as it was."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.marks import over, restored
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.netplan_text import with_bridge
from hypothesis import given
from hypothesis import strategies as st

MAC = "52:54:00:12:34:56"
CLOUD = """\
# This file is generated from information provided by the datasource.
network:
    version: 2
    ethernets:
        ens3:
            dhcp4: true
            dhcp6: true
            match:
                macaddress: 52:54:00:12:34:56
            set-name: ens3
"""
STATIC = """\
network:
  version: 2
  renderer: networkd
  ethernets:
    eth1: {dhcp4: false}   # the other card
    eth0:
      mtu: 1400
      addresses:
      - 192.0.2.10/24   # ours
      - "2001:db8::10/64"
      routes:
        - to: default
          via: 192.0.2.1

      nameservers:
        addresses: [192.0.2.53,
                    198.51.100.53]
  bridges:
    br-lab:
      interfaces: [eth1]
"""
BOND = """\
network:
  ethernets:
    a: {}
    b: {}
  bonds:
    bond0:
      interfaces: [a, b]
      parameters: {mode: 802.3ad}
      dhcp4: true
  vlans:
    bond0.7:
      id: 7
      link: bond0
      addresses: [192.0.2.10/24]
"""


def data(text: str) -> dict:
    return yaml.load(text, Loader=yaml.BaseLoader)["network"]


@pytest.mark.parametrize(
    ("text", "ident"), [(CLOUD, "ens3"), (STATIC, "eth0"), (BOND, "bond0"), (BOND, "bond0.7"), (CLOUD[:-1], "ens3")]
)
def test_the_way_back_is_exact(text: str, ident: str) -> None:
    made = with_bridge(text, "br0", ident, MAC)
    assert restored(made, "br0") == text
    assert ident in (over(made, "br0") or "")
    bridge = data(made)["bridges"]["br0"]
    assert bridge["interfaces"] == [ident]
    assert bridge["macaddress"] == MAC
    assert bridge["parameters"] == {"stp": "false", "forward-delay": "0"}


def test_a_cloud_image() -> None:
    made = data(with_bridge(CLOUD, "br0", "ens3", MAC))
    assert made["bridges"]["br0"]["dhcp4"] == made["bridges"]["br0"]["dhcp6"] == "true"
    assert made["ethernets"]["ens3"] == {
        "match": {"macaddress": "52:54:00:12:34:56"},
        "set-name": "ens3",
        "dhcp4": "false",
        "dhcp6": "false",
    }


def test_static_addresses_beside_another_bridge() -> None:
    made = data(with_bridge(STATIC, "br0", "eth0", MAC))
    before = data(STATIC)
    assert made["ethernets"] == {"eth1": {"dhcp4": "false"}, "eth0": {"mtu": "1400", "dhcp4": "false", "dhcp6": "false"}}
    assert made["bridges"]["br-lab"] == {"interfaces": ["eth1"]}
    for key in ("addresses", "routes", "nameservers", "mtu"):
        assert made["bridges"]["br0"][key] == before["ethernets"]["eth0"][key]


def test_a_bond_and_a_vlan_keep_what_makes_them() -> None:
    assert data(with_bridge(BOND, "br0", "bond0", MAC))["bonds"]["bond0"] == {
        "interfaces": ["a", "b"],
        "parameters": {"mode": "802.3ad"},
        "dhcp4": "false",
        "dhcp6": "false",
    }
    vlan = data(with_bridge(BOND, "br0", "bond0.7", MAC))["vlans"]["bond0.7"]
    assert (vlan["id"], vlan["link"], "addresses" in vlan) == ("7", "bond0", False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network: {ethernets: {eth0: {dhcp4: true}}}", "not written as a plain block"),
        ("network:\n  ethernets:\n    eth0: {dhcp4: true}\n", "eth0 is not written as a plain block"),
        ("network:\n  ethernets:\n    eth1:\n      dhcp4: true\n", "defines no eth0"),
        (
            "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n  bridges:\n    br0:\n      dhcp4: true\n",
            "configures br0 already",
        ),
        ("network:\n  ethernets:\n    eth0:\n      dhcp4: true\n  bridges: {}\n", "bridges is not written"),
        ("network: [", "it is not YAML"),
        ("", "defines no eth0"),
        (
            "network:\n  ethernets:\n    eth0:\n      match: &m {}\n      dhcp4-overrides: *m\n",
            "cannot be moved as text|cannot be changed",
        ),
    ],
)
def test_what_cannot_be_edited_as_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(EdgeError, match=said):
        with_bridge(text, "br0", "eth0", MAC)


def test_a_file_that_is_not_yaml_is_named_by_its_line_and_not_shown() -> None:
    with pytest.raises(EdgeError, match=r"it is not YAML .* in line 3") as caught:
        with_bridge('network:\n  wifis:\n    password: "c4n4ry" c4n4ry\n', "br0", "eth0", MAC)
    assert "c4n4ry" not in caught.value.message


VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(), st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=6), st.just("a\nb\n")
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)),
    max_leaves=6,
)
LINK = st.dictionaries(
    st.sampled_from(["addresses", "routes", "dhcp4", "match", "mtu", "set-name", "nameservers"]), VALUES, min_size=1
)


@given(LINK, LINK, st.integers(2, 6), st.booleans(), st.booleans())
def test_any_link_moves_whole_or_not_at_all(link: dict, other: dict, indent: int, bridges: bool, styled: bool) -> None:
    network = {"version": 2, "ethernets": {"eth1": other, "eth0": link}} | (
        {"bridges": {"br9": {"dhcp4": True}}} if bridges else {}
    )
    text = yaml.safe_dump({"network": network}, indent=indent, sort_keys=styled, default_flow_style=False, default_style=None)
    try:
        made = with_bridge(text, "br0", "eth0", MAC)
    except EdgeError:
        return
    assert restored(made, "br0") == text
    after, before = data(made), data(text)["ethernets"]
    assert after["ethernets"]["eth1"] == before["eth1"]
    for key, value in before["eth0"].items():
        where = after["ethernets"]["eth0"] if key in ("match", "mtu", "set-name") else after["bridges"]["br0"]
        assert where[key] == value
