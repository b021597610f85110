# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router, hosts and guests in name spaces of their own, for public addresses with real packets; modules run inside of a host."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from support.netspace import Space, spaces
from support.waiting import until

BRIDGE, PEERS = "evb-private", "evx-private"
MACS = {"web": "52:54:00:00:00:01", "evil": "52:54:00:00:00:66"}
DRIVER = """
import contextlib, io, json, sys
from importlib import import_module
from pathlib import Path
from unittest.mock import patch
from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Addresses, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.public.reconcile import announce, make_recorded
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
root = Path(sys.argv[1])
etc = root / "sysctl.d"
settings = etc / "80-edge-public-addresses.conf"
places = Places(root / "public.json", root / "networks.json", root / "lock", settings, (etc,), root / "no")
for line in sys.stdin:
    name, options = json.loads(line)
    if name == "boot":
        made = make_recorded(Addresses(SubprocessRunner(), places))
        failed = {key: error.message for key, error in made.failed.items()}
        print(json.dumps({"actions": made.actions, "failed": failed, "links": sorted(made.links)}), flush=True)
        continue
    module = import_module("ansible_collections.edge.cloud.plugins.modules." + name)
    module.PLACES = places
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit), patch_module_args(options):
        module.main()
    print(out.getvalue().strip(), flush=True)
"""
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 7), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as server:
    print("ready", flush=True)
    while True:
        client, peer = server.accept()
        with client:
            data = b""
            while part := client.recv(65536):  # all of it: a socket that is closed over unread bytes is reset
                data += part
            client.sendall(sys.argv[2].encode() + b" " + peer[0].encode() + b" " + data)
"""
CLIENT = """
import socket, sys
address, source, seconds = sys.argv[1:]
try:
    with socket.create_connection((address, 7), float(seconds), (source, 0) if source else None) as server:
        server.sendall(b"x" * 3000)
        server.shutdown(socket.SHUT_WR)
        found = b""
        while data := server.recv(65536):
            found += data
    print(found.decode().rstrip("x"))
except OSError as error:
    print("none:", error)
"""

SEND = """
import socket, sys
source, target, word = sys.argv[1:]
with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.bind((source, 0))
    sender.sendto(word.encode(), (target, 9))
"""
LISTEN = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
    listener.bind(("::", 9))
    print("ready", flush=True)
    while found := listener.recvfrom(2048):
        print(found[0].decode(), found[1][0].removeprefix("::ffff:"), flush=True)
"""


class Host:
    """A host with an uplink eth0 to the switch, a bridge of a virtual network, and a process inside that runs modules."""

    def __init__(self, space: Space, folder: Path) -> None:
        self.space, self.folder = space, folder
        (folder / "sysctl.d").mkdir(parents=True)
        argv = self.space.argv(sys.executable, "-c", DRIVER, str(folder))
        self.driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Return what a module printed; ``boot`` is what the service of networks does."""
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write(json.dumps([name, {**options, "_ansible_check_mode": check, "_ansible_diff": True}]) + "\n")
        self.driver.stdin.flush()
        found: dict[str, Any] = json.loads(self.driver.stdout.readline())
        return found

    def have(self, address: str, vm: str = "web", *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Give a VM an address and return the result."""
        given = {"bridge": BRIDGE, "tap": f"evt-{vm}", "mac": MACS[vm], "vm": vm, **options}
        return self.run("public_address", check=check, address=address, **given)

    def lose(self, address: str) -> dict[str, Any]:
        """Take an address away."""
        return self.run("public_address", address=address, state="absent")

    def made(self) -> dict[str, Any]:
        """Return all that a host has besides links, to compare."""
        commands = {
            "routes": ("ip", "route"),
            "routes6": ("ip", "-6", "route"),
            "neighbours": ("ip", "neigh", "show", "nud", "permanent"),
            "proxies": ("ip", "neigh", "show", "proxy"),
            "addresses": ("ip", "-br", "addr"),
            "filter": ("nft", "-s", "list", "ruleset"),
            "ndp": ("sysctl", "net.ipv6.conf.eth0.proxy_ndp"),
        }
        found = {what: self.space.run(argv).stdout for what, argv in commands.items()}
        # The kernel lists neighbours by a hash that is another in each name space.
        return {what: sorted(text.splitlines()) if what in ("neighbours", "proxies") else text for what, text in found.items()}

    def end(self) -> None:
        """Let the process inside end."""
        assert self.driver.stdin is not None
        self.driver.stdin.close()
        self.driver.wait()


class Site:
    """A router, two hosts on its switch, and guests that can be plugged into each."""

    def __init__(self, found: list[Space], folder: Path) -> None:
        self.router, one, two, web, evil = found
        self.hosts = [Host(one, folder / "one"), Host(two, folder / "two")]
        self.guests = {"web": web, "evil": evil}
        self.servers: list[subprocess.Popen[str]] = []
        self.sent: dict[str, tuple[Space, str, str, str]] = {}
        self.router.ip("link", "add", "sw", "type", "bridge", "forward_delay", "0")
        for number, host in enumerate(self.hosts, start=1):
            pid = str(host.space.pid)
            self.router.ip("link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", pid)
            self.router.ip("link", "set", f"p{number}", "master", "sw", "up")
            self._host(host.space, number)
        one.ip("link", "add", PEERS, "type", "veth", "peer", "name", PEERS, "netns", str(two.pid))
        for host in self.hosts:
            host.space.ip("link", "set", PEERS, "master", BRIDGE, "addrgenmode", "none", "up")
        self.router.ip("link", "set", "sw", "up")
        self.router.ip("addr", "add", "203.0.113.1/24", "dev", "sw")
        self.router.ip("addr", "add", "2001:db8::1/64", "dev", "sw", "nodad")

    def _host(self, space: Space, number: int) -> None:
        space.ip("link", "set", "lo", "up")
        space.ip("link", "set", "eth0", "up")
        space.ip("addr", "add", f"203.0.113.{number + 1}/24", "dev", "eth0")
        space.ip("addr", "add", f"2001:db8::{number + 1}/64", "dev", "eth0", "nodad")
        space.run(("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"))
        space.run(("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"))
        _without_filters(space)
        space.ip("route", "add", "default", "via", "203.0.113.1")
        space.ip("-6", "route", "add", "default", "via", "2001:db8::1")
        make_bridge(space, number)

    def move(self, vm: str, source: Host, target: Host) -> None:
        """Move the host's end of a guest's cable, as a migration does; the guest notices nothing."""
        source.space.ip("link", "set", f"evt-{vm}", "netns", str(target.space.pid))
        target.space.ip("link", "set", f"evt-{vm}", "master", BRIDGE, "addrgenmode", "none", "up")

    def plug(self, vm: str, host: Host) -> Space:
        """Connect a guest to a host's bridge, as a tap device would."""
        guest = self.guests[vm]
        # The guest's own link never loses its carrier, as that of a VM does not when the VM moves.
        guest.ip("link", "add", "eth0", "address", MACS[vm], "type", "veth", "peer", "name", "inner")
        guest.ip("link", "add", "machine", "type", "bridge", "forward_delay", "0")
        pid = str(guest.pid)
        host.space.ip("link", "add", f"evt-{vm}", "type", "veth", "peer", "name", "cable", "netns", pid)
        host.space.ip("link", "set", f"evt-{vm}", "master", BRIDGE, "addrgenmode", "none", "up")
        guest.ip("link", "set", "lo", "up")
        guest.ip("link", "set", "eth0", "up")
        for port in ("inner", "cable"):
            guest.ip("link", "set", port, "master", "machine", "addrgenmode", "none", "up")
        guest.ip("link", "set", "machine", "addrgenmode", "none", "up")
        for space, link in ((host.space, f"evt-{vm}"), (guest, "inner"), (guest, "cable"), (guest, "eth0")):
            until(
                lambda space=space, link=link: " state UP " in space.ip("-o", "link", "show", "dev", link), f"a carrier of {link}"
            )  # type: ignore[misc]
        _without_filters(guest)
        return guest

    def serve(self, space: Space, address: str, name: str) -> None:
        """Let a guest answer on port 7 of an address with its name, the caller's address and what it was sent."""
        argv = space.argv(sys.executable, "-c", SERVER, address, name)
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"

    @staticmethod
    def call(space: Space, address: str, source: str = "", seconds: float = 20) -> str:
        """Return who answers on port 7 of an address and as whom it sees us."""
        return space.run((sys.executable, "-c", CLIENT, address, source, str(seconds))).stdout.strip()

    @contextmanager
    def heard(self, last: str) -> Iterator[list[str]]:
        """Give what the router hears on its UDP port 9, as words and senders, until it hears ``last``; complete after the block."""
        found: list[str] = []
        listener = subprocess.Popen(self.router.argv(sys.executable, "-c", LISTEN), stdout=subprocess.PIPE, text=True)
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_read, args=(listener.stdout, lines), daemon=True).start()
            yield found
            while not (found and found[-1].startswith(f"{last} ")):
                try:
                    found.append(lines.get(timeout=2))
                except queue.Empty:  # a packet that was sent before a link forwarded is lost
                    self.send(*self.sent[last])
        finally:
            listener.kill()
            listener.wait()

    def send(self, space: Space, source: str, target: str, word: str) -> None:
        """Send a word by UDP from an address."""
        self.sent[word] = (space, source, target, word)
        space.run((sys.executable, "-c", SEND, source, target, word))

    def seen_at(self, address: str) -> str:
        """Return the MAC address that the router has for an address."""
        found = json.loads(self.router.ip("-j", "neigh", "show", "to", address) or "[]")
        return str(next((one.get("lladdr") for one in found), None))

    @staticmethod
    def mac(space: Space, link: str = "eth0") -> str:
        """Return the MAC address of a link."""
        return str(json.loads(space.ip("-j", "link", "show", "dev", link))[0]["address"])


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line.rstrip())


def make_bridge(space: Space, number: int, name: str = BRIDGE) -> None:
    """Make the bridge of a virtual network, with a MAC address that no port changes."""
    space.ip("link", "add", name, "address", f"06:00:5e:00:53:{number:02x}", "type", "bridge", "forward_delay", "0")
    space.ip("link", "set", name, "addrgenmode", "none", "up")


def _without_filters(space: Space) -> None:
    # Where br_netfilter is part of the kernel, each new name space begins with it switched on.
    names = ("iptables", "ip6tables", "arptables")
    space.run(("sysctl", "-q", "-e", "-w", *(f"net.bridge.bridge-nf-call-{name}=0" for name in names)))


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Give a site; all of it goes at the end."""
    with spaces(5) as found:
        made = Site(found, folder)
        try:
            yield made
        finally:
            for server in made.servers:
                server.kill()
                server.wait()
            for host in made.hosts:
                host.end()


def give(guest: Space, address: str) -> None:
    """Let a guest have a routed address, with the gateway that hosts answer for."""
    gateway, width = ("fe80::a9fe:101", 128) if ":" in address else ("169.254.1.1", 32)
    guest.ip("addr", "add", f"{address}/{width}", "dev", "eth0", *(["nodad"] if ":" in address else []))
    guest.ip("route", "add", "default", "via", gateway, "dev", "eth0", "onlink")
