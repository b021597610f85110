# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bridge over ports as real hosts have them: what they carry moves whole and comes back whole, or nothing changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.modules import run_module
from support.netspace import cable, carrier, ip, netspace

PLAIN = ("addr add 192.0.2.5/24 brd + dev eth0", "addr add 192.0.2.6/24 brd + dev eth0", "route add default via 192.0.2.1")
LAYOUTS: dict[str, tuple[str, ...]] = {
    "plain": PLAIN,
    "point to point": ("addr add 10.8.0.2 peer 10.8.0.1/32 dev eth0", "route add default via 10.8.0.1"),
    "a peer with a subnet": ("addr add 10.8.0.2 peer 10.9.0.1/24 dev eth0", "route add 198.51.100.0/24 via 10.9.0.7"),
    "no prefix route": (
        "addr add 192.0.2.5/24 dev eth0 noprefixroute label eth0:1 brd 192.0.2.255",
        "route add 192.0.2.0/24 dev eth0 metric 100",
        "route add default via 192.0.2.1 mtu 1400 advmss 1360 metric 100",
    ),
    "address attributes": (
        "addr add 192.0.2.5/24 dev eth0 metric 50",
        "addr add 169.254.7.7/16 dev eth0 scope link",
        "addr add 192.0.2.8/32 dev eth0 preferred_lft 0",
        "addr add 198.51.100.5/24 brd 198.51.100.255 dev eth0 label eth0:web",
    ),
    "metrics": (
        *PLAIN,
        "route add 198.51.100.0/24 via 192.0.2.1 mtu lock 1400 advmss 1360 window 5000 rtt 10ms rttvar 5ms hoplimit 5"
        " initcwnd 12 initrwnd 13 quickack 1 reordering 5 ssthresh 9 cwnd lock 8 rto_min 300ms features ecn",
        "route add 198.51.100.0/24 via 192.0.2.1 src 192.0.2.6 metric 7 proto static",
    ),
    "realms, tos, onlink, tables": (
        *PLAIN,
        "route add 198.51.100.0/24 via 192.0.2.1 realms 3/5 tos 0x10",
        "route add 198.51.100.0/24 via 192.0.2.1 realms 7",
        "route add 198.51.101.0/24 via 203.0.113.1 dev eth0 onlink table 100",
        "route add default via 192.0.2.1 table 100 proto dhcp metric 5",
        "route add 198.51.102.0/24 dev eth0 scope link proto 99",
        "rule add from 192.0.2.5 table 100",
    ),
    "routes without a link": (*PLAIN, "route add blackhole 198.51.100.0/24", "route add unreachable 198.51.101.0/24 metric 9"),
    "IPv6": (
        "-6 addr add 2001:db8::5/64 dev eth0 nodad",
        "-6 addr add 2001:db8::6/64 dev eth0 nodad home",
        "-6 addr add 2001:db8:1::7 peer 2001:db8:1::8/128 dev eth0 nodad",
        "-6 route add default via fe80::1 dev eth0 metric 3 pref high mtu 1300",
        "-6 route add 2001:db8:9::/64 via 2001:db8::1 table 100",
        "-6 route add 2001:db8:a::/64 from 2001:db8::/64 dev eth0",
        "route add 198.51.105.0/24 via inet6 fe80::1 dev eth0",
    ),
    "IPv6 by router advertisements": (
        "-6 addr add 2001:db8::5/64 dev eth0 nodad mngtmpaddr valid_lft 95500 preferred_lft 45500",
        "-6 addr add 2001:db8::7/64 dev eth0 nodad valid_lft 95500 preferred_lft 45500",
        "-6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 95500",
    ),
}
REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "several next hops": (
        ("addr add 203.0.113.5/24 dev eth1", "route add 198.51.100.0/24 nexthop via 192.0.2.1 nexthop via 203.0.113.1"),
        "the route to 198.51.100.0/24 in table main has several next hops (eth0 and eth1)",
    ),
    "several next hops of IPv6": (
        ("-6 route add 2001:db8:b::/64 nexthop via fe80::1 dev eth0 nexthop via fe80::2 dev eth0",),
        "the route to 2001:db8:b::/64 in table main has several next hops (eth0)",
    ),
    "a next hop object": (("nexthop add id 9 via 192.0.2.1 dev eth0", "route add 198.51.100.0/24 nhid 9"), "has nhid"),
    "an encapsulation": (("route add 198.51.100.0/24 encap ip id 5 dst 192.0.2.9 via 192.0.2.1 dev eth0",), "has encap"),
    "a multicast route": (("route add multicast 239.1.1.1 dev eth0",), "is of type multicast"),
    "a rule by its link": (("rule add iif eth0 table 100 pref 99",), "the rule 99 of IPv4 (iif eth0)"),
    "a rule of IPv6 by its link": (("-6 rule add oif eth0 table 100 pref 98",), "the rule 98 of IPv6 (oif eth0)"),
    "a token": (("token set ::5 dev eth0",), "the IPv6 token ::5"),
    "a macvlan upon it": (("link add mv0 link eth0 type macvlan mode bridge",), "the macvlan mv0 upon it"),
    "a lease of DHCP": (("addr add 192.0.2.99/24 dev eth0 valid_lft 900 preferred_lft 900",), "the leased address 192.0.2.99/24"),
    "a lease of DHCPv6": (
        ("-6 addr add 2001:db8::99/128 dev eth0 valid_lft 900 preferred_lft 900",),
        "the leased address 2001:db8::99/128",
    ),
}


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    boot = tmp_path / "network"
    boot.mkdir()
    with netspace(tmp_path, monkeypatch):
        for number in (0, 1):
            cable(f"eth{number}", f"far{number}")
        yield partial(run_module, capsys, "bridge", name="br0", boot_directory=str(boot))


def layout(*commands: str) -> None:
    for command in commands:
        ip(*command.split())


def masters() -> dict[str, str | None]:
    return {link["ifname"]: link.get("master") for link in json.loads(ip("-json", "link"))}


def carried(dev: str) -> list[str]:
    """All that ``dev`` carries, once it has a carrier, except what the kernel gives each link, with ages cut."""
    carrier(dev)
    text = ip("-o", "-4", "addr", "show", "dev", dev) + ip("-o", "-6", "addr", "show", "dev", dev, "scope", "global")
    routes = [f"4 {line}" for line in ip("-d", "-4", "route", "show", "table", "all").splitlines()]
    routes += [f"6 {line}" for line in ip("-d", "-6", "route", "show", "table", "all").splitlines()]
    text += "\n".join(
        sorted(line for line in routes if " ff00::/8 " not in line and " fe80::" not in line.replace("via fe80::", ""))
    )
    text = re.sub(r"(valid_lft|preferred_lft|expires) (\d+)\d\d\d+sec", r"\1 \2", text)
    return [
        line.partition(": ")[2] or line for line in re.sub(r" (linkdown|tentative)", "", text).replace(dev, "LINK").splitlines()
    ]


@pytest.mark.parametrize("commands", LAYOUTS.values(), ids=LAYOUTS)
def test_what_a_port_carries_moves_whole_and_comes_back_whole(bridge: Any, commands: tuple[str, ...]) -> None:
    layout(*commands)
    before, rules = carried("eth0"), ip("rule")
    assert bridge(ports=["eth0"])["error"]["code"] == "refused"
    assert carried("eth0") == before
    assert bridge(ports=["eth0"], allow_disruption=True)["changed"]
    assert carried("br0") == before
    assert ip("-br", "addr", "show", "dev", "eth0", "scope", "global").split()[2:] == []
    assert bridge(ports=["eth0"], allow_disruption=True)["actions"] == []
    assert bridge(state="absent", allow_disruption=True)["changed"]
    assert carried("eth0") == before
    assert ip("rule") == rules
    assert "br0" not in ip("-br", "link")


@pytest.mark.parametrize(("commands", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_move_whole_is_refused_and_nothing_changes(bridge: Any, commands: tuple[str, ...], reason: str) -> None:
    layout(*PLAIN)
    try:
        layout(*commands)
    except AssertionError as error:
        pytest.skip(f"this kernel cannot make it: {error}")
    before, links = carried("eth0"), masters()
    failed = bridge(ports=["eth1", "eth0"], allow_disruption=True)
    assert failed["error"]["code"] == "refused"
    assert failed["error"]["option"] == "ports"
    assert reason in failed["msg"]
    assert (carried("eth0"), masters()) == (before, links)


def test_what_came_to_the_bridge_later_and_cannot_move_keeps_it(bridge: Any) -> None:
    layout(*PLAIN)
    bridge(ports=["eth0"], allow_disruption=True)
    layout("route add 198.51.100.0/24 nexthop via 192.0.2.1 nexthop via 192.0.2.2")
    before = carried("br0")
    for options in ({"state": "absent"}, {"addresses": ["192.0.2.6/24"]}):
        failed = bridge(allow_disruption=True, **options)
        assert failed["error"]["code"] == "refused"
        assert "several next hops" in failed["msg"]
    assert bridge(boot="networkd")["error"] == {"code": "unsupported", "option": "boot"}
    assert carried("br0") == before


def test_without_the_word_the_port_gets_back_what_is_not_the_hosts_uplink(bridge: Any) -> None:
    layout(*LAYOUTS["a peer with a subnet"])
    before = carried("eth0")
    bridge(ports=["eth0"], allow_disruption=True)
    assert bridge(state="absent")["actions"] == ["Remove the bridge br0 and move 10.8.0.2/32, route 198.51.100.0/24 to eth0"]
    assert carried("eth0") == before


def test_a_move_that_the_kernel_refuses_is_undone(bridge: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layout(*PLAIN, "route add 198.51.100.0/24 via 192.0.2.1 metric 9")
    before = carried("eth0")
    real = (tmp_path / "ip").read_text()
    # As if the kernel refused the last route: ip gets a line in its place that nobody understands.
    broken = real.replace("exec ", 'if [ "$1" = -batch ]; then sed "s/^route replace 198.*/nonsense/" | ', 1)
    (tmp_path / "ip").write_text(f"{broken.rstrip()}; else {real.split(chr(10), 1)[1].rstrip()}; fi\n")
    failed = bridge(ports=["eth0"], allow_disruption=True)
    assert failed["error"]["code"] == "command_failed"
    (tmp_path / "ip").write_text(real)
    assert carried("eth0") == before
    assert "master" not in ip("link", "show", "dev", "eth0")
    assert ip("-4", "-br", "addr", "show", "dev", "br0").split()[2:] == []
    assert bridge(ports=["eth0"], allow_disruption=True)["changed"]
    assert carried("br0") == before


def test_boot_files_have_what_addresses_and_routes_have(bridge: Any) -> None:
    layout(
        "addr add 192.0.2.5/24 dev eth0 noprefixroute label eth0:1 brd 192.0.2.255",
        "addr add 10.8.0.2 peer 10.8.0.1/32 dev eth0",
        "route add 192.0.2.0/24 dev eth0 metric 100",
        "route add default via 192.0.2.1 mtu 1400 advmss 1360 initcwnd 12 quickack 1 metric 100",
        "route add 198.51.101.0/24 via 203.0.113.1 dev eth0 onlink table 100",
        "-6 route add 2001:db8:9::/64 via fe80::1 dev eth0 pref high",
    )
    made = bridge(ports=["eth0"], allow_disruption=True, boot="networkd")
    sections = made["bridge"]["boot_files"]["50-edge-br0.network"].split("\n\n")
    assert "[Address]\nAddress=192.0.2.5/24\nLabel=br0:1\nBroadcast=192.0.2.255\nAddPrefixRoute=no" in sections
    assert "[Address]\nAddress=10.8.0.2/32\nPeer=10.8.0.1/32" in sections
    assert "[Route]\nDestination=192.0.2.0/24\nScope=link\nMetric=100" in sections
    default = "Metric=100\nMTUBytes=1400\nTCPAdvertisedMaximumSegmentSize=1360\nInitialCongestionWindow=12\nQuickAck=yes"
    assert f"[Route]\nGateway=192.0.2.1\n{default}" in sections
    assert "[Route]\nGateway=203.0.113.1\nDestination=198.51.101.0/24\nTable=100\nGatewayOnLink=yes" in sections
    assert any(
        "Gateway=fe80::1\nDestination=2001:db8:9::/64" in section and "IPv6Preference=high" in section for section in sections
    )
    assert bridge(ports=["eth0"], allow_disruption=True, boot="networkd")["actions"] == []


@pytest.mark.parametrize("words", ["window 5000", "mtu lock 1400", "realms 5", "hoplimit 7"])
def test_what_boot_files_cannot_have_is_refused_before_any_change(bridge: Any, words: str) -> None:
    layout(*PLAIN)
    layout(f"route add 198.51.100.0/24 via 192.0.2.1 {words}")
    before = carried("eth0")
    failed = bridge(ports=["eth0"], allow_disruption=True, boot="networkd")
    assert failed["error"] == {"code": "unsupported", "option": "boot"}
    assert words.split(maxsplit=1)[0] in failed["msg"]
    assert carried("eth0") == before
