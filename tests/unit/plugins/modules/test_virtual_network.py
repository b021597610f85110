# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of virtual networks in this process, with the real ip(8), bridge(8) and kernel in a name space made without root."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.names import mark as dhcp_mark
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.modules import PREFIX, run_module
from support.netspace import cable, configured, ip, netspace

VXLAN = {"name": "private", "type": "vxlan", "vni": 100, "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12", "192.0.2.13"]}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    identity = tmp_path / "machine-id"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    groups = tmp_path / "groups"
    groups.write_text("20\n")
    bgpd = tmp_path / "bgpd.vty"
    return Places(tmp_path / "etc/networks.json", tmp_path / "run/networks.lock", identity, groups, bgpd=bgpd)


@pytest.fixture
def module(tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    for name in ("virtual_network", "virtual_networks", "virtual_network_info"):
        monkeypatch.setattr(import_module(PREFIX + name), "PLACES", places)
    with netspace(tmp_path, monkeypatch):
        cable("eth0", "far0")
        ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
        yield partial(run_module, capsys)


@pytest.fixture
def network(module: Any) -> Any:
    return partial(module, "virtual_network")


def flooded(link: str) -> list[str]:
    found = json.loads(subprocess.run(["bridge", "-j", "fdb", "show", "dev", link], capture_output=True, check=True).stdout)
    return [entry["dst"] for entry in found if "dst" in entry]


def links() -> str:
    return ip("-br", "link")


def test_missing_arguments(module: Any) -> None:
    assert "missing required arguments: name" in module("virtual_network")["msg"]
    assert "type" in module("virtual_network", name="a")["msg"]


@pytest.mark.parametrize("mtu", [576, 1279, 1280, 1281])
def test_links_too_small_for_ipv6_and_their_way_up(network: Any, mtu: int) -> None:
    """The kernel has no IPv6 on a link with an MTU below 1280, refuses settings of it there, and starts over when that rises."""
    assert network(**VXLAN, mtu=mtu)["network"]["mtu"] == mtu
    for after in (mtu, 1400, mtu, 1280):
        network(**VXLAN, mtu=after)
        assert not network(**VXLAN, mtu=after)["changed"]
        for link in ("evb-private", "evx-private"):
            shown = json.loads(ip("-j", "addr", "show", link))[0]
            assert (shown["mtu"], shown["addr_info"]) == (after, [])
            assert after < 1280 or "addrgenmode none" in ip("-d", "link", "show", link)


def test_an_isolated_network_may_have_the_port_of_its_dhcp_service_and_no_other(network: Any) -> None:
    isolated = {"name": "private", "type": "isolated"}
    network(**isolated)
    ip("link", "add", "evd-x", "type", "veth", "peer", "name", "inner")
    ip("link", "set", "evd-x", "master", "evb-private")
    assert "has the ports evd-x; detach them" in network(**isolated)["msg"]
    ip("link", "set", "evd-x", "alias", "of others")
    assert "has the ports evd-x; detach them" in network(**isolated)["msg"]
    ip("link", "set", "evd-x", "alias", dhcp_mark("private"))
    assert not network(**isolated)["changed"]


def test_create_change_and_remove_each_twice(network: Any, places: Places) -> None:
    predicted = network(check=True, **VXLAN)
    assert "evb-private" not in links()
    assert not places.record.exists()
    made = network(**VXLAN)
    assert made["changed"]
    assert (made["diff"], made["actions"], made["network"]) == (predicted["diff"], predicted["actions"], predicted["network"])
    assert made["network"]["mtu"] == 1450
    assert made["network"]["peers"] == ["192.0.2.12", "192.0.2.13"]
    assert json.loads(places.record.read_text())["networks"][0]["vni"] == 100
    assert stat.S_IMODE(places.record.stat().st_mode) == 0o644
    again = network(**VXLAN)
    assert (again["changed"], again["network"]) == (False, made["network"])

    changed = network(**{**VXLAN, "members": ["192.0.2.11", "192.0.2.13", "192.0.2.14"], "vni": 101})
    assert changed["network"]["peers"] == ["192.0.2.13", "192.0.2.14"]
    assert not network(**{**VXLAN, "members": ["192.0.2.11", "192.0.2.13", "192.0.2.14"], "vni": 101})["changed"]

    predicted = network(check=True, name="private", state="absent")
    assert predicted["network"] == {"name": "private", "state": "absent"}
    gone = network(name="private", state="absent")
    assert (gone["changed"], gone["network"], gone["diff"]) == (True, predicted["network"], predicted["diff"])
    assert "private" not in links()
    assert not places.record.exists()
    assert not network(name="private", state="absent")["changed"]


def test_a_member_that_comes_and_one_that_goes_are_all_that_changes(network: Any) -> None:
    network(**VXLAN)
    before = ip("-o", "link")
    subprocess.run(
        ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "evx-private", "dst", "192.0.2.12", "port", "5555", "self"],
        check=True,
    )
    changed = network(**{**VXLAN, "members": ["192.0.2.12", "192.0.2.14"]})
    assert changed["actions"] == [
        "Change the hosts of the network private: add 192.0.2.14; remove 192.0.2.12, 192.0.2.13",
        "Make the network private at boot",
    ]
    assert sorted(flooded("evx-private")) == ["192.0.2.12", "192.0.2.14"]
    assert ip("-o", "link") == before


def test_what_frr_put_into_the_table_stays(network: Any) -> None:
    """Entries as zebra makes them: hosts to flood to, addresses behind them, and those of the bridge."""
    evpn = {**VXLAN, "flood": "evpn", "members": []}
    network(**VXLAN)
    made = network(**evpn)
    assert made["network"]["peers"] == [] == flooded("evx-private"), "the list of before is gone"
    assert "flood: evpn was asked for private, and FRR's BGP does not run" in str(made["warnings"])
    info = json.loads(ip("-j", "-d", "link", "show", "evx-private"))[0]["linkinfo"]
    assert (info["info_data"]["learning"], info["info_slave_data"]["learning"]) == (False, False)
    assert info["info_slave_data"]["neigh_suppress"] is False
    mac = "52:54:00:00:00:09"
    for words in (
        ("append", "00:00:00:00:00:00", "dev", "evx-private", "dst", "192.0.2.77", "self", "permanent"),
        ("append", mac, "dev", "evx-private", "dst", "192.0.2.77", "self", "extern_learn"),
        ("append", mac, "dev", "evx-private", "master", "extern_learn"),
    ):
        subprocess.run(["bridge", "fdb", *words], check=True)
    before = subprocess.run(["bridge", "fdb", "show"], capture_output=True, check=True).stdout
    again = network(**evpn)
    assert not again["changed"]
    assert again["network"]["peers"] == ["192.0.2.77"]
    assert network(**{**evpn, "mtu": 1400})["changed"]
    assert subprocess.run(["bridge", "fdb", "show"], capture_output=True, check=True).stdout == before
    ip("link", "set", "evx-private", "type", "bridge_slave", "learning", "on")
    assert network(**{**evpn, "mtu": 1400})["actions"] == ["Let the bridge learn no addresses behind evx-private"]
    ip("link", "set", "evx-private", "nomaster")
    assert len(network(**{**evpn, "mtu": 1400})["actions"]) == 2
    assert not network(**{**evpn, "mtu": 1400})["changed"]
    assert network(**VXLAN)["network"]["peers"] == ["192.0.2.12", "192.0.2.13"] == sorted(flooded("evx-private"))


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"name": "a/b"}, "name"),
        ({"vni": 0}, "vni"),
        ({"vni": 16777216}, "vni"),
        ({"vlan_id": 5}, "vlan_id"),
        ({"members": ["192.0.2.300"]}, "members[0]"),
        ({"members": ["192.0.2.11", "2001:db8::1"]}, "members"),
        ({"members": ["239.1.1.1"]}, "members[0]"),
        ({"flood": "multicast", "members": []}, "group"),
        ({"flood": "multicast", "group": "192.0.2.1", "members": []}, "group"),
        ({"flood": "multicast", "group": "224.0.0.5", "members": []}, "group"),
        *(
            ({"flood": "multicast", "group": text, "members": []}, "group")
            for text in ("ff01::5", "ff02::5", "ff11::5", "ff00::5", "2001:db8::1")
        ),
        ({"group": "239.1.1.1"}, "group"),
        ({"flood": "evpn"}, "members"),
        ({"flood": "evpn", "members": [], "group": "239.1.1.1"}, "group"),
        ({"members": ["::ffff:192.0.2.1"]}, "members[0]"),
        ({"port": 0}, "port"),
        ({"mtu": 10}, "mtu"),
        ({"subnets": ["192.0.2.1/24"]}, "subnets[0]"),
        *(({"subnets": [text]}, "subnets[0]") for text in ("192.0.2.7", "0.0.0.0/1", "0.0.0.0/8", "::ffff:0:0/112", "fe80::/64")),
        ({"subnets": ["2001:db8::/64"], "gateway": ["2001:db8::"]}, "gateway[0]"),
        ({"subnets": ["192.0.2.0/24", "192.0.2.0/25"]}, "subnets"),
        ({"subnets": ["192.0.2.0/24"], "gateway": ["198.51.100.1"]}, "gateway[0]"),
        ({"dns": ["one.example"]}, "dns[0]"),
        ({"dhcp": True}, "dhcp"),
        ({"underlay": "evb-other"}, "underlay"),
        ({"vlan_protocol": "802.1ad"}, "vlan_protocol"),
        ({"vlans": ["10"]}, "vlans"),
        *(
            ({"vlan_filtering": True, "vlans": ["10", text]}, "vlans[1]")
            for text in ("0", "1", "1-5", "4095", "20-10", "a", "-5", "5-", "٥", "10,20", "00010")
        ),
    ],
)
def test_bad_input_is_named_and_nothing_is_made(network: Any, module: Any, options: dict[str, Any], option: str) -> None:
    failed = network(**{**VXLAN, **options})
    assert failed["error"]["code"] == "invalid_input"
    assert failed["error"]["option"] == option
    assert failed["msg"].startswith(f"{option}: ")
    listed = module("virtual_networks", networks=[{"name": "ok", "type": "isolated"}, {**VXLAN, **options}])
    assert listed["msg"].startswith(f"networks[1].{option}: ")
    assert "evb" not in links()


@pytest.mark.parametrize("option", ["members", "gateway", "dns"])
@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.01", "one.example"])
def test_what_is_no_address_is_shown_as_one_is_written(network: Any, option: str, text: str) -> None:
    failed = network(**{**VXLAN, "subnets": ["192.0.2.0/24"], option: [text]})
    assert failed["msg"] == f"{option}[0]: '{text}' is not an IP address; write it alone, as 192.0.2.10 or 2001:db8::10."


@pytest.mark.parametrize(
    ("prepare", "options", "option", "words"),
    [
        ((), {"underlay": "eth9"}, "underlay", "far0"),
        ((), {"underlay": "far0", "members": ["192.0.2.12"]}, "underlay", "no IPv4 address"),
        ((), {"local": "192.0.2.99"}, "local", "192.0.2.11"),
        ((), {"mtu": 1451}, "mtu", "1450 at most"),
        (("link", "set", "eth0", "mtu", "620"), {}, "underlay", "570"),
        (("link", "set", "eth0", "mtu", "1300"), {"subnets": ["2001:db8::/64"]}, "underlay", "1280"),
        (("link", "add", "evb-private", "type", "bridge"), {}, "name", "not ours"),
        (("link", "add", "evx-private", "type", "bridge"), {}, "name", "not ours"),
        (("link", "add", "v", "type", "vxlan", "id", "100", "dev", "eth0", "dstport", "4789"), {}, "vni", "link v"),
        (("link", "add", "v", "type", "vxlan", "external", "dstport", "4789"), {}, "port", "link v"),
        (("addr", "add", "192.0.2.12/24", "dev", "far0"), {}, "members", "far0"),
        (("addr", "add", "192.0.2.12/24", "dev", "eth0"), {}, "local", "192.0.2.11, 192.0.2.12"),
    ],
)
def test_what_the_host_cannot_have_is_refused_before_any_change(
    network: Any, prepare: tuple[str, ...], options: dict[str, Any], option: str, words: str
) -> None:
    if prepare:
        ip(*prepare)
    before = configured()
    for check in (True, False):
        failed = network(check=check, **{**VXLAN, **options})
        assert failed["failed"]
        assert failed["msg"].startswith(f"{option}: ")
        assert words in failed["msg"]
    assert configured() == before


def test_networks_that_clash_with_each_other(module: Any, network: Any) -> None:
    other = {**VXLAN, "name": "other"}
    failed = module("virtual_networks", networks=[VXLAN, other, {**VXLAN, "name": "third", "mtu": 9000}])
    assert failed["msg"].splitlines()[0].startswith("networks[1].vni: VNI 100 (UDP port 4789) is in use: the network private")
    assert failed["msg"].splitlines()[1].startswith("networks[2].mtu: ")
    assert [row["network"] for row in failed["error"]["errors"]] == ["other", "third"]
    twice = module("virtual_networks", networks=[VXLAN, VXLAN])
    assert twice["msg"].startswith("networks[1].name: private is networks[0] already")
    assert "evb" not in links()
    network(**VXLAN)
    assert network(**other)["error"]["option"] == "vni"
    ip("link", "del", "evx-private")
    assert network(**other)["error"]["option"] == "vni"  # it is made again at boot
    assert not network(**{**other, "port": 4790})["failed"]


def test_two_networks_swap_their_numbers(module: Any) -> None:
    one, two = VXLAN, {**VXLAN, "name": "other", "vni": 200}
    module("virtual_networks", networks=[one, two])
    swapped = [{**one, "vni": 200}, {**two, "vni": 100}]
    assert module("virtual_networks", networks=swapped)["changed"]
    assert not module("virtual_networks", networks=swapped)["changed"]


def test_more_multicast_groups_than_the_kernel_joins(module: Any) -> None:
    def asked(number: int) -> list[dict[str, Any]]:
        base = {"type": "vxlan", "underlay": "eth0", "flood": "multicast"}
        return [{**base, "name": f"n{place}", "vni": place + 1, "group": f"239.1.1.{place + 1}"} for place in range(number)]

    failed = module("virtual_networks", networks=asked(21))
    assert failed["msg"].startswith("networks[20].group: 239.1.1.21 would be multicast group 21")
    assert "20 (net.ipv4.igmp_max_memberships)" in failed["msg"]
    assert "evb" not in links()
    assert module("virtual_networks", networks=asked(20))["changed"]
    assert not module("virtual_networks", networks=asked(20))["changed"]
    assert module("virtual_network", **asked(21)[20])["error"]["option"] == "group"
    shared = {**asked(21)[20], "group": "239.1.1.1"}
    assert module("virtual_network", **shared)["changed"]


def test_a_smaller_underlay_is_seen(network: Any) -> None:
    network(**VXLAN)
    ip("link", "set", "eth0", "mtu", "1400")
    seen = network(check=True, **VXLAN)
    assert seen["actions"] == [
        "Set the MTU of evb-private from 1450 to 1350",
        "Set the MTU of evx-private from 1450 to 1350",
    ]
    failed = network(**VXLAN, mtu=1450)
    assert failed["msg"].startswith("mtu: 1450 was asked, and eth0 has an MTU of 1400")
    assert network(**VXLAN)["network"]["mtu"] == 1350
    assert not network(**VXLAN)["changed"]


def test_a_network_that_is_used_stays(network: Any) -> None:
    network(**VXLAN)
    ip("tuntap", "add", "vnet0", "mode", "tap")
    ip("link", "set", "vnet0", "master", "evb-private")
    assert network(**VXLAN)["network"]["ports"] == ["vnet0"]
    refused = network(name="private", state="absent")
    assert (refused["error"]["code"], refused["error"]["ports"]) == ("refused", ["vnet0"])
    assert network(**{**VXLAN, "vni": 5})["network"]["ports"] == ["vnet0"]
    assert network(name="private", state="absent", allow_disruption=True)["changed"]
    assert "vnet0" in links()


def test_a_link_without_the_mark_is_never_changed(network: Any) -> None:
    network(**VXLAN)
    ip("link", "set", "evb-private", "alias", "mine")
    before = ip("link")
    assert network(**VXLAN)["error"]["option"] == "name"
    network(name="private", state="absent")
    assert "evb-private" in links()
    assert "alias mine" in before


def test_a_bridge_that_is_there_and_one_of_its_own(network: Any) -> None:
    ip("link", "add", "br0", "mtu", "9000", "type", "bridge")
    before = configured("show", "br0")
    there = {"name": "public", "type": "bridge", "bridge": "br0"}
    predicted = network(check=True, **there)
    made = network(**there)
    assert made["network"] == predicted["network"]
    assert (made["network"]["bridge"], made["network"]["mtu"], made["network"]["links"]) == ("br0", 9000, [])
    assert not network(**there)["changed"]
    assert network(**{**there, "bridge": "br1"})["error"]["option"] == "bridge"
    assert network(**there, vlan_filtering=True)["error"]["option"] == "vlan_filtering"
    assert network(**{**there, "bridge": "eth0"})["error"]["code"] == "conflict"
    assert network(name="public", state="absent")["network"] == {"name": "public", "state": "absent"}
    assert configured("show", "br0") == before
    long = {"name": "a-network-with-a-long-name", "type": "isolated"}
    name = network(**long)["network"]["bridge"]
    assert name in links()
    assert not network(**long)["changed"]
    ip("link", "set", "far0", "master", name)
    assert network(**long)["msg"].startswith("type: the network a-network-with-a-long-name is to be isolated")


@pytest.mark.parametrize("kind", ["nat", "routed"])
def test_a_type_that_is_made_elsewhere(network: Any, kind: str) -> None:
    failed = network(name="a", type=kind)
    assert failed["error"] == {"code": "unsupported", "option": "type"}
    assert "nat_network" in failed["msg"]


def test_what_a_newer_version_wrote_is_kept(network: Any, places: Places) -> None:
    network(**VXLAN)
    found = json.loads(places.record.read_text())
    found["networks"][0]["later"] = 1
    places.record.write_text(json.dumps({**found, "more": 2}))
    assert not network(**VXLAN)["changed"]
    network(**VXLAN, dns=["192.0.2.53"])
    again = json.loads(places.record.read_text())
    assert (again["more"], again["networks"][0]["later"], again["networks"][0]["dns"]) == (2, 1, ["192.0.2.53"])
    places.record.write_text(json.dumps({**found, "schema": 2}))
    assert network(**VXLAN)["error"]["code"] == "unsupported"


def test_info(module: Any, network: Any, places: Places) -> None:
    assert module("virtual_network_info")["networks"] == []
    made = network(**VXLAN)["network"]
    network(name="alone", type="isolated")
    assert [one["name"] for one in module("virtual_network_info")["networks"]] == ["alone", "private"]
    assert module("virtual_network_info", name="private")["networks"] == [made]
    places.record.unlink()
    assert module("virtual_network_info", name="private")["networks"] == [{**made, "boot": None}]
    ip("link", "del", "evb-alone")
    assert [one["name"] for one in module("virtual_network_info")["networks"]] == ["private"]


def test_a_run_killed_after_each_command_converges(network: Any, tmp_path: Path, places: Places) -> None:
    """A program in the place of ip and bridge carries out only the first commands of a batch, and dies."""
    count = tmp_path / "count"
    real = {name: tmp_path / f"real-{name}" for name in ("ip", "bridge")}
    for name, program in real.items():
        shutil.move(tmp_path / name, program)
        (tmp_path / name).write_text(
            f'#!/bin/sh\nif [ "$1" != -batch ]; then exec {program} "$@"; fi\nleft=$(cat {count}); all=$(cat)\n'
            f'printf "%s\\n" "$all" | head -n "$left" | {program} -batch - || exit 1\n'
            f'echo $((left - $(printf "%s\\n" "$all" | head -n "$left" | wc -l))) > {count}\n'
            'if [ "$(printf "%s\\n" "$all" | wc -l)" -gt "$left" ]; then kill -9 $$; fi\n'
        )
        (tmp_path / name).chmod(0o755)

    def to_the_end(asked: dict[str, Any]) -> int:
        for commands in range(1, 30):
            count.write_text(f"{commands}\n")
            if not network(**asked)["failed"]:
                return commands
            count.write_text("1000\n")
            assert not network(**asked)["failed"], commands
            assert not network(**asked)["changed"], commands
            undo = VXLAN if asked.get("state") else {"name": "private", "state": "absent"}
            assert not network(**undo)["failed"]
            assert asked.get("state") or "private" not in links()
        raise AssertionError("it never ended")

    assert to_the_end(VXLAN) == 8
    assert to_the_end({"name": "private", "state": "absent"}) == 2
    count.write_text("1\n")
    assert network(**VXLAN)["failed"]
    assert "evb-private" in links()
    count.write_text("1000\n")
    assert network(name="private", state="absent")["changed"]
    assert "private" not in links()


def test_the_kernels_error_says_how_far_it_got(network: Any, tmp_path: Path) -> None:
    real = tmp_path / "real"
    shutil.move(tmp_path / "ip", real)
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\nif [ "$1" = -batch ]; then {real} link add evx-private type bridge; fi\nexec {real} "$@"\n'
    )
    (tmp_path / "ip").chmod(0o755)
    failed = network(**VXLAN)
    assert failed["error"]["code"] == "command_failed"
    assert failed["error"]["done"] == ["Add the bridge evb-private for the network private"]
    assert failed["error"]["failed_action"] == "Add the vxlan evx-private for the network private"
    assert len(failed["error"]["left"]) == 2


def test_a_host_without_ipv6(network: Any, tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of ip refuses what a kernel refuses that was booted with ipv6.disable=1."""
    real = tmp_path / "real"
    shutil.move(tmp_path / "ip", real)
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\nall=; if [ "$1" = -batch ]; then all=$(cat); fi\ncase "$* $all" in\n*addrgenmode*|*fe80*|*token*)\n'
        "echo 'RTNETLINK answers: Address family not supported by protocol' >&2; exit 2\nesac\n"
        f'printf "%s\\n" "$all" | {real} "$@"\n'
    )
    (tmp_path / "ip").chmod(0o755)
    assert "not supported by protocol" in network(**VXLAN)["msg"]
    monkeypatch.setattr(import_module(PREFIX + "virtual_network"), "PLACES", replace(places, ipv6=tmp_path / "none"))
    for mtu in (1400, 600, 1300):
        assert network(**VXLAN, mtu=mtu)["network"]["mtu"] == mtu
        assert not network(**VXLAN, mtu=mtu)["changed"]
    failed = network(**{**VXLAN, "members": ["2001:db8::12"]})
    assert failed["msg"].startswith("members: 2001:db8::12 is IPv6, and the kernel of this host has none")
    assert network(name="private", state="absent")["changed"]


def test_two_processes_make_the_same_network(module: Any, places: Places) -> None:
    results: list[Any] = []
    asked = [Wanted.checked({**VXLAN, "name": f"n{place}", "vni": place + 1}) for place in range(20)]

    def work() -> None:
        plan, _after = reconcile(Networking(SubprocessRunner(), places), asked, check=False)
        results.append(plan.changed)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results) == [False, False, False, True]
    assert not module("virtual_networks", networks=[{**VXLAN, "name": f"n{place}", "vni": place + 1} for place in range(20)])[
        "changed"
    ]
