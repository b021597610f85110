# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""virtual_network_path in hosts that are name spaces, with a router, a switch or nothing between them, on the real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.modules import PREFIX
from support.netspace import Space, spaces
from support.processes import TREE

MODULE = """
import json, sys
from importlib import import_module
from pathlib import Path
from ansible.module_utils.testing import patch_module_args
module = import_module(sys.argv[1])
# Name spaces of one kernel answer at once, and what is there is always read before the next wave.
import_module(module.verify.__module__.replace("verify", "icmp")).WAVE = 0.05
module.PLACES = module.Places(*map(Path, sys.argv[3:]))
with patch_module_args(json.loads(sys.argv[2])):
    module.main()
"""
BLACK_HOLE = """
table inet black {
    chain output {
        type filter hook output priority 0; policy accept;
        icmp type destination-unreachable drop
        icmpv6 type packet-too-big drop
    }
}
"""
OWN = {4: ("192.0.2.11", "192.0.2.1"), 6: ("2001:db8:1::11", "2001:db8:1::1")}
FAR = {4: ("198.51.100.12", "198.51.100.1"), 6: ("2001:db8:2::12", "2001:db8:2::1")}
BITS = {4: 24, 6: 64}
TAKES = {4: 50, 6: 70}


@dataclass
class Pair:
    """A host and what is between it and another one."""

    host: Space
    between: Space
    other: Space
    folder: Path

    def boot(self, *definitions: dict[str, Any]) -> None:
        """Have networks in the file of what is made at boot."""
        (self.folder / "networks.json").write_text(json.dumps({"schema": 1, "networks": definitions}))

    def verify(self, **options: Any) -> dict[str, Any]:
        """Run the module on the host."""
        places = [str(self.folder / name) for name in ("networks.json", "lock", "machine-id")]
        argv = self.host.argv(sys.executable, "-c", MODULE, f"{PREFIX}virtual_network_path", json.dumps(options), *places)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert not found.get("changed")
        return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with spaces(3) as (host, between, other):
        (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        for space, port in ((host, "p1"), (other, "p2")):
            between.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(space.pid))
            between.ip("link", "set", port, "up")
            space.ip("link", "set", "eth0", "up")
        yield Pair(host, between, other, tmp_path)


def address(space: Space, link: str, text: str, version: int) -> None:
    space.ip("addr", "add", f"{text}/{BITS[version]}", "dev", link, *(("nodad",) if version == 6 else ()))


def routed(pair: Pair, mtu: int, *, silent: bool = False) -> None:
    """Have a router between the hosts, with an MTU on the other one's side; ``silent``: it never says what is too big."""
    pair.between.run(("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"))
    for version in (4, 6):
        for space, port, (own, gateway) in ((pair.host, "p1", OWN[version]), (pair.other, "p2", FAR[version])):
            address(pair.between, port, gateway, version)
            address(space, "eth0", own, version)
            space.ip("route", "add", "default", "via", gateway)
    pair.between.ip("link", "set", "p2", "mtu", str(mtu))
    if silent:
        pair.between.run(("nft", "-f", "-"), stdin=BLACK_HOLE)


def switched(pair: Pair, mtu: int = 1500) -> None:
    """Have a switch between the hosts, whose port of the other host has an MTU; switches say nothing of what they drop."""
    pair.between.ip("link", "add", "switch", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
    pair.between.ip("link", "set", "switch", "up")
    for port in ("p1", "p2"):
        pair.between.ip("link", "set", port, "master", "switch")
    pair.between.ip("link", "set", "p2", "mtu", str(mtu))
    for space, own in ((pair.host, "192.0.2.11"), (pair.other, "192.0.2.12")):
        address(space, "eth0", own, 4)


def vxlan(name: str, *members: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "type": "vxlan", "vni": 1, "underlay": "eth0", "members": list(members), **options}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("silent", [False, True])
def test_a_narrow_path_is_told_with_both_hosts_and_both_numbers(pair: Pair, version: int, silent: bool) -> None:
    routed(pair, 1404, silent=silent)
    own, far = OWN[version][0], FAR[version][0]
    pair.boot(vxlan("private", own, far), vxlan("small", own, far, vni=2, mtu=1404 - TAKES[version]))
    found = pair.verify(hosts={far: "host-b"}, host="host-a", timeout=60)
    assert found["failed"]
    assert found["error"]["code"] == "conflict"
    assert found["msg"] == (
        f"mtu: the network private needs packets of 1500 bytes ({1500 - TAKES[version]} and {TAKES[version]} of VXLAN) between"
        f" host-a ({own}) and host-b ({far}), and this path carries only up to 1404. Do one of these: set mtu to"
        f" {1404 - TAKES[version]} or less on all its hosts, or raise the MTU of what is between the two hosts."
    )
    assert found["error"]["paths"] == [
        {
            "networks": ["private", "small"],
            "underlay": "eth0",
            "source": own,
            "member": far,
            "host": "host-b",
            "needed": 1500,
            "carried": 1404,
            "exact": True,
        }
    ]
    assert not pair.verify(names=["small"]).get("failed")


@pytest.mark.parametrize("version", [4, 6])
def test_a_path_that_is_wide_enough(pair: Pair, version: int) -> None:
    routed(pair, 1500)
    alone = vxlan("alone", OWN[version][0], FAR[version][0], vni=2, bare=True)
    pair.boot(vxlan("private", OWN[version][0], FAR[version][0]), alone, {"name": "plain", "type": "bridge"})
    for check in (False, True):
        found = pair.verify(_ansible_check_mode=check)
        assert [(path["carried"], path["networks"]) for path in found["paths"]] == [(1500, ["alone", "private"])]
        assert found["unverified"] == []


def test_a_switch_that_drops_what_is_too_long(pair: Pair) -> None:
    switched(pair, 1450)
    found = pair.verify(networks=[vxlan("private", "192.0.2.11", "192.0.2.12")], timeout=60)
    assert 1450 <= found["error"]["paths"][0]["carried"] <= 1454  # a bridge lets pass what may have a tag
    switched_up = pair.verify(networks=[vxlan("private", "192.0.2.11", "192.0.2.12", mtu=1400)])
    assert [path["needed"] for path in switched_up["paths"]] == [1450]


def test_networks_of_one_path_are_one_error_and_others_are_left_out(pair: Pair) -> None:
    routed(pair, 1400)
    own, far = OWN[6][0], FAR[6][0]
    networks = [
        vxlan("a", own, far),
        vxlan("b", own, far, vni=2, mtu=1400),
        vxlan("c", own, far, vni=3, mtu=1300),
        {"name": "d", "type": "vlan", "vlan_id": 1, "underlay": "eth0"},
        {"name": "e", "state": "absent"},
    ]
    found = pair.verify(networks=networks, hosts={"2001:DB8:2:0::12": "host-b"}, timeout=60)
    assert found["msg"].startswith("mtu: the networks a, b need packets of up to 1500 bytes (1430 and 70 of VXLAN) between ")
    assert f" and host-b ({far}), and this path carries only up to 1400. Do one of these: set mtu to 1330 or less" in found["msg"]
    assert found["error"]["unverified"] == []


def test_the_way_back_counts(pair: Pair) -> None:
    switched(pair)
    pair.other.ip("link", "set", "eth0", "mtu", "1400")
    found = pair.verify(networks=[vxlan("private", "192.0.2.11", "192.0.2.12")], timeout=60)
    assert "192.0.2.12, and this path carries only up to 14" in found["msg"]


def test_a_host_that_is_not_there_is_told_apart_and_holds_up_nobody(pair: Pair) -> None:
    switched(pair)
    gone = [f"192.0.2.{number}" for number in range(100, 120)]
    pair.boot(vxlan("private", "192.0.2.11", "192.0.2.12", *gone))
    start = time.monotonic()
    found = pair.verify(hosts={"192.0.2.100": "host-c"}, host="host-a", timeout=4)
    assert time.monotonic() - start < 4 + 60
    assert found["error"]["code"] == "unreachable"
    first, *others = found["msg"].split("\n")
    assert first.startswith("members: host-c (192.0.2.100) does not answer host-a (192.0.2.11) at any size")
    assert len(others) == len(gone) - 1
    carried = {path["member"]: path["carried"] for path in found["error"]["paths"]}
    assert carried == {"192.0.2.12": 1500, **dict.fromkeys(gone)}


def test_a_host_that_answers_later_is_waited_for(pair: Pair) -> None:
    switched(pair)
    pair.other.ip("link", "set", "eth0", "down")
    code = "import subprocess, time; time.sleep(3); subprocess.run(['ip', 'link', 'set', 'eth0', 'up'], check=True)"
    with subprocess.Popen(pair.other.argv(sys.executable, "-c", code)):
        found = pair.verify(networks=[vxlan("private", "192.0.2.11", "192.0.2.12")], timeout=300)
    assert found["paths"][0]["carried"] == 1500


def test_packets_leave_by_the_underlay(pair: Pair) -> None:
    """As those of the VXLAN do, even if a route would take another way."""
    switched(pair)
    pair.host.ip("link", "add", "eth1", "type", "veth", "peer", "name", "far1")
    pair.host.ip("link", "set", "far1", "up")
    pair.host.ip("link", "set", "eth1", "up")
    pair.host.ip("route", "add", "192.0.2.12/32", "dev", "eth1")
    found = pair.verify(networks=[vxlan("private", "192.0.2.11", "192.0.2.12")])
    assert found["paths"][0]["carried"] == 1500


def test_who_is_known_in_a_multicast_network_is_probed(pair: Pair) -> None:
    switched(pair)
    group = {"name": "all", "type": "vxlan", "vni": 9, "underlay": "eth0", "flood": "multicast", "group": "239.1.2.3"}
    pair.boot(group)
    assert pair.verify()["unverified"] == ["all"]
    pair.host.ip("link", "add", "evx-all", "type", "vxlan", "id", "9", "dev", "eth0", "group", "239.1.2.3", "dstport", "4789")
    pair.host.run(("bridge", "fdb", "add", "02:00:00:00:00:01", "dev", "evx-all", "dst", "192.0.2.12"))
    found = pair.verify()
    assert [path["member"] for path in found["paths"]] == ["192.0.2.12"]
    assert found["unverified"] == []


@pytest.mark.skipif(not Path("/etc/machine-id").exists(), reason="this machine has no identity")
def test_hosts_have_the_names_of_the_inventory(pair: Pair) -> None:
    switched(pair)
    asked = {"networks": [vxlan("private", "192.0.2.11", "192.0.2.13", "192.0.2.14", "192.0.2.15")], "timeout": 1}
    given = {"hosts": {"192.0.2.15": "host-e"}}
    facts = {"all_ipv4_addresses": ["192.0.2.14", "10.0.0.1", 7, None, {}], "all_ipv6_addresses": 7, "cacheable": True}
    tasks = [
        {"ansible.builtin.set_fact": facts, "when": "inventory_hostname == 'host-d'"},
        {"edge.cloud.virtual_network_path": {**asked, **given}, "when": "inventory_hostname == 'host-a'"},
    ]
    hosts = {
        "host-a": {"ansible_host": "localhost"},
        "host-c": {"ansible_host": "192.0.2.13"},
        "host-d": {"ansible_host": "far"},
    }
    inventory, book = pair.folder / "hosts.yml", pair.folder / "book.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}))
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_HOME": str(pair.folder / "home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    argv = pair.host.argv(str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(book))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    for name, number in (("host-c", 13), ("host-d", 14), ("host-e", 15)):
        assert f"members: {name} (192.0.2.{number}) does not answer host-a (192.0.2.11) at any size" in done.stdout, done


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["privat"]}, "names[0]: there is no network privat on this host; there is private, plain."),
        ({"names": ["plain"]}, "names[0]: plain is of type bridge, and only vxlan has paths to probe."),
        ({"hosts": {"host-b": "192.0.2.12"}}, "hosts: 'host-b' is not an IP address; give names by addresses, as"),
        ({"networks": [{"name": "a"}]}, "networks[0]: state is present but all of the following are missing: type"),
        ({"networks": [vxlan("a", "192.0.2.11", underlay="eth9")]}, "networks[0].underlay: there is no link eth9"),
        ({"networks": [vxlan("a", "192.0.2.11", mtu=1451)]}, "networks[0].mtu: 1451 was asked, and eth0 has an MTU of 1500"),
        ({"timeout": 0}, "timeout: 0 is out of range; use 1 to 600 seconds."),
        ({"timeout": 601}, "timeout: 601 is out of range"),
    ],
)
def test_what_cannot_be_probed_is_refused(pair: Pair, options: dict[str, Any], message: str) -> None:
    switched(pair)
    pair.boot(vxlan("private", "192.0.2.11"), {"name": "plain", "type": "bridge"})
    assert pair.verify(**options)["msg"].startswith(message)
