# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as name spaces, made without root: real links, nftables and dnsmasq, which is started as the unit of the role says."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.host import Services
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import Places
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner

UNIT = Path(__file__).resolve().parents[3] / "roles/hypervisor/files/edge-dhcp@.service"
CLIENT = Path(__file__).with_name("dhcp_client.py")
USER = ("unshare", "--user", "--map-root-user", "--net", "--mount")
OWN = ("unshare", "--net", "--mount")
START = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/netns && ip link set lo up && echo ready && exec sleep infinity"


class DhcpHost(SubprocessRunner):
    """A host; as a runner it runs commands there, and ``systemctl`` is what the unit of the role would do."""

    def __init__(self, name: str, folder: Path, within: Sequence[str] = ()) -> None:
        super().__init__()
        self.name, self.folder = name, folder
        command = [*within, *(OWN if within else USER), "sh", "-c", START]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        self.inside = ("nsenter", "--target", str(self.holder.pid), "--user", "--net", "--mount", "--preserve-credentials")
        self.places = Places(folder / "etc", folder / "run", folder / "lock")
        self.services = Services(self, self.places)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        if argv[0] == "systemctl":
            return self._systemctl(*argv[1:])
        return super().run([*self.inside, *argv], stdin=stdin, check=check, timeout=timeout)

    def do(self, *argv: str) -> str:
        return self.run(argv).stdout

    def log(self, network: str) -> str:
        return (self.folder / f"{network}.log").read_text()

    def _systemctl(self, verb: str, *words: str) -> Completed:
        network = words[-1].removeprefix("edge-dhcp@").removesuffix(".service")
        if verb == "show":
            process = self.processes.get(network)
            return Completed(0, "active\n" if process and process.poll() is None else "inactive\n", "")
        if verb in ("stop", "restart"):
            self.stop(network)
        if verb in ("start", "restart"):
            self.start(network)
        if verb == "reload":
            copy, signalled = self._lines("ExecReload", network)
            subprocess.run(copy, check=True)
            assert signalled == ["/bin/kill", "-HUP", "$MAINPID"]
            self.processes[network].send_signal(signal.SIGHUP)
        return Completed(0, "", "")

    def _lines(self, key: str, network: str) -> list[list[str]]:
        found = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=")]
        own = {"/etc/edge/dhcp/%i": str(self.places.files / network), "/run/edge-dhcp/%i": str(self.places.run / network)}
        for theirs, ours in own.items():
            found = [line.replace(theirs, ours) for line in found]
        return [shlex.split(line) for line in found]

    def start(self, network: str) -> None:
        if network in self.processes:
            return
        (self.places.run / network).mkdir(parents=True, exist_ok=True)
        for before in self._lines("ExecStartPre", network):
            subprocess.run(before, check=True, capture_output=True)
        (argv,) = self._lines("ExecStart", network)
        with (self.folder / f"{network}.log").open("ab") as log:
            command = [*self.inside, "nsenter", f"--net=/run/netns/edge-dhcp-{network}", *argv, "--no-daemon"]
            self.processes[network] = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self, network: str) -> None:
        process = self.processes.pop(network, None)
        if process:
            process.kill()
            process.wait()

    def end(self) -> None:
        for network in list(self.processes):
            self.stop(network)
        self.holder.kill()
        self.holder.wait()

    def bridge(self, name: str) -> None:
        self.do("ip", "link", "add", name, "address", f"02:00:00:00:00:{len(name):02x}", "type", "bridge", "stp_state", "0")
        self.do("ip", "link", "set", name, "up")

    def vm(self, name: str, mac: str, bridge: str, tap: str) -> Guest:
        """Plug in a VM: its tap is a port of the bridge."""
        self.do("ip", "netns", "add", name)
        peer = ("peer", "name", "eth0", "address", mac, "netns", name)
        self.do("ip", "link", "add", tap, "type", "veth", *peer)
        self.do("ip", "link", "set", tap, "master", bridge, "up")
        self.do("ip", "-n", name, "link", "set", "eth0", "up")
        return Guest(self, name)

    def fdb(self, mac: str) -> set[str]:
        """Return the ports behind which this host's bridges and VXLAN links have a MAC address."""
        return {item["ifname"] for item in json.loads(self.do("bridge", "-j", "fdb", "show")) if item["mac"] == mac}


class Guest:
    """The name space of a VM."""

    def __init__(self, host: DhcpHost, name: str) -> None:
        self.host, self.name = host, name

    def do(self, *argv: str) -> str:
        return self.host.do("nsenter", f"--net=/run/netns/{self.name}", *argv)

    def __call__(self, *words: str) -> dict[str, Any]:
        """Run an action of the client."""
        # /sys shows the links of the name space in which it was mounted.
        argv = ("ip", "netns", "exec", self.name, sys.executable, str(CLIENT), *words)
        found: dict[str, Any] = json.loads(self.host.do(*argv))
        return found

    def unplug(self) -> None:
        self.host.do("ip", "-n", self.name, "link", "delete", "eth0")
        self.host.do("ip", "netns", "delete", self.name)


@contextmanager
def dhcp_hosts(folder: Path, count: int = 1) -> Iterator[list[DhcpHost]]:
    """Give hosts; skip where the kernel lets users make no name spaces, or dnsmasq is missing."""
    if subprocess.run([*USER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    missing = [program for program in ("dnsmasq", "nft", "bridge") if not shutil.which(program)]
    if missing:
        pytest.skip(f"{missing} is not installed")
    made: list[DhcpHost] = []
    try:
        for number in range(count):
            name = "ab"[number]
            (folder / name).mkdir()
            within = made[0].inside if made else ()
            made.append(DhcpHost(name, folder / name, within))
        yield made
    finally:
        for host in reversed(made):
            host.end()


def wired(one: DhcpHost, other: DhcpHost, bridge: str, vni: int) -> None:
    """Connect the bridges of two hosts by VXLAN over a cable."""
    if "cable" not in one.do("ip", "-br", "link"):
        one.do("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(other.holder.pid))
        for number, host in enumerate((one, other), 1):
            host.do("ip", "address", "add", f"198.51.100.{number}/24", "dev", "cable")
            host.do("ip", "link", "set", "cable", "up")
    for number, host in enumerate((one, other), 1):
        link, far = f"vx{vni}", f"198.51.100.{3 - number}"
        tunnel = ("type", "vxlan", "id", str(vni), "dstport", "4789", "local", f"198.51.100.{number}", "dev", "cable")
        host.do("ip", "link", "add", link, *tunnel)
        host.do("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", link, "dst", far)
        host.do("ip", "link", "set", link, "master", bridge, "up")
