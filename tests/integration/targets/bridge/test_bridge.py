# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bridge against the real kernel, in network name spaces that each test makes and removes; cables are veth pairs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.playbook import play

pytestmark = [pytest.mark.integration, pytest.mark.skipif(os.geteuid() != 0, reason="network name spaces need root")]
FILES = ["50-edge-br0-ports.network", "50-edge-br0.netdev", "50-edge-br0.network"]


class Space:
    """A network name space as a host with the cables eth0 and eth1; ``bridge`` runs the module in it."""

    def __init__(self, name: str, boot: Path) -> None:
        self.name, self.boot = name, boot

    def ip(self, *words: str) -> str:
        return subprocess.run(["ip", "-n", self.name, *words], capture_output=True, text=True, check=True).stdout

    def module(self, module: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        tasks = [{f"edge.cloud.{module}": {"boot_directory": str(self.boot), **options}}]
        return play(tasks, check=check, ok=ok, prefix=("ip", "netns", "exec", self.name))[0]

    def bridge(self, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        return self.module("bridge", check=check, ok=ok, name="br0", **options)

    def links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.ip("-json", "link"))}

    def everything(self) -> list[str]:
        """Return all that a change could touch, without what passes by itself (counters, carrier, state, MAC-based addresses)."""
        links = [line.split(" state ")[0] for line in self.ip("-o", "link").splitlines()]
        return [*links, self.ip("-o", "-4", "addr"), routes(self)]


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    name = f"edgebr{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    boot = tmp_path / "network"
    boot.mkdir()
    made = Space(name, boot)
    try:
        made.ip("link", "set", "lo", "up")
        for number in (0, 1):
            made.ip("link", "add", f"eth{number}", "type", "veth", "peer", "name", f"far{number}")
            made.ip("link", "set", f"eth{number}", "up")
            made.ip("link", "set", f"far{number}", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_missing_arguments(space: Space) -> None:
    failed = space.module("bridge", ok=False)
    assert "missing required arguments: name" in failed["msg"]


def test_the_whole_life_of_a_bridge(space: Space) -> None:
    made = create_twice(space)
    change_twice(space, made["bridge"]["mtu"])
    remove_twice(space)


def create_twice(space: Space) -> dict[str, Any]:
    options: dict[str, Any] = {"ports": ["eth0"], "addresses": ["192.0.2.1/24", "2001:DB8::1/64"], "mtu": 1400, "boot": "networkd"}
    predicted = space.bridge(check=True, **options)
    assert predicted["changed"]
    assert "br0" not in space.links()
    assert not list(space.boot.iterdir())

    made = space.bridge(**options)
    assert made["diff"] == predicted["diff"]
    assert made["actions"] == predicted["actions"]
    assert made["diff"]["before"] == {"state": "absent", "boot_files": {}}
    assert made["bridge"]["ports"] == ["eth0"]
    assert made["bridge"]["addresses"] == ["192.0.2.1/24", "2001:db8::1/64"]
    assert made["bridge"]["mtu"] == 1400
    assert made["bridge"]["up"]
    assert sorted(file.name for file in space.boot.iterdir()) == FILES
    assert "master br0" in space.ip("link", "show", "eth0")
    assert "192.0.2.1/24" in space.ip("-br", "addr", "show", "br0")

    again = space.bridge(**options)
    assert not again["changed"]
    assert again["diff"] == {"before": {}, "after": {}}
    assert again["bridge"] == made["bridge"]
    return made


def change_twice(space: Space, mtu: int) -> None:
    change = {"ports": ["eth1"], "addresses": ["192.0.2.2/24"], "stp": True, "forward_delay": 4, "mac": "52:54:00:00:00:01"}
    predicted = space.bridge(check=True, **change)
    index = json.loads(space.ip("-json", "link", "show", "br0"))[0]["ifindex"]
    changed = space.bridge(**change)
    assert changed["diff"] == predicted["diff"]
    assert changed["diff"]["before"]["ports"] == ["eth0"]
    assert changed["diff"]["after"]["ports"] == ["eth1"]
    assert changed["bridge"] == predicted["bridge"]
    assert changed["bridge"]["mtu"] == mtu
    assert json.loads(space.ip("-json", "link", "show", "br0"))[0]["ifindex"] == index
    assert "master" not in space.ip("link", "show", "eth0")
    assert not space.bridge(**change)["changed"]


def remove_twice(space: Space) -> None:
    assert space.bridge(state="absent", check=True)["changed"]
    assert "br0" in space.links()
    gone = space.bridge(state="absent")
    assert gone["bridge"] == {"state": "absent", "boot_files": {}}
    assert gone["diff"]["after"]["state"] == "absent"
    assert "br0" not in space.links()
    assert "eth1" in space.links()
    assert not list(space.boot.iterdir())
    assert not space.bridge(state="absent")["changed"]


def test_a_left_out_field_stays(space: Space) -> None:
    space.ip("link", "add", "br0", "type", "bridge", "forward_delay", "700", "priority", "4096")
    space.ip("link", "set", "eth0", "master", "br0")
    space.ip("addr", "add", "192.0.2.9/24", "dev", "br0")
    result = space.bridge(mtu=1300)
    assert result["diff"] == {"before": {"mtu": 1500, "up": False}, "after": {"mtu": 1300, "up": True}}
    assert result["bridge"]["ports"] == ["eth0"]
    assert result["bridge"]["addresses"] == ["192.0.2.9/24"]
    assert result["bridge"]["forward_delay"] == 7.0
    assert "priority 4096" in space.ip("-d", "link", "show", "br0")


def give_uplink(space: Space) -> None:
    for words in (
        ("addr", "add", "192.0.2.5/24", "dev", "eth0"),
        ("addr", "add", "192.0.2.6/24", "dev", "eth0"),
        ("-6", "addr", "add", "2001:db8::5/64", "dev", "eth0", "nodad"),
        ("route", "add", "default", "via", "192.0.2.254", "metric", "100"),
        ("route", "add", "198.51.100.0/24", "via", "192.0.2.253", "table", "77"),
        ("route", "add", "203.0.113.0/24", "dev", "eth0", "src", "192.0.2.6"),
        ("-6", "route", "add", "default", "via", "2001:db8::1"),
    ):
        space.ip(*words)


def routes(space: Space) -> str:
    lines = (space.ip("-4", "route", "show", "table", "all") + space.ip("-6", "route", "show", "default")).splitlines()
    return "\n".join(sorted(line.strip() for line in lines if not line.startswith(("local", "broadcast"))))


def test_the_hosts_uplink_moves_only_with_the_word(space: Space) -> None:
    give_uplink(space)
    before, had = space.everything(), routes(space)
    refused = space.bridge(ports=["eth0"], ok=False)
    assert refused["error"]["code"] == "refused"
    assert "the host's default route" in refused["error"]["carries"]
    assert "192.0.2.5/24" in refused["msg"]
    assert space.everything() == before

    moved = space.bridge(ports=["eth0"], allow_disruption=True, boot="networkd")
    assert moved["bridge"]["addresses"] == ["192.0.2.5/24", "192.0.2.6/24", "2001:db8::5/64"]
    assert routes(space) == had.replace("eth0", "br0")
    assert "192.0.2" not in space.ip("-br", "addr", "show", "eth0")
    text = moved["bridge"]["boot_files"]["50-edge-br0.network"]
    assert "Gateway=192.0.2.254\nMetric=100" in text
    assert space.bridge(ports=["eth0"], allow_disruption=True, boot="networkd")["diff"] == {"before": {}, "after": {}}


def test_an_interrupted_move_goes_on(space: Space) -> None:
    give_uplink(space)
    had = routes(space)
    # As far as a batch got that ended after its third line: the bridge has one address, the port is attached, no route moved.
    space.ip("link", "add", "br0", "type", "bridge", "stp_state", "0")
    space.ip("link", "set", "br0", "up")
    space.ip("addr", "add", "192.0.2.5/24", "dev", "br0")
    space.ip("link", "set", "eth0", "master", "br0")
    moved = space.bridge(ports=["eth0"], allow_disruption=True)
    assert moved["bridge"]["addresses"] == ["192.0.2.5/24", "192.0.2.6/24", "2001:db8::5/64"]
    assert routes(space) == had.replace("eth0", "br0")


def test_the_default_route_is_not_cut_by_an_address_or_a_removal(space: Space) -> None:
    give_uplink(space)
    space.bridge(ports=["eth0"], allow_disruption=True)
    before = space.everything()
    for options in ({"addresses": ["192.0.2.6/24"]}, {"addresses": ["198.51.100.1/24", "2001:db8::5/64"]}, {"state": "absent"}):
        assert space.bridge(ok=False, **options)["error"]["code"] == "refused"
    assert space.everything() == before
    # The first address of the subnet takes the second and all routes along in the kernel; they are put again.
    kept = space.bridge(addresses=["192.0.2.6/24", "2001:db8::5/64"])
    assert kept["bridge"]["addresses"] == ["192.0.2.6/24", "2001:db8::5/64"]
    assert "default via 192.0.2.254 dev br0 metric 100" in routes(space)
    assert "198.51.100.0/24 via 192.0.2.253 dev br0 table 77" in routes(space)


def test_ports_of_vms_stay(space: Space) -> None:
    space.bridge(ports=["eth0"])
    space.ip("tuntap", "add", "vnet0", "mode", "tap")
    space.ip("link", "set", "vnet0", "master", "br0")
    changed = space.bridge(ports=[])
    assert changed["bridge"]["ports"] == []
    assert changed["bridge"]["vm_ports"] == ["vnet0"]
    refused = space.bridge(state="absent", ok=False)
    assert refused["error"] == {"code": "refused", "option": "state", "ports": ["vnet0"]}
    assert "br0" in space.links()
    assert space.bridge(state="absent", allow_disruption=True)["changed"]
    assert "vnet0" in space.links()


def test_what_stands_in_the_way_is_named_and_nothing_changes(space: Space) -> None:
    space.ip("link", "add", "br1", "type", "bridge")
    space.ip("link", "set", "eth1", "master", "br1")
    before = space.everything()
    for name, code, answer in (("eth7", "not_found", "eth0"), ("eth1", "conflict", "port of br1"), ("br1", "conflict", "bridge")):
        failed = space.bridge(ports=["eth0", name], ok=False)
        assert failed["error"]["code"] == code
        assert answer in failed["msg"]
    kind = space.module("bridge", name="eth0", ok=False)
    assert kind["error"] == {"code": "conflict", "option": "name", "kind": "veth"}
    (space.boot / FILES[1]).write_text("[NetDev]\nName=br0\n")
    assert space.bridge(boot="networkd", ok=False)["error"]["code"] == "conflict"
    assert (space.boot / FILES[1]).read_text() == "[NetDev]\nName=br0\n"
    assert space.everything() == before


def test_the_kernels_refusal_tells_what_was_done_and_a_rerun_goes_on(space: Space) -> None:
    space.ip("link", "add", "far", "type", "veth", "peer", "name", "near")
    space.ip("addr", "add", "192.0.2.1/24", "dev", "near")
    # A link that a macvlan of another name space holds cannot be a port of a bridge: only the kernel knows.
    other = f"{space.name}b"
    subprocess.run(["ip", "netns", "add", other], check=True)
    try:
        space.ip("link", "add", "mv0", "link", "near", "netns", other, "type", "macvlan", "mode", "passthru")
        failed = space.bridge(ports=["eth0", "near"], allow_disruption=True, ok=False)
    finally:
        subprocess.run(["ip", "-n", other, "link", "del", "mv0"], check=False)
        subprocess.run(["ip", "netns", "del", other], check=True)
    assert failed["error"]["code"] == "command_failed"
    assert failed["error"]["stderr"] in failed["msg"] + "\n"
    assert failed["error"]["done"][:2] == ["Add the bridge br0", "Set the bridge br0 up"]
    assert failed["error"]["failed_action"].startswith("Attach near")
    assert "192.0.2.1/24" in space.ip("-br", "addr", "show", "near")
    assert "192.0.2.1/24" not in space.ip("-br", "addr", "show", "br0")
    done = space.bridge(ports=["eth0", "near"], allow_disruption=True)
    assert done["bridge"]["ports"] == ["eth0", "near"]
    assert done["bridge"]["addresses"] == ["192.0.2.1/24"]
    assert not any(action.startswith("Add") for action in done["actions"])


def test_boot_files_alone(space: Space) -> None:
    space.bridge(addresses=["192.0.2.1/24"])
    written = space.bridge(boot="networkd")
    assert list(written["diff"]["after"]) == ["boot_files"]
    assert not space.bridge()["changed"]
    taken = space.bridge(boot="none")
    assert taken["bridge"]["boot_files"] == {}
    assert not list(space.boot.iterdir())


def test_info(space: Space) -> None:
    made = space.bridge(ports=["eth0"])
    space.ip("link", "add", "br1", "type", "bridge")
    found = space.module("bridge_info")["bridges"]
    assert [bridge["name"] for bridge in found] == ["br0", "br1"]
    assert space.module("bridge_info", name="br0")["bridges"] == [made["bridge"]]
    assert space.module("bridge_info", name="br9")["bridges"] == []
