# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge-host networks: what boot makes, and what is made again when another program takes it away. On the real kernel."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._host import networks, public
from ansible_collections.edge.cloud.plugins.module_utils._host.networks import Watch, ready, relevant
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.names import link_of
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import Places as DhcpPlaces
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Places as PublicPlaces
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.netspace import cable, ip, netspace

VXLAN = {"name": "a", "type": "vxlan", "vni": 1, "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12"]}
PLAIN = {"name": "b", "type": "bridge"}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    identity, groups = tmp_path / "machine-id", tmp_path / "groups"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    groups.write_text("20\n")
    found = Places(tmp_path / "networks.json", tmp_path / "run/lock", identity, groups)
    monkeypatch.setattr(networks, "PLACES", found)
    with netspace(tmp_path, monkeypatch):
        cable("eth0", "far0")
        yield found


def boot(places: Places, *definitions: dict[str, Any]) -> None:
    places.record.write_text(json.dumps({"schema": 1, "networks": definitions}))


@contextmanager
def used_port(folder: Path, number: int) -> Iterator[None]:
    """Have a program that has a UDP port in the name space; the words of ``ip`` on the PATH lead there."""
    enter = (folder / "ip").read_text().split("exec ", 1)[1].rpartition(" --preserve-credentials")[0].split()
    code = f"import socket, sys; s = socket.socket(type=2); s.bind(('', {number})); print('ready'); sys.stdin.read()"
    argv = [*enter, "--preserve-credentials", sys.executable, "-u", "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        yield
        program.communicate()


def verb(**options: Any) -> dict[str, Any]:
    return networks.networks(None, options)  # type: ignore[arg-type]


def flooded(link: str) -> list[str]:
    found = json.loads(subprocess.run(["bridge", "-j", "fdb", "show", "dev", link], capture_output=True, check=True).stdout)
    return [entry["dst"] for entry in found if "dst" in entry]


def test_boot_makes_what_was_made_before(places: Places) -> None:
    assert verb() == {"changed": False, "actions": []}
    boot(places, VXLAN, PLAIN)
    before = places.record.read_text()
    ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    assert len(verb(check=True)["actions"]) == 4
    assert "evb-" not in ip("link")
    assert verb()["changed"]
    assert flooded("evx-a") == ["192.0.2.12"]
    assert verb() == {"changed": False, "actions": []}
    assert places.record.read_text() == before


def test_a_network_that_cannot_be_made_yet_stops_no_other_and_has_its_bridge_for_vms(places: Places) -> None:
    boot(places, VXLAN, PLAIN, {"name": "c", "type": "of a newer version"})
    with pytest.raises(EdgeError) as caught:
        verb()
    assert set(caught.value.details["failed"]) == {"a", "c"}
    assert "a: underlay: eth0 has no IPv4 address" in caught.value.message
    assert json.loads(ip("-j", "link", "show", "evb-a"))[0]["mtu"] == 1430
    ip("link", "show", "evb-b")
    ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    boot(places, VXLAN, PLAIN)
    assert verb()["actions"][0] == "Set the MTU of evb-a from 1430 to 1450"
    assert flooded("evx-a") == ["192.0.2.12"]


@pytest.mark.parametrize("first", ["a", "z"])
def test_a_network_that_the_kernel_refuses_stops_no_other(places: Places, tmp_path: Path, first: str) -> None:
    """The last word is the kernel's, for instance where another program has the UDP port."""
    ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    bad = {**VXLAN, "name": first, "port": 4790}
    boot(places, bad, {**VXLAN, "name": "m", "vni": 2}, {**VXLAN, "name": "n", "vni": 3, "port": 4790}, PLAIN)
    with used_port(tmp_path, 4790):
        with pytest.raises(EdgeError) as caught:
            verb()
        assert set(caught.value.details["failed"]) == {first, "n"}
        assert "Address already in use" in caught.value.message
        assert {link["ifname"] for link in json.loads(ip("-j", "link", "show", "type", "bridge"))} == {
            *(f"evb-{name}" for name in (first, "b", "m", "n"))
        }
        assert port("evb-m")["flags"] == port("evx-m")["flags"]
        assert flooded("evx-m") == ["192.0.2.12"]
    verb()
    assert flooded(f"evx-{first}") == flooded("evx-n") == ["192.0.2.12"]


def test_a_link_alone_that_others_take_away_is_made_again(places: Places) -> None:
    boot(places, {**VXLAN, "name": "alone0", "bare": True})
    ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    flood = ("00:00:00:00:00:00", "dev", "alone0", "dst", "192.0.2.12", "self")
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        assert watch.turn()[0] == "Add the vxlan alone0"
        for taken, wanted in (
            (("bridge", "fdb", "del", *flood), "Change the hosts of alone0: add 192.0.2.12"),
            (("ip", "link", "set", "alone0", "down"), "Set alone0 up"),
            (("ip", "link", "del", "alone0"), "Add the vxlan alone0"),
        ):
            while watch.turn():  # what was done is seen as a change
                pass
            subprocess.run(taken, check=True)
            assert watch.turn()[0] == wanted
    assert flooded("alone0") == ["192.0.2.12"]


@pytest.mark.parametrize("text", ["{", '{"schema": 2, "networks": []}', '{"networks": [{}]}', '{"networks": {}}'])
def test_a_file_that_cannot_be_used_is_named(places: Places, text: str) -> None:
    places.record.write_text(text)
    with pytest.raises(EdgeError, match=r"networks\.json"):
        verb()


def test_public_addresses_that_cannot_be_read_stop_no_network(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "public_addresses.json"
    record.write_text('{"addresses": [{"address": "name"}]}')
    monkeypatch.setattr(public, "PLACES", PublicPlaces(record=record, lock=tmp_path / "run/public.lock"))
    boot(places, PLAIN)
    with pytest.raises(EdgeError, match=f"{record}: address: 'name' is not one address") as caught:
        verb()
    assert list(caught.value.details["failed"]) == ["public addresses"]
    assert "evb-b" in ip("link")
    record.unlink()
    assert verb() == {"changed": False, "actions": []}


def test_what_others_take_away_is_made_again(places: Places) -> None:
    boot(places, VXLAN, PLAIN)
    ip("tuntap", "add", "vnet0", "mode", "tap")
    with Watch(Networking(SubprocessRunner(), places)) as watch:

        def until(wanted: str) -> None:
            for _ in range(10):
                if any(action.startswith(wanted) for action in watch.turn()):
                    return
            raise AssertionError(wanted)

        until("Add the bridge evb-a")
        ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
        until("Add the vxlan evx-a")
        ip("link", "set", "vnet0", "master", "evb-a")
        while "vnet0" not in watch.taps:
            watch.turn()
        subprocess.run(["bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "evx-a", "dst", "192.0.2.12", "self"], check=True)
        until("Change the hosts of the network a: add 192.0.2.12")
        ip("link", "del", "evb-a")
        until("Attach vnet0 of a VM to the bridge evb-a again")
        assert json.loads(ip("-j", "link", "show", "vnet0"))[0]["master"] == "evb-a"
        ip("link", "set", "vnet0", "nomaster")
        until("Attach vnet0 of a VM to the bridge evb-a again")
        ip("link", "set", "eth0", "mtu", "1400")
        until("Set the MTU of evb-a from 1450 to 1350")
        ip("link", "set", "evx-a", "down")
        until("Set evx-a up")


def test_a_port_of_a_vm_comes_back_to_a_bridge_that_others_made_again(places: Places) -> None:
    """As ifdown and ifup do."""
    ip("link", "add", "br0", "type", "bridge")
    ip("tuntap", "add", "vnet0", "mode", "tap")
    ip("link", "set", "vnet0", "master", "br0")
    boot(places, {"name": "public", "type": "bridge", "bridge": "br0"})
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        assert watch.turn() == []
        ip("link", "del", "br0")
        ip("link", "add", "br0", "type", "bridge")
        while not watch.turn():
            pass
        assert json.loads(ip("-j", "link", "show", "vnet0"))[0]["master"] == "br0"
        ip("link", "add", "br1", "type", "bridge")
        ip("link", "set", "vnet0", "master", "br1")  # somebody moves it
        assert watch.turn() == []
        assert json.loads(ip("-j", "link", "show", "vnet0"))[0]["master"] == "br1"


def port(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ip("-j", "-d", "link", "show", name))[0]
    return found


@pytest.mark.parametrize("seen", ["isolated", "not isolated yet"])
def test_a_port_that_comes_back_is_as_isolated_as_before_and_stays_down_if_it_was(places: Places, seen: str) -> None:
    boot(places, {**PLAIN, "peers_isolated": seen != "isolated"})
    ip("tuntap", "add", "evt-x", "mode", "tap")
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        watch.turn()
        ip("link", "set", "evt-x", "master", "evb-b")
        if seen == "isolated":
            ip("link", "set", "evt-x", "type", "bridge_slave", "isolated", "on")
        while "evt-x" not in watch.taps:
            watch.turn()
        ip("link", "del", "evb-b")
        while not any(action.startswith("Attach evt-x") for action in watch.turn()):
            pass
    assert port("evt-x")["master"] == "evb-b"
    assert port("evt-x")["linkinfo"]["info_slave_data"]["isolated"]
    assert "UP" not in port("evt-x")["flags"]


def test_the_dhcp_services_come_back_to_a_bridge_that_was_made_again(places: Places, tmp_path: Path) -> None:
    started = tmp_path / "started"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {started}\n')
    systemctl.chmod(0o755)
    boot(places, PLAIN)
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        watch.turn()
        started.unlink(missing_ok=True)
        watch.deadline = 0.0
        assert watch.turn() == []
        assert not started.exists()
        ip("link", "del", "evb-b")
        while not watch.turn():
            pass
    assert started.read_text() == "--no-block start edge-dhcp.service\n"


def test_a_service_whose_port_was_removed_or_detached_is_started_again(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, systemctl = tmp_path / "started", tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {started}\n')
    systemctl.chmod(0o755)
    monkeypatch.setattr(networks, "DHCP_PLACES", DhcpPlaces(tmp_path / "dhcp", tmp_path / "run-dhcp", tmp_path / "dhcp.lock"))
    monkeypatch.setattr(networks, "restore_filter", lambda _services: [])
    (tmp_path / "dhcp/a").mkdir(parents=True)
    ip("link", "add", "br0", "type", "bridge")
    with Watch(Networking(SubprocessRunner(), places)) as watch:

        def starts(*words: str) -> bool:
            started.unlink(missing_ok=True)
            ip(*words)
            for _number in range(2):  # with what the kernel does by itself then
                watch.deadline = time.monotonic() + 2
                assert watch.turn() == []
            return started.exists()

        port, other = link_of("a"), link_of("b")  # there is no service of b
        for name, link in (("a", port), ("b", other)):
            ip("link", "add", link, "type", "veth", "peer", "name", f"inner-{name}")
        ip("link", "set", "inner-a", "up")
        starts("link", "set", port, "master", "br0", "up")
        assert not starts("link", "set", port, "mtu", "1400")
        assert starts("link", "set", port, "nomaster")
        starts("link", "set", port, "master", "br0", "up")
        assert starts("link", "set", port, "down")
        assert starts("link", "del", port)
        assert not starts("link", "del", other)


def test_changes_that_the_kernel_dropped_are_looked_for(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A monitor that is too slow gets no event of what was changed, only a complaint that there were some."""
    boot(places, PLAIN)
    monkeypatch.setattr(networks, "MONITORS", [(argv[0], "-rcvbuf", "2048", *argv[1:]) for argv in networks.MONITORS[:1]])
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        assert watch.turn() == ["Add the bridge evb-b for the network b"]
        watch.deadline = time.monotonic() + 3  # let it read the events of its own change
        assert watch.turn() == []
        (monitor,) = watch.monitors.processes
        os.kill(monitor.pid, signal.SIGSTOP)
        for number in range(20):
            ip("link", "add", f"x{number}", "type", "veth", "peer", "name", f"y{number}")
        ip("link", "del", "evb-b")
        os.kill(monitor.pid, signal.SIGCONT)
        assert watch.turn() == ["Add the bridge evb-b for the network b"]
    assert "ip monitor: netlink receive error No buffer space available (105). Changes may have been" in capsys.readouterr().err


def test_a_flood_of_dropped_events_is_no_flood_of_runs(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that sends from ever new MAC addresses has the kernel drop events without end."""
    boot(places, PLAIN)
    monkeypatch.setattr(networks, "MONITORS", [("sh", "-c", "while :; do echo dropped >&2; sleep 0.2; done")])
    monkeypatch.setattr(networks, "MISSED", 4.0)
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        watch.turn()
        begin = time.monotonic()
        assert watch.turn() == []
        ip("link", "del", "evb-b")
        assert watch.turn() == ["Add the bridge evb-b for the network b"]
        assert time.monotonic() - begin >= 4


def test_a_new_port_of_an_old_name_is_left_to_libvirt(places: Places) -> None:
    """libvirt makes the tap of a VM that starts, and then attaches it, perhaps elsewhere; a port of a bridge it cannot attach."""
    boot(places, PLAIN, {**VXLAN, "underlay": "eth9"})  # of a run with a failure, no port is forgotten
    ip("tuntap", "add", "evt-x", "mode", "tap")
    with Watch(Networking(SubprocessRunner(), places)) as watch:
        watch.turn()
        ip("link", "set", "evt-x", "master", "evb-b")
        while "evt-x" not in watch.taps:
            watch.turn()
        ip("link", "del", "evt-x")
        ip("tuntap", "add", "evt-x", "mode", "tap")
        assert watch.turn() == []
    assert "master" not in port("evt-x")


def test_another_library_ends_the_service_so_that_it_starts_with_that(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = tmp_path / "current"
    current.symlink_to("old")
    monkeypatch.setattr(networks, "CURRENT", current)
    boot(places, PLAIN, {**VXLAN, "underlay": "eth9"})  # it fails, so that it tries again
    monkeypatch.setattr(networks, "TRY_AGAIN", 0.1)
    done: list[dict[str, Any]] = []
    service = threading.Thread(target=lambda: done.append(verb(watch=True)))
    service.start()
    current.with_name("next").symlink_to("new")
    while "evb-b" not in ip("-br", "link"):
        assert service.is_alive()
    current.with_name("next").rename(current)
    service.join(60)
    assert done == [{"changed": False, "actions": []}]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("5: evb-a: <BROADCAST,MULTICAST> mtu 1450", True),
        ("Deleted 5: evx-a@eth0: <BROADCAST,MULTICAST>", True),
        ("3: eth0    inet 192.0.2.1/24 scope global eth0", True),
        ("4: eth1@far1: <BROADCAST>", False),
        ("7: vnet0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc fq_codel master evb-a state UNKNOWN", True),
        ("7: vnet0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc fq_codel master br0 state UNKNOWN", False),
        ("Deleted 00:00:00:00:00:00 dev evx-a dst 192.0.2.12 self permanent", True),
        ("Deleted 52:54:00:00:00:01 dev evx-a dst 192.0.2.12 self", False),
        ("52:54:00:00:00:01 dev vnet0 master evb-a", False),
        ("", False),
    ],
)
def test_which_events_matter(line: str, expected: bool) -> None:
    assert relevant(line, frozenset({"eth0"})) == expected


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        ready()
        assert systemd.recv(100) == b"READY=1"
