# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VXLAN networks between hosts that are name spaces, with TCP and UDP between VMs that are name spaces, on the real kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from support.netspace import Space, spaces

HOSTS, NETWORKS = 3, ("red", "blue")
SERVER = """
import hashlib, socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
with socket.socket(family, kind) as s:
    s.settimeout(60)
    s.bind((sys.argv[2], 7000))
    if kind == socket.SOCK_STREAM:
        s.listen()
        print("ready", flush=True)
        peer, _ = s.accept()
        data = b"".join(iter(lambda: peer.recv(65536), b""))
    else:
        print("ready", flush=True)
        data = s.recv(65536)
    print(hashlib.sha256(data).hexdigest())
"""
CLIENT = """
import hashlib, os, socket, sys
data = os.urandom(int(sys.argv[3]))
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
with socket.socket(family, kind) as s:
    s.settimeout(60)
    s.connect((sys.argv[2], 7000))
    if kind == socket.SOCK_DGRAM:
        s.setsockopt(socket.IPPROTO_IP, 10, 2)  # don't fragment
    s.sendall(data)
print(hashlib.sha256(data).hexdigest())
"""
ASK = """
import errno, socket, sys
with socket.socket() as s:
    s.settimeout(60)
    print(errno.errorcode[s.connect_ex((sys.argv[1], 7001))])
"""


def sent(sender: Space, receiver: Space, address: str, protocol: str, size: int) -> bool:
    """Return whether what a VM sends arrives as it was sent."""
    server = subprocess.Popen(receiver.argv(sys.executable, "-c", SERVER, protocol, address), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        client = subprocess.run(
            sender.argv(sys.executable, "-c", CLIENT, protocol, address, str(size)), capture_output=True, text=True, check=True
        )
        return server.stdout.read() == client.stdout
    finally:
        server.kill()
        server.wait()


def reaches(sender: Space, address: str) -> bool:
    """Return whether anybody has the address, for a VM: it refuses a connection to a port on which nothing listens."""
    sender.ip("neigh", "flush", "all")
    done = sender.run((sys.executable, "-c", ASK, address))
    return done.stdout.strip() == "ECONNREFUSED"


@dataclass
class Site:
    """Hosts on one switch, with a VM in each network of each host."""

    switch: Space
    hosts: list[Space]
    vms: dict[tuple[str, int], Space]
    folder: Path

    def network(self, number: int) -> Networking:
        own = self.folder / str(number)
        own.mkdir(exist_ok=True)
        (own / "machine-id").write_text(f"{number:032x}\n")
        return Networking(self.hosts[number], Places(own / "networks.json", own / "lock", own / "machine-id"))

    def have(self, number: int, **options: Any) -> bool:
        """Make a network on a host, and plug its VM in."""
        plan, after = reconcile(self.network(number), [Wanted.checked(options)], check=False)
        assert after is not None
        if plan.changed and options["name"] in NETWORKS:
            self.hosts[number].ip("link", "set", f"vm-{options['name']}", "master", after[options["name"]].bridge or "", "up")
        return plan.changed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with spaces(1 + HOSTS + HOSTS * len(NETWORKS)) as found:
        switch, hosts, others = found[0], found[1 : 1 + HOSTS], found[1 + HOSTS :]
        vms = dict(zip([(name, host) for host in range(HOSTS) for name in NETWORKS], others, strict=True))
        switch.ip("link", "add", "switch", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        switch.ip("link", "set", "switch", "up")
        for number, host in enumerate(hosts):
            switch.ip("link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
            switch.ip("link", "set", f"p{number}", "master", "switch", "up")
            host.ip("addr", "add", f"192.0.2.{number + 11}/24", "dev", "eth0")
            host.ip("addr", "add", f"2001:db8::{number + 11}/64", "dev", "eth0", "nodad")
            host.ip("link", "set", "eth0", "up")
            for name in NETWORKS:
                vm = vms[name, number]
                host.ip("link", "add", f"vm-{name}", "type", "veth", "peer", "name", "eth0", "netns", str(vm.pid))
                vm.ip("addr", "add", f"198.51.100.{number + 1}/24", "dev", "eth0")
                vm.ip("link", "set", "lo", "up")  # without it, nobody says that there is no way to an address
        yield Site(switch, hosts, vms, tmp_path)


def options(name: str, flood: str) -> dict[str, Any]:
    base = {"name": name, "type": "vxlan", "underlay": "eth0", "vni": 10 + NETWORKS.index(name)}
    ways: dict[str, dict[str, Any]] = {
        "static": {"members": [f"192.0.2.{number + 11}" for number in range(HOSTS)]},
        "static-ipv6": {"members": [f"2001:db8::{number + 11}" for number in range(HOSTS)]},
        "multicast": {"flood": "multicast", "group": f"239.1.1.{base['vni']}"},
    }
    return {**base, **ways[flood]}


@pytest.mark.parametrize(("flood", "mtu"), [("static", 1450), ("static-ipv6", 1430), ("multicast", 1450)])
def test_tcp_and_udp_pass_in_each_flood_mode_and_networks_are_apart(site: Site, flood: str, mtu: int) -> None:
    for number in range(HOSTS):
        for name in NETWORKS:
            assert site.have(number, **options(name, flood))
            assert not site.have(number, **options(name, flood))
    for vm in site.vms.values():
        vm.ip("link", "set", "eth0", "mtu", str(mtu), "up")
    for host in (1, 2):
        red = site.vms["red", 0], site.vms["red", host], f"198.51.100.{host + 1}"
        assert sent(*red, "tcp", 3_000_000)
        assert sent(*red, "udp", mtu - 28)  # the largest that need not be cut in pieces
    # The same address is in both networks: what is sent in one never arrives in the other.
    site.vms["blue", 1].ip("addr", "flush", "dev", "eth0")
    assert not reaches(site.vms["blue", 0], "198.51.100.2")
    assert reaches(site.vms["red", 0], "198.51.100.2")
    macs = {host.ip("-br", "link", "show", "evb-red").split()[2] for host in site.hosts}
    assert len(macs) == HOSTS


def test_a_member_comes_and_goes(site: Site) -> None:
    everyone = options("red", "static")
    first = {**everyone, "members": everyone["members"][:2]}
    for vm in site.vms.values():
        vm.ip("link", "set", "eth0", "mtu", "1450", "up")
    for number in range(HOSTS):
        site.have(number, **(first if number < 2 else everyone))
    assert sent(site.vms["red", 0], site.vms["red", 1], "198.51.100.2", "tcp", 100_000)
    assert not reaches(site.vms["red", 0], "198.51.100.3")
    for number in range(2):
        site.have(number, **everyone)
    assert sent(site.vms["red", 0], site.vms["red", 2], "198.51.100.3", "tcp", 100_000)
    site.vms["red", 2].ip("link", "set", "eth0", "down")  # what it sends meanwhile would be learned
    for number in range(HOSTS):
        site.have(number, **first)
    assert sent(site.vms["red", 0], site.vms["red", 1], "198.51.100.2", "tcp", 100_000)
    assert "192.0.2.13" not in site.hosts[0].run(("bridge", "fdb", "show", "dev", "evx-red")).stdout
