# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of ifupdown with a bridge over an interface: what is written, what is refused, and the way back to the byte."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.interfaces import dhcp, stanzas, with_bridge
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.marks import marked, over, restored
from hypothesis import given
from hypothesis import strategies as st

MAC = "52:54:00:12:34:56"
SERVER = """\
# The loopback network interface
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug ens3
iface ens3 inet static
\taddress 192.0.2.10/24
\tgateway 192.0.2.1
\t# dns-* options are implemented by the resolvconf package
\tdns-nameservers 192.0.2.53
\tup ip route add 198.51.100.0/24 \\
\t  via 192.0.2.9 dev $IFACE
iface ens3 inet6 static
\taddress 2001:db8::10/64
\tmtu 1400

auto ens4
iface ens4 inet dhcp
"""
DHCP = "auto lo\niface lo inet loopback\nallow-hotplug ens3\niface ens3 inet dhcp\niface ens3 inet6 auto"  # no end of line
BOND = """\
auto bond0
iface bond0 inet static
    address 192.0.2.10/24
    bond-slaves ens3 ens4
    bond-mode 802.3ad
    hwaddress 52:54:00:00:00:09

auto bond0.7
iface bond0.7 inet static
    vlan-raw-device bond0
    address 198.51.100.10/24
"""
ALIAS = "auto eth0 eth0:1\niface eth0 inet static\n address 192.0.2.10/24\niface eth0:1 inet static\n address 192.0.2.11/24\n"
EVERY = [(SERVER, "ens3"), (SERVER, "ens4"), (DHCP, "ens3"), (BOND, "bond0"), (BOND, "bond0.7"), (ALIAS, "eth0")]


def of(text: str, name: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """Return head and options of the stanzas of one interface."""
    return [(s.head.words[2:], [" ".join(o.words) for o in s.options]) for s in stanzas(text) if s.interface == name]


@pytest.mark.parametrize(("text", "port"), EVERY)
def test_the_way_back_is_exact(text: str, port: str) -> None:
    made = with_bridge(text, "br0", port, MAC)
    assert marked(made, "br0")
    assert over(made, "br0") == port
    assert restored(made, "br0") == text
    assert restored(made, "br1") == made


def test_what_the_card_had_is_the_bridges() -> None:
    made = with_bridge(SERVER, "br0", "ens3", MAC)
    before, (four, six) = of(SERVER, "ens3"), of(made, "br0")
    assert four[0] == ("inet", "static")
    assert four[1][:4] == before[0][1]
    assert four[1][4:] == [
        f"pre-up ip link show dev br0 >/dev/null 2>&1 || ip link add name br0 address {MAC} type bridge stp_state 0",
        "pre-up ip link set dev ens3 mtu 1400 master br0 up",
        "post-down ip link del dev br0",
    ]
    assert six == before[1]
    assert of(made, "ens3") == [(("inet", "manual"), ["mtu 1400"])]
    assert of(made, "ens4") == of(SERVER, "ens4")
    assert ["auto", "br0"] in [list(found.head.words) for found in stanzas(made)]


def test_dhcp_runs_on_the_bridge() -> None:
    made = with_bridge(DHCP, "br0", "ens3", MAC)
    assert dhcp(DHCP, "ens3")
    assert dhcp(made, "br0")
    assert not dhcp(made, "ens3")
    assert [head for head, _options in of(made, "br0")] == [("inet", "dhcp"), ("inet6", "auto")]


def test_a_bond_stays_a_bond_and_a_vlan_a_vlan() -> None:
    made = with_bridge(BOND, "br0", "bond0", MAC, made=True)
    options = ["bond-slaves ens3 ens4", "bond-mode 802.3ad", "hwaddress 52:54:00:00:00:09"]
    assert of(made, "bond0") == [(("inet", "manual"), options)]
    (_head, of_bridge) = of(made, "br0")[0]
    assert of_bridge[:2] == ["address 192.0.2.10/24", "hwaddress 52:54:00:00:00:09"]
    assert of_bridge[2] == "pre-up ip link show dev bond0 >/dev/null 2>&1 || ifup bond0"
    made = with_bridge(BOND, "br7", "bond0.7", MAC)
    assert of(made, "bond0.7") == [(("inet", "manual"), ["vlan-raw-device bond0"])]
    assert of(made, "bond0") == of(BOND, "bond0")


def test_an_alias_goes_along() -> None:
    made = with_bridge(ALIAS, "br0", "eth0", MAC)
    assert of(made, "br0:1") == [(("inet", "static"), ["address 192.0.2.11/24"])]
    assert of(made, "eth0:1") == []
    assert [found.head.words for found in stanzas(made) if found.head.words[0] == "auto"] == [
        ("auto", "eth0", "br0:1"),
        ("auto", "br0"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("iface eth1 inet dhcp\n", "not_found", "no stanza for eth0"),
        ("iface eth0 inet ppp\n", "refused", "line 1 configures eth0 by the method ppp"),
        ("iface eth0 inet dhcp\n  wpa-ssid home\n", "refused", "line 2 (wpa-ssid)"),
        ("iface eth0 inet dhcp\n  bridge_ports eth1\n", "conflict", "is a bridge itself"),
        ("iface eth0 inet static\n  up ip route add 198.51.100.0/24 dev eth0\n", "refused", "line 2 (up ip route add"),
        ("iface eth0 inet dhcp\niface eth0:1 inet static\n  up ping -I eth0:1 x\n", "refused", "line 3"),
        ("iface eth0 inet dhcp\niface br0 inet dhcp\n", "conflict", "line 2 configures br0 already"),
        ("mapping eth0\n script x\niface eth0 inet dhcp\n", "refused", "line 1 maps eth0"),
        ("iface /eth*/ inet dhcp\niface eth0 inet dhcp\n", "refused", "by a pattern"),
    ],
)
def test_what_cannot_go_over_is_refused_with_its_line(text: str, code: str, said: str) -> None:
    with pytest.raises(EdgeError) as caught:
        with_bridge(text, "br0", "eth0", MAC)
    assert caught.value.code == code
    assert said in caught.value.message


def test_torn_marks_are_left_alone() -> None:
    made = with_bridge(ALIAS, "br0", "eth0", MAC)
    for gone in ("begin", "end"):
        torn = "".join(line for line in made.splitlines(keepends=True) if f"br0: {gone}" not in line)
        with (
            pytest.raises(EdgeError, match=r"not in pairs|x{99}")
            if gone == "end" or marked(torn, "br0")
            else pytest.raises(EdgeError)
        ):
            restored(torn, "br0")


def test_a_backslash_at_the_end_takes_nothing_in() -> None:
    made = with_bridge("iface eth0 inet static\n up echo \\", "br0", "eth0", MAC)
    assert of(made, "br0")[0][1][0] == "up echo"
    assert of(made, "eth0") == [(("inet", "manual"), [])]


LINES = st.lists(
    st.one_of(
        st.sampled_from(["iface eth0 inet static", "iface eth1 inet dhcp", "auto eth0", "auto eth1", "  address 192.0.2.1/24", ""]),
        st.sampled_from(
            ["# a comment", "  up echo \\", "\tmtu 1400", "source x", "\r", "allow-hotplug eth0 eth1", "iface eth0 inet6 auto"]
        ),
        st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=12),
    ),
    max_size=14,
)


@given(LINES, LINES, st.booleans())
def test_whatever_else_is_there_stays_as_it_is(before: list[str], after: list[str], ended: bool) -> None:
    text = "\n".join([*before, "iface eth0 inet manual", *after]) + ("\n" if ended else "")
    others = [s for s in stanzas(text) if not s.interface.startswith("eth0")]
    try:
        made = with_bridge(text, "br0", "eth0", MAC)
    except EdgeError:
        return
    assert restored(made, "br0") == text
    assert [s.interface for s in stanzas(made)].count("eth0") == 1
    kept = [s for s in stanzas(made) if not s.interface.startswith(("eth0", "br0")) and s.head.words != ("auto", "br0")]
    assert [(s.head.words, [o.words for o in s.options]) for s in kept] == [
        (s.head.words, [o.words for o in s.options]) for s in others
    ]
