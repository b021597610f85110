# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of systemd-networkd for a bridge over a link, made of the user's file."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.matching import pairs
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.network_text import files, names, trial_without

MAC = "52:54:00:12:34:56"
USER = """\
# by hand
[Match]
MACAddress=52:54:00:12:34:56
[Link]
MTUBytes=1400
RequiredForOnline=routable
[Network]
VLAN=lan7
; the rest
DNS=192.0.2.53 \\
  198.51.100.53
[Address]
Address=192.0.2.10/24
[Address]
Address=192.0.2.11/24
[Route]
Gateway=192.0.2.1
[QDisc]
Parent=root
"""
DROP_IN = "[Network]\nIPv6AcceptRA=no\n"


def test_each_link_gets_its_part() -> None:
    made = files("br0", "eth0", MAC, source="/etc/systemd/network/10-a.network", texts=[USER, DROP_IN])
    netdev, network, port = (pairs(made[name]) for name in names("br0"))
    assert ("NetDev", "MACAddress", MAC) in netdev
    assert network == (
        ("Match", "Name", "br0"),
        ("Link", "MTUBytes", "1400"),
        ("Link", "RequiredForOnline", "routable"),
        ("Network", "DNS", "192.0.2.53    198.51.100.53"),
        ("Address", "Address", "192.0.2.10/24"),
        ("Address", "Address", "192.0.2.11/24"),
        ("Route", "Gateway", "192.0.2.1"),
        ("Network", "IPv6AcceptRA", "no"),
    )
    assert made[names("br0")[1]].count("[Address]") == 2
    assert port == (
        ("Match", "Name", "eth0"),
        ("Link", "RequiredForOnline", "no"),
        ("Network", "Bridge", "br0"),
        ("Link", "MTUBytes", "1400"),
        ("Network", "VLAN", "lan7"),
        ("QDisc", "Parent", "root"),
    )


def test_the_lease_keeps_its_identity() -> None:
    made = files("br0", "eth0", MAC, source="a.network", texts=["[Network]\nDHCP=yes\n"], iaid=4242)[names("br0")[1]]
    assert ("DHCPv4", "IAID", "4242") in pairs(made)
    assert ("DHCPv6", "IAID", "4242") in pairs(made)
    for own in ("[DHCPv4]\nClientIdentifier=mac\n", "[DHCP]\nIAID=7\n"):
        made = files("br0", "eth0", MAC, source="a.network", texts=[f"[Network]\nDHCP=yes\n{own}"], iaid=4242)[names("br0")[1]]
        assert ("DHCPv4", "IAID", "4242") not in pairs(made)


def test_without_its_bridge_the_port_has_what_the_user_said() -> None:
    tried = pairs(trial_without("eth0", [USER, DROP_IN]))
    assert tried[1:] == tuple(found for found in pairs(f"{USER}{DROP_IN}") if found[0] != "Match")


@pytest.mark.parametrize(
    "line", ["[Network]\nBond=bond0", "[RoutingPolicyRule]\nIncomingInterface=eth0", "[Network]\nBindCarrier=eth0 eth1"]
)
def test_what_names_the_card_or_its_master_is_refused(line: str) -> None:
    with pytest.raises(EdgeError) as caught:
        files("br0", "eth0", MAC, source="a.network", texts=[f"[Match]\nName=eth0\n{line}\n"])
    assert caught.value.code == "refused"
    assert line.rpartition("\n")[2] in caught.value.message
