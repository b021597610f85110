# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM on a VXLAN between two lab hosts moves while it talks: its TCP connection and its DHCP lease outlive that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from edge_lab.api import unusable
from support import stream_guest
from support.migration_hosts import Pair, pair
from support.playbook import TREE
from support.stream_host import StreamHost

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
VM, ADDRESS, PEER, SERVICE = "talker", "198.51.100.10", "198.51.100.50", "198.51.100.2"
MAC = "52:54:00:00:00:10"
ECHO = f"""
import socket
with socket.create_server(("{PEER}", 9000)) as server:
    while True:
        connection, _address = server.accept()
        print("CONNECTED", flush=True)
        for line in connection.makefile():
            print("GOT", line.strip(), flush=True)
            connection.sendall(line.encode())
"""


def network(hosts: Pair, name: str, vni: int) -> dict[str, Any]:
    underlays = [
        host.run("ip", "-4", "-o", "addr", "show", "dev", "host0").split()[3].split("/")[0] for host in (hosts.one, hosts.two)
    ]
    return {"name": name, "type": "vxlan", "vni": vni, "underlay": "host0", "members": underlays}


def plugged(host: StreamHost, space: str, bridge: str, address: str) -> None:
    """Have a name space with an address on a bridge of a host, like a VM."""
    host.run("ip", "netns", "add", space)
    host.run("ip", "link", "add", f"p{space}", "type", "veth", "peer", "name", "eth0", "netns", space)
    host.run("ip", "link", "set", f"p{space}", "mtu", "1400", "master", bridge, "up")
    host.run("ip", "-n", space, "addr", "add", address, "dev", "eth0")
    host.run("ip", "-n", space, "link", "set", "eth0", "mtu", "1400", "up")


def reaches(host: StreamHost, space: str, address: str) -> bool:
    text = host.run("ip", "netns", "exec", space, "ping", "-c", "2", "-W", "3", address, ok=False)
    return re.search(r"[12] (packets )?received", text) is not None


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if reason := unusable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    with pair(f"vxmig-{request.param[:4]}", request.param, folder) as found:
        for host in (found.one, found.two):
            host.host.put(TREE / "roles/hypervisor/files/edge-dhcp@.service", "/etc/systemd/system/edge-dhcp@.service")
            host.run("systemctl", "daemon-reload")
            host.run("install", "-d", "-m", "755", "/etc/edge", "/etc/edge/dhcp")  # as the roles host and hypervisor do
        yield found


def have_networks(hosts: Pair, host: StreamHost) -> None:
    """Make the VM's network and another one, with DHCP in the first."""
    host.module("virtual_networks", networks=[network(hosts, "blue", 100), network(hosts, "red", 101)])
    lease = {"name": VM, "mac": MAC, "addresses": [ADDRESS]}
    subnets = [{"subnet": "198.51.100.0/24", "address": SERVICE}]
    host.module("virtual_network_dhcp", name="blue", bridge="evb-blue", subnets=subnets, hosts=[lease], lease_seconds=120)


def echoed(host: StreamHost) -> int:
    found = re.findall(r"^ECHO (\d+)\r?$", host.console(VM), re.MULTILINE)
    return int(found[-1]) if found else -1


def bridge_of(host: StreamHost, tap: str) -> str:
    (link,) = json.loads(host.run("ip", "-j", "link", "show", "dev", tap))
    return str(link["master"])


def talking(hosts: Pair) -> str:
    """Have the VM talk to a peer on the first host, with a lease of its own; return its UUID."""
    plugged(hosts.one, "peer", "evb-blue", f"{PEER}/24")
    hosts.one.run("sh", "-c", f"nohup ip netns exec peer python3 -u -c '{ECHO}' > /root/peer.log 2>&1 &")
    nics = [
        {"virtual_network": "blue", "mac": MAC, "addresses": [f"{ADDRESS}/24"]},
        {"virtual_network": "red", "link": False},
    ]
    made = hosts.guest(VM, nics=nics, cmdline=f"{stream_guest.cmdline('vda')} edge.talk={PEER}")
    stream_guest.wait_for(lambda: echoed(hosts.one), lambda found: found >= 3, "an answer over TCP")
    hosts.one.wait_text(VM, f"DHCP renew {ADDRESS}")
    return str(made["domain"]["uuid"])


def goes_on_talking(hosts: Pair, before: int) -> None:
    """Assert that the connection is the same one, and that the lease is renewed by the service of the second host."""
    one, two = hosts.one, hosts.two
    stream_guest.wait_for(lambda: echoed(two), lambda found: found >= before + 5, "answers over the same connection")
    told = one.run("cat", "/root/peer.log").split()
    numbers = [int(word) for word in told if word.isdigit()]
    assert told.count("CONNECTED") == 1 and numbers == list(range(len(numbers)))
    two.wait_text(VM, f"DHCP renew {ADDRESS}")
    stream_guest.wait_for(
        lambda: two.run("journalctl", "-u", "edge-dhcp@blue", "--output=cat", "--no-pager"),
        lambda text: f"DHCPACK(eth0) {ADDRESS} {MAC}" in text,
        "a renewal by the service of this host",
    )


def test_a_tcp_connection_and_a_lease_outlive_a_migration(hosts: Pair) -> None:
    two = hosts.two
    have_networks(hosts, hosts.one)
    uuid = talking(hosts)

    assert "has no virtual network blue" in hosts.migrate(VM, ok=False)["msg"]
    have_networks(hosts, two)
    two.run("ip", "link", "delete", "evb-red")
    assert f"{two.host.name} has no bridge evb-red" in hosts.migrate(VM, ok=False)["msg"]
    have_networks(hosts, two)

    before = echoed(hosts.one)
    assert hosts.migrate(VM)["changed"]
    hosts.only_on(two, VM)
    goes_on_talking(hosts, before)

    blue, red = (tap_link(uuid, name) for name in ("nic0", "nic1"))
    assert (bridge_of(two, blue), bridge_of(two, red)) == ("evb-blue", "evb-red")
    assert two.run("virsh", "domif-getlink", VM, red).split()[-1] == "down"
    plugged(two, "near", "evb-blue", "198.51.100.51/24")
    plugged(two, "apart", "evb-red", "198.51.100.52/24")
    assert reaches(two, "near", ADDRESS) and not reaches(two, "apart", ADDRESS)
    (seen,) = two.module("domain_info", name=VM)["domains"]
    assert (seen["address"], seen["addresses"][0]["leased"]) == (ADDRESS, True)
    assert two.verify(VM) > 0
