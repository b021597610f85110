# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual networks by EVPN with the FRR of each release, on lab hosts: what counts is the kernel's table, and payload."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from edge_lab.api import Lab, LabHost, unusable
from support.playbook import PlaybookFailed, changed_in, run_book

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
RELEASES = ("trixie", "trixie", "bookworm")
NETWORKS = {"red": 100, "blue": 200}
ZERO = "00:00:00:00:00:00"
SECONDS = 120.0  # for what takes two or three
PAYLOAD = """
import hashlib, socket, sys
side, kind, address, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
    s.settimeout(60)
    data = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(size // 32 + 1))[:size]
    if side == "send":
        s.connect((address, 7000))
        s.sendall(data)
        raise SystemExit
    s.bind((address, 7000))
    if kind == "tcp":
        s.listen()
    print("ready", flush=True)
    found = b"".join(iter(lambda p=s.accept()[0]: p.recv(65536), b"")) if kind == "tcp" else s.recv(65536)
    print(hashlib.sha256(found).hexdigest())
"""

PROBE = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as s:
    s.bind(("eth0", 0))
    own, asked = s.getsockname()[4], socket.inet_aton(sys.argv[1])
    probe = b"\\xff" * 6 + own + bytes.fromhex("08060001080006040001") + own + bytes(4) + bytes(6) + asked
    s.settimeout(60)
    s.send(probe)
    while (answer := s.recv(2048))[20:22] != b"\\x00\\x02" or answer[28:32] != asked:
        pass
    print(":".join(f"{byte:02x}" for byte in answer[22:28]))
"""


@dataclass
class Site:
    """The hosts, and what runs the role and makes networks on them. VM ``n`` of a network has 198.51.100.n on the host n."""

    lab: Lab
    hosts: list[LabHost]
    folder: Path

    def play(self, members: list[LabHost], *words: str, networks: bool = True, **options: Any) -> dict[str, int]:
        """Run the role on hosts that are all of the group, and make the networks; return the number of changes on each."""
        groups = self.folder / "groups.yml"
        names: dict[str, Any] = {host.name: {} for host in members}
        groups.write_text(yaml.safe_dump({"hypervisor": {"hosts": names, "vars": options}}))
        asked = [
            {"name": name, "type": "vxlan", "vni": vni, "underlay": "host0", "flood": "evpn"} for name, vni in NETWORKS.items()
        ]
        tasks = [{"edge.cloud.virtual_networks": {"networks": asked}}] if networks else []
        book = self.folder / "book.yml"
        book.write_text(
            yaml.safe_dump([{"hosts": "hypervisor", "gather_facts": False, "roles": ["edge.cloud.evpn"], "tasks": tasks}])
        )
        return changed_in(run_book(book, self.lab.inventory, groups, words=words))

    def plug(self, number: int) -> None:
        """Have a VM, which is a name space, in each network of a host."""
        host = self.hosts[number - 1]
        for name in NETWORKS:
            host.run(["ip", "netns", "add", name])
            host.run(["ip", "link", "add", f"vm-{name}", "mtu", "1450", "type", "veth", "peer", "name", "eth0", "netns", name])
            host.run(["ip", "link", "set", f"vm-{name}", "master", f"evb-{name}", "up"])
            host.run(["ip", "-n", name, "link", "set", "eth0", "mtu", "1450", "up"])
            host.run(["ip", "-n", name, "link", "set", "lo", "up"])
            host.run(["ip", "-n", name, "addr", "add", f"198.51.100.{number}/24", "dev", "eth0"])

    def inside(self, number: int, network: str, *argv: str) -> list[str]:
        return self.hosts[number - 1].ssh_command(["ip", "netns", "exec", network, *argv])

    def sent(self, sender: int, receiver: int, network: str, kind: str, size: int) -> bool:
        """Return whether what a VM sends arrives whole."""
        words = ("python3", "-c", PAYLOAD)
        where = (kind, f"198.51.100.{receiver}", str(size))
        argv = self.inside(receiver, network, *words, "receive", *where)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            subprocess.run(self.inside(sender, network, *words, "send", *where), check=True)
            found = server.stdout.read().strip()
        data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(size // 32 + 1))[:size]
        return found == hashlib.sha256(data).hexdigest()

    def reaches(self, sender: int, receiver: int, network: str) -> bool:
        argv = self.inside(sender, network, "ping", "-c", "3", "-W", "2", f"198.51.100.{receiver}")
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def table(self, host: LabHost, network: str) -> list[dict[str, Any]]:
        """Return the kernel's forwarding table of the VXLAN link of a network."""
        found: list[dict[str, Any]] = json.loads(host.run(["bridge", "-j", "fdb", "show", "dev", f"evx-{network}"]).stdout)
        return found

    def flooded(self, host: LabHost, network: str) -> set[str]:
        return {entry["dst"] for entry in self.table(host, network) if entry["mac"] == ZERO}

    def mac(self, number: int, network: str) -> str:
        shown = json.loads(self.hosts[number - 1].run(["ip", "-n", network, "-j", "link", "show", "eth0"]).stdout)
        return str(shown[0]["address"])

    def wait_flooded(self, *members: LabHost) -> None:
        """Wait until each of the hosts floods to all others of them, in each network, and to no more."""
        for host in members:
            for network in NETWORKS:
                wanted = {other.address for other in members if other != host}
                until(partial(self.flooded, host, network), wanted.__eq__)


def until(read: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """Wait until what is read is good, and return it."""
    deadline = time.monotonic() + SECONDS
    while not good(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := unusable():
        pytest.skip(reason)
    lab, names = Lab(), [f"evpn-{number}" for number in range(1, len(RELEASES) + 1)]
    lab.down(*names)
    try:
        hosts = [host for name, release in zip(names, RELEASES, strict=True) for host in lab.up(names=[name], release=release)]
        yield Site(lab, hosts, tmp_path_factory.mktemp("evpn"))
    finally:
        lab.down(*names)


def test_a_configuration_of_others_is_left_alone(site: Site) -> None:
    host = site.hosts[0]
    host.run(["mkdir", "-p", "/etc/frr"])
    host.run(["tee", "/etc/frr/frr.conf"], stdin="router bgp 65001\n neighbor 192.0.2.1 password c4n4ry\n")
    with pytest.raises(PlaybookFailed, match=r"frr\.conf has router bgp, neighbor 192\.0\.2\.1") as caught:
        site.play(site.hosts, "--limit", host.name)
    assert "c4n4ry" not in str(caught.value)
    assert host.run(["test", "-e", "/usr/lib/frr/bgpd"], check=False).returncode != 0
    host.run(["rm", "-r", "/etc/frr"])


def test_hosts_tell_each_other_and_networks_are_apart(site: Site) -> None:
    """Also between the releases."""
    secret = {"evpn_password": "s3cr-et!x#y"}
    assert set(site.play(site.hosts[:2], "--check", networks=False, **secret).values()) == {1}
    assert site.play(site.hosts, **secret).keys() == {host.name for host in site.hosts}
    assert set(site.play(site.hosts, **secret).values()) == {0}
    for number in range(1, len(RELEASES) + 1):
        site.plug(number)
    site.wait_flooded(*site.hosts)
    for sender, receiver in ((1, 2), (2, 3), (3, 1)):
        assert site.sent(sender, receiver, "red", "tcp", 3_000_000)
        assert site.sent(sender, receiver, "red", "udp", 1422)  # the largest that need not be cut in pieces
    behind = {entry["mac"]: entry for entry in until(lambda: site.table(site.hosts[0], "red"), lambda rows: len(rows) >= 7)}
    there = behind[site.mac(3, "red")]
    assert "extern_learn" in there["flags"]
    assert {
        entry["dst"] for entry in site.table(site.hosts[0], "red") if entry["mac"] == site.mac(3, "red") and "dst" in entry
    } == {site.hosts[2].address}
    site.hosts[1].run(["ip", "-n", "blue", "addr", "flush", "dev", "eth0"])
    assert site.reaches(1, 2, "red") and not site.reaches(1, 2, "blue"), "the address is in both networks"
    site.hosts[1].run(["ip", "-n", "blue", "addr", "add", "198.51.100.2/24", "dev", "eth0"])
    for host in site.hosts:
        listening = host.run(["ss", "-lntuH"]).stdout
        assert [line.split()[4] for line in listening.splitlines() if line.split()[4].endswith(":179")] == [f"{host.address}:179"]
        assert not [line for line in listening.splitlines() if ":26" in line], "no terminal of FRR's daemons"


def test_vms_find_out_that_an_address_is_taken_on_another_host(site: Site) -> None:
    """ARP of that kind is what a bridge with neigh_suppress would drop."""
    argv = site.inside(1, "red", "python3", "-c", PROBE, "198.51.100.3")
    found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    assert found == site.mac(3, "red")


def test_a_member_goes_and_comes_without_a_restart(site: Site) -> None:
    secret = {"evpn_password": "s3cr-et!x#y"}
    started = [started_at(host) for host in site.hosts]
    forwards = [host.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout for host in site.hosts]
    two = site.hosts[:2]
    assert set(site.play(two, **secret).values()) == {1}
    site.wait_flooded(*two)
    assert site.sent(1, 2, "red", "tcp", 100_000)
    assert not site.reaches(1, 3, "red")
    assert site.play(site.hosts, **secret)[site.hosts[2].name] == 0
    site.wait_flooded(*site.hosts)
    assert site.sent(1, 3, "red", "tcp", 100_000)
    assert [started_at(host) for host in site.hosts] == started
    assert [host.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout for host in site.hosts] == forwards


def started_at(host: LabHost) -> str:
    return host.run(["sh", "-c", "cut -d' ' -f22 /proc/$(cat /run/frr/bgpd.pid)/stat"]).stdout


@pytest.mark.parametrize("number", [1, 3])
def test_a_restart_of_frr_brings_all_back(site: Site, number: int) -> None:
    host, other = site.hosts[number - 1], site.hosts[1]
    before = started_at(host)
    host.run(["systemctl", "restart", "frr.service"])
    site.wait_flooded(*site.hosts)
    assert started_at(host) != before
    until(lambda: site.table(other, "red"), lambda rows: site.mac(number, "red") in {row["mac"] for row in rows if "dst" in row})
    assert site.sent(number, 2, "red", "tcp", 100_000) and site.sent(2, number, "red", "udp", 1422)


def test_a_host_that_boots_is_back(site: Site) -> None:
    """FRR starts before the host has its address."""
    host = site.hosts[2]
    host.kill()
    for other in site.hosts[:2]:
        until(partial(site.flooded, other, "red"), lambda found: host.address not in found)
    host.start()
    site.play(site.hosts, evpn_password="s3cr-et!x#y")
    site.plug(3)
    site.wait_flooded(*site.hosts)
    assert site.sent(3, 1, "red", "tcp", 100_000)


def test_a_route_reflector_and_the_way_back(site: Site) -> None:
    other = {"evpn_route_reflectors": [site.hosts[2].name]}
    site.play(site.hosts, **other)
    site.wait_flooded(*site.hosts)
    assert site.sent(1, 2, "red", "tcp", 100_000)
    sessions = json.loads(site.hosts[0].run(["vtysh", "-c", "show bgp l2vpn evpn summary json"]).stdout)["peers"]
    assert set(sessions) == {site.hosts[2].address}
    gone = site.hosts[1]
    site.play(site.hosts, "--limit", gone.name, networks=False, evpn_state="absent", **other)
    assert set(site.play(site.hosts, "--limit", gone.name, networks=False, evpn_state="absent", **other).values()) == {0}
    assert gone.run(["test", "-e", "/usr/lib/frr/bgpd"], check=False).returncode != 0
    assert (
        "edge.cloud" not in gone.run(["sh", "-c", "cat /etc/frr/* /etc/systemd/system/frr.service.d/* 2>/dev/null || true"]).stdout
    )
    until(lambda: site.flooded(gone, "red"), lambda found: not found)
    site.wait_flooded(site.hosts[0], site.hosts[2])
    assert gone.run(["readlink", "/sys/class/net/evx-red/master"]).stdout.strip().endswith("/evb-red"), "its links stay"
