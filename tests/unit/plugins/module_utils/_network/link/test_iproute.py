# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of ip(8), on a real kernel: what it reads, and that a batch stops at the first error."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.steps import SetAddresses, SetField
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._network.link.routes import Address
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.netspace import ip, netspace
from support.runners import ScriptedRunner


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IpRoute]:
    with netspace(tmp_path, monkeypatch):
        for words in (
            "link add br0 type bridge stp_state 1 forward_delay 400",
            "link add eth0 type veth peer name far0",
            "link set eth0 master br0 up",
            "link set br0 up",
            "addr add 192.0.2.1/24 dev br0",
            "addr add 198.51.100.9/32 dev far0",
            "addr add 192.0.2.7/24 dev br0 valid_lft 900 preferred_lft 900",
            "-6 addr add 2001:db8::1/64 dev br0 nodad",
            "route add default via 192.0.2.254 metric 50 dev br0 onlink",
            "route add 203.0.113.0/24 via inet6 2001:db8::9 dev br0 table 77",
            "route add blackhole 203.0.113.128/25",
            "-6 route add 2001:db8:1::/64 via 2001:db8::2 dev br0",
        ):
            ip(*words.split())
        yield IpRoute(SubprocessRunner())


def test_links(adapter: IpRoute) -> None:
    links = adapter.observe().links
    bridge = links["br0"]
    assert (bridge.kind, bridge.stp, bridge.forward_delay, bridge.up, bridge.mtu) == ("bridge", True, 4.0, True, 1500)
    assert [(found.cidr, found.dynamic) for found in bridge.addresses] == [
        ("192.0.2.1/24", False),
        ("192.0.2.7/24", True),
        ("2001:db8::1/64", False),
    ]
    assert (links["eth0"].kind, links["eth0"].master, links["far0"].master, links["far0"].up) == ("veth", "br0", None, False)
    assert adapter.observe().ports("br0") == ("eth0",)


def test_every_route_can_be_put_again_from_its_words(adapter: IpRoute) -> None:
    before = ip("route", "show", "table", "all"), ip("-6", "route")
    routes = [route for route in adapter.observe().routes if route.dev == "br0"]
    assert [(route.dst, route.gateway) for route in routes] == [
        ("203.0.113.0/24", "2001:db8::9"),
        ("default", "192.0.2.254"),
        ("2001:db8:1::/64", "2001:db8::2"),
    ]
    for route in routes:
        ip(*route.on("br0"))
    adapter.apply(SetField("br0", "mtu", 1400))
    assert (ip("route", "show", "table", "all"), ip("-6", "route")) == before
    adapter.apply(SetAddresses("br0", (), (Address("192.0.2.7/24"),), (Address("192.0.2.1/24"),), tuple(routes)))
    after = ip("route", "show", "table", "all")
    assert "default via 192.0.2.254 dev br0 metric 50 onlink" in after
    assert "203.0.113.0/24 via inet6 2001:db8::9 dev br0 table 77" in after


def test_what_the_host_uses(adapter: IpRoute) -> None:
    taken = {(str(item.network), item.by) for item in adapter.taken()}
    assert ("192.0.2.0/24", "address 192.0.2.1 of br0") in taken
    assert ("192.0.2.0/24", "route over br0") in taken
    assert ("198.51.100.9/32", "address 198.51.100.9 of far0") in taken
    assert ("203.0.113.128/25", "blackhole route") in taken
    assert ("203.0.113.0/24", "route over br0 in table 77") in taken
    without = [item for item in adapter.taken(without="br0") if item.network == ip_network("192.0.2.0/24")]
    assert without == []


def test_a_batch_stops_at_the_first_error_and_says_where(adapter: IpRoute) -> None:
    with pytest.raises(CommandFailed) as caught:
        adapter.apply(SetAddresses("br0", (Address("192.0.2.20/24"),), (Address("192.0.2.99/24"), Address("192.0.2.1/24"))))
    assert "Command failed -:2" in caught.value.stderr
    shown = ip("addr", "show", "br0")
    assert "192.0.2.20/24" in shown
    assert "192.0.2.1/24" in shown


def test_a_kernel_without_ipv6() -> None:
    """The answers are those of Debian's kernel, booted with ipv6.disable=1."""
    link = '[{"ifname": "eth0", "addr_info": []}]'
    runner = ScriptedRunner()
    runner.expect("ip", "-json", "-details", "token", "show", stdout="[]\n")
    runner.expect("ip", "-json", "-details", "addr", "show", stdout=link)
    for version, rc, text in (("-4", 0, "[]"), ("-6", 255, "[")):
        runner.expect("ip", "-details", version, "route", "show", "table", "all")
        runner.expect("ip", "-json", "-details", version, "rule", "show", rc=rc, stdout=text, stderr="Dump terminated")
    host = IpRoute(runner).observe()
    assert (list(host.links), host.rules) == (["eth0"], ())
    runner.done()
