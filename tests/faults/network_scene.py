# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of fault runs of networks: name spaces of its own, with links, files and rules of others, and what is seen of them all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPACE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "iproute2")
START = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/netns && mount --bind "$1" /etc && ip link set lo up && exec "$2" "$3"'
IDENTITY = "0123456789abcdef0123456789abcdef"
LINKS = """
link add eth0 address 02:fe:00:00:00:01 type veth peer name far0 address 02:fe:00:00:00:02
addr add 192.0.2.11/24 dev eth0
link add eth1 address 02:fe:00:00:00:03 type veth peer name far1 address 02:fe:00:00:00:04
addr add 198.51.100.7/24 dev eth1
link add theirs address 02:fe:00:00:00:05 type bridge
link add port0 address 02:fe:00:00:00:06 type veth peer name port1 address 02:fe:00:00:00:0b
link set port0 master theirs
link add evx-theirs address 02:fe:00:00:00:07 type bridge
link add evb-theirs address 02:fe:00:00:00:08 type bridge
link add br0 address 02:fe:00:00:00:09 type bridge
link add vxtheirs address 02:fe:00:00:00:0a type vxlan id 999 local 192.0.2.11 dev eth0 dstport 4799
"""
THEIR_LINKS = ("eth0", "far0", "eth1", "far1", "theirs", "port0", "port1", "evx-theirs", "evb-theirs", "br0", "vxtheirs")
ROUTES = "route add 203.0.113.0/24 via 198.51.100.1 dev eth1\n"
ENTRIES = """
fdb add 02:fe:00:00:01:01 dev port0 master static
fdb append 00:00:00:00:00:00 dev vxtheirs dst 192.0.2.99
fdb add 02:fe:00:00:01:02 dev vxtheirs dst 192.0.2.98
"""
RULES = """
table inet theirs {
  set addresses { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
  chain input { type filter hook input priority 0; policy accept; ip saddr @addresses counter accept; }
}
table bridge theirs {
  chain forward { type filter hook forward priority 0; policy accept; }
}
"""
FILES = {
    "edge/networks.json": json.dumps({"schema": 1, "networks": [], "of_a_newer_version": {"kept": True}}, indent=1) + "\n",
    "edge/other.json": '{"of": "others"}\n',
    "systemd/network/20-theirs.network": "[Match]\nName=theirs\n\n[Network]\nLinkLocalAddressing=no\n",
    "network/interfaces": "auto lo\niface lo inet loopback\n",
    "hosts": "127.0.0.1 localhost\n",
}
OURS = ("/etc/edge/networks.json", "/etc/edge/.networks.json", "/etc/edge/dhcp", "/etc/systemd/network/50-edge-")
OURS += ("/etc/systemd/network/.",)  # what an interrupted write leaves
TIMERS = ("gc_timer", "hello_timer", "tcn_timer", "topology_change_timer", "hold_timer", "forward_delay_timer", "message_age_timer")
OFFLOADS = (
    "tso_max_size",
    "tso_max_segs",
    "gso_max_size",
    "gso_max_segs",
    "gro_max_size",
    "gso_ipv4_max_size",
    "gro_ipv4_max_size",
)
SHOWN = ("operstate", "tentative", "flags", "state", "txqlen", "max_mtu", "topology_change", "topology_change_detected")
VOLATILE = frozenset({*TIMERS, *OFFLOADS, *SHOWN})  # what changes by itself, or with what is attached
OF_THE_MOMENT = frozenset({"ifindex", "link_index", "link_netnsid", "designated_port", "no"})
Seen = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """What a host has: what was made by others, and what by us; each a path in words → what is there."""

    theirs: Seen
    ours: Seen


class NetworkHost:
    """A host without systemd and udev, whose own programs are this machine's."""

    def __init__(self, folder: Path) -> None:
        self.etc = folder / "etc"
        self.etc.mkdir(parents=True)
        programs = self.programs = folder / "bin"
        programs.mkdir()
        for name in ETC:
            if (source := Path("/etc", name)).exists():
                subprocess.run(["cp", "-rL", str(source), str(self.etc / name)], check=True)
        (self.etc / "machine-id").write_text(f"{IDENTITY}\n")
        here = Path(__file__).parent
        (programs / "systemctl").write_text(f'#!/bin/sh\nexec {sys.executable} -S {here}/small_systemd.py "$@"\n')
        (programs / "systemctl").chmod(0o755)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        command = [*SPACE, "sh", "-c", START, "sh", str(self.etc), sys.executable, str(here / "network_host.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._answer()
        self.inside = ("nsenter", "--target", str(self.process.pid), "--user", "--net", "--mount", "--preserve-credentials")

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the host ended"
        return json.loads(line)

    def order(self, *works: Mapping[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Have modules run at the same time; return what became of each (see network_host)."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"works": works, **more}) + "\n")
        self.process.stdin.flush()
        found: list[dict[str, Any]] = self._answer()
        return found

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command on the host."""
        done = subprocess.run([*self.inside, *argv], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{argv}: {done.stderr}"
        return done.stdout

    def _json(self, *argv: str) -> list[Any]:
        found: list[Any] = json.loads(self.run(*argv) or "[]")
        return [item for item in found if item]

    def end(self) -> None:
        """End all that runs on it."""
        self._stop_services()
        self.process.kill()
        self.process.communicate()

    def _stop_services(self) -> None:
        script = "for pid in $(cat /run/small-systemd/* 2>/dev/null); do kill -9 $pid; done; rm -rf /run/small-systemd"
        self.run("sh", "-c", script)

    def _forget(self) -> None:
        """Remove what a power cut removes."""
        self._stop_services()
        for space in (one["name"] for one in self._json("ip", "-j", "netns", "list")):
            self.run("ip", "netns", "delete", space)
        names = (one["ifname"] for one in self._json("ip", "-j", "link", "show"))
        gone = "".join(f"link delete {name}\n" for name in names if name != "lo")
        self.run("ip", "-force", "-batch", "-", stdin=gone, check=False)  # the other end of a pair goes with it
        self.run("sh", "-c", "rm -rf /run/edge /run/edge-dhcp")

    def renew(self) -> None:
        """Have the links, rules and files of others, and nothing else."""
        self._boot()
        self._write({f"/etc/{name}": text for name, text in FILES.items()})

    def cut_power(self, files: Mapping[str, str | None]) -> None:
        """Lose all but these files of those that we may write, as a power cut does; others make what is theirs again."""
        self._boot()
        self._write(files)

    def _boot(self) -> None:
        self._forget()
        quiet = "".join(f"link set {name} addrgenmode none\n" for name in THEIR_LINKS)
        self.run("ip", "-batch", "-", stdin=LINKS.lstrip() + quiet + UP + ROUTES)
        self.run("bridge", "-batch", "-", stdin=ENTRIES.lstrip())
        self.run("nft", "-f", "-", stdin=f"flush ruleset\n{RULES}")

    def _write(self, files: Mapping[str, str | None]) -> None:
        """Have these files and folders, and no others, below /etc/edge and /etc/systemd."""
        for name in ("edge", "systemd"):
            shutil.rmtree(self.etc / name, ignore_errors=True)
        for name, text in sorted(files.items()):
            path = self.etc / Path(name).relative_to("/etc")
            (path if text is None else path.parent).mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text, errors="surrogateescape")

    def look(self, changeable: tuple[str, ...] = ()) -> Look:
        """Return what there is; ``changeable`` are links of others that we may change."""
        theirs: Seen = {}
        ours: Seen = {}
        for item in self._json("ip", "-j", "-d", "addr", "show"):
            name = item["ifname"]
            kept = name in THEIR_LINKS and name not in changeable
            (theirs if kept else ours)[f"link {name}"] = plain(item, frozenset() if kept else OF_THE_MOMENT)
        for item in self._json("bridge", "-j", "fdb", "show"):
            if int(item["mac"][:2], 16) & 1:
                continue  # groups that the kernel itself joins
            of_them = item["ifname"] in THEIR_LINKS and item["ifname"] not in changeable
            if item.get("state") in ("permanent", "static") or "dst" in item:
                key = " ".join(str(item.get(word)) for word in ("ifname", "mac", "dst", "master", "state", "vlan"))
                found = theirs if of_them else ours
                found[f"fdb {key}"] = found.get(f"fdb {key}", 0) + 1
        for item in self._json("ip", "-j", "route", "show"):
            kept = item.get("dev") in THEIR_LINKS and item.get("dev") not in changeable
            (theirs if kept else ours)[f"route {item['dst']} {item.get('dev')}"] = plain(item, frozenset())
        self._look_at_rules(theirs, ours)
        self._look_at_spaces(ours)
        for path in sorted(path for path in self.etc.rglob("*") if path.is_file() and path.name not in ETC):
            name = f"/etc/{path.relative_to(self.etc)}"
            (ours if name.startswith(OURS) else theirs)[f"file {name}"] = path.read_text(errors="surrogateescape")
        return Look(theirs, ours)

    def _look_at_rules(self, theirs: Seen, ours: Seen) -> None:
        for item in json.loads(self.run("nft", "-j", "list", "ruleset"))["nftables"]:
            ((kind, about),) = item.items()
            if kind == "metainfo":
                continue
            mine = "edge_dhcp" in (about.get("table"), about.get("name"))
            about = sorted_elements(about) if mine else about
            if mine:
                ours.setdefault("rules", []).append(json.dumps([kind, about], sort_keys=True))
            else:
                theirs.setdefault("rules", []).append([kind, about])

    def _look_at_spaces(self, ours: Seen) -> None:
        for space in (one["name"] for one in self._json("ip", "-j", "netns", "list")):
            for item in self._json("ip", "-n", space, "-j", "-d", "addr", "show"):
                ours[f"space {space} link {item['ifname']}"] = plain(item, OF_THE_MOMENT)
            ours[f"space {space} routes"] = self.run("ip", "-n", space, "route", "show")
            running = self.run(
                str(self.programs / "systemctl"), "show", f"edge-dhcp@{space.removeprefix('edge-dhcp-')}.service"
            ).strip()
            ours[f"space {space} service"] = running


UP = "".join(f"link set {name} up\n" for name in THEIR_LINKS)


def plain(item: Any, without: frozenset[str]) -> Any:
    """Return what ip(8) says of a link without what changes by itself, and whether it is set up."""
    if isinstance(item, list):
        return [plain(one, without) for one in item]
    if not isinstance(item, dict):
        return item
    found = {key: plain(value, without) for key, value in item.items() if key not in VOLATILE | without}
    return {**found, "up": "UP" in item["flags"]} if isinstance(item.get("flags"), list) and "ifname" in item else found


def sorted_elements(about: dict[str, Any]) -> dict[str, Any]:
    """Return an item of nft(8) without its number, and with its elements in order."""
    found = {key: value for key, value in about.items() if key != "handle"}
    if isinstance(found.get("elem"), list):
        found["elem"] = sorted(found["elem"], key=str)
    return found


def differences(found: Seen, wanted: Seen) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is missing or other than wanted, as (found, wanted), and what is there that should not be."""
    other = {key: only_other(found.get(key), value) for key, value in wanted.items() if found.get(key) != value}
    return other, {key: value for key, value in found.items() if key not in wanted}


def only_other(found: Any, wanted: Any) -> tuple[Any, Any]:
    """Return two things that differ; of two that have keys only what differs."""
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return found, wanted
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    return {key: found.get(key) for key in keys}, {key: wanted.get(key) for key in keys}


def usable() -> str:
    """Return why hosts cannot be made here, nothing if they can."""
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        return "this kernel lets no user make a network name space"
    missing = [program for program in ("ip", "bridge", "nft", "dnsmasq") if not shutil.which(program)]
    return f"{', '.join(missing)} is not installed" if missing else ""


@contextmanager
def network_host(folder: Path) -> Iterator[NetworkHost]:
    """Give a host, ended at the end."""
    host = NetworkHost(folder)
    try:
        host.renew()
        yield host
    finally:
        host.end()
