# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules vxlan and vlan in this process, with the real ip(8), bridge(8) and kernel in a name space made without root."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import make_recorded
from ansible_collections.edge.cloud.plugins.module_utils._nics.networks import HostNetworks
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.modules import PREFIX, run_module
from support.netspace import cable, configured, ip, netspace

VXLAN = {"name": "cluster0", "vni": 100, "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12"]}
NETWORK = {"name": "private", "type": "vxlan", "vni": 200, "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12"]}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    identity = tmp_path / "machine-id"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    return Places(tmp_path / "etc/networks.json", tmp_path / "run/networks.lock", identity)


@pytest.fixture
def module(tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    for name in ("vlan", "vxlan", "virtual_network", "virtual_network_info"):
        monkeypatch.setattr(import_module(PREFIX + name), "PLACES", places)
    with netspace(tmp_path, monkeypatch):
        cable("eth0", "far0")
        ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
        yield partial(run_module, capsys)


@pytest.fixture
def vxlan(module: Any) -> Any:
    return partial(module, "vxlan")


def shown(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ip("-j", "-d", "link", "show", name))[0]
    return found


def test_missing_arguments(vxlan: Any, module: Any) -> None:
    assert "missing required arguments: name" in vxlan()["msg"]
    assert "vni, underlay" in vxlan(name="a")["msg"]
    assert "vlan_id, underlay" in module("vlan", name="a")["msg"]


def test_create_change_and_remove_each_twice(vxlan: Any, places: Places) -> None:
    predicted = vxlan(check=True, **VXLAN)
    assert not places.record.exists()
    made = vxlan(**VXLAN)
    assert (made["diff"], made["actions"], made["link"]) == (predicted["diff"], predicted["actions"], predicted["link"])
    assert made["actions"] == ["Add the vxlan cluster0", "Change the hosts of cluster0: add 192.0.2.12", "Make cluster0 at boot"]
    assert (made["link"]["mtu"], made["link"]["vni"], made["link"]["peers"]) == (1450, 100, ["192.0.2.12"])
    link = shown("cluster0")
    assert (link["ifalias"], link["address"], "UP" in link["flags"]) == ("edge.cloud network cluster0", made["link"]["mac"], True)
    assert link["inet6_addr_gen_mode"] == "eui64"  # it is a link for addresses, unlike that of a bridge
    assert not vxlan(**VXLAN)["changed"]

    changed = vxlan(**{**VXLAN, "vni": 101, "members": ["192.0.2.13"], "mtu": 1400})
    assert (changed["link"]["vni"], changed["link"]["peers"], changed["link"]["mtu"]) == (101, ["192.0.2.13"], 1400)
    assert not vxlan(**{**VXLAN, "vni": 101, "members": ["192.0.2.13"], "mtu": 1400})["changed"]

    predicted = vxlan(check=True, name="cluster0", state="absent")
    gone = vxlan(name="cluster0", state="absent")
    assert (gone["link"], gone["diff"]) == (predicted["link"], predicted["diff"])
    assert gone["actions"] == ["Do not make cluster0 at boot", "Remove the vxlan cluster0"]
    assert gone["link"] == {"name": "cluster0", "state": "absent"}
    assert "cluster0" not in ip("-br", "link")
    assert not places.record.exists()
    assert not vxlan(name="cluster0", state="absent")["changed"]


def test_a_link_in_use_stays(vxlan: Any, module: Any) -> None:
    vxlan(**VXLAN)
    uses = {
        "the addresses 198.51.100.1/24 of this host": (("addr", "add", "198.51.100.1/24", "dev", "cluster0"), ("addr", "flush")),
        "the master br0": (("link", "set", "cluster0", "master", "br0"), ("link", "set", "nomaster")),
        "upon it upper0": (("link", "add", "link", "cluster0", "name", "upper0", "type", "macvlan"), ("link", "del")),
    }
    ip("link", "add", "br0", "type", "bridge")
    for words, (prepare, undo) in uses.items():
        ip(*prepare)
        assert not vxlan(**VXLAN)["changed"]
        for asked, option in (({"name": "cluster0", "state": "absent"}, "state"), ({**VXLAN, "vni": 7}, "vni")):
            refused = vxlan(**asked)
            assert refused["msg"].startswith(f"{option}: the vxlan cluster0 has {words}, which would be cut off")
            assert refused["error"]["code"] == "refused"
        ip(*undo[:2], "dev", "upper0" if "upper0" in prepare else "cluster0", *undo[2:])
    ip("link", "set", "cluster0", "master", "br0")
    assert vxlan(**{**VXLAN, "vni": 7}, allow_disruption=True)["link"]["master"] == "br0"
    assert vxlan(name="cluster0", state="absent", allow_disruption=True)["changed"]


def test_a_network_and_a_link_alone_are_not_the_same(vxlan: Any, module: Any) -> None:
    vxlan(**VXLAN)
    module("virtual_network", **NETWORK)
    before = configured()
    for name, options, words in (
        ("virtual_network", {"name": "cluster0", "type": "isolated"}, "cluster0 is of edge.cloud.vxlan on this host"),
        ("virtual_network", {"name": "cluster0", "state": "absent"}, "cluster0 is of edge.cloud.vxlan on this host"),
        ("vlan", {"name": "cluster0", "vlan_id": 5, "underlay": "eth0"}, "cluster0 is of edge.cloud.vxlan on this host"),
        ("vlan", {"name": "cluster0", "state": "absent"}, "cluster0 is of edge.cloud.vxlan on this host"),
        ("vxlan", {**VXLAN, "name": "private"}, "private is of edge.cloud.virtual_network on this host"),
        ("vxlan", {"name": "private", "state": "absent"}, "private is of edge.cloud.virtual_network on this host"),
    ):
        failed = module(name, **options)
        assert failed["msg"].startswith(f"name: {words}")
        assert failed["error"]["code"] == "conflict"
    assert configured() == before


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ({"name": "a-name-too-long-for-a-link"}, "name: 'a-name-too-long-for-a-link'"),
        ({"name": "evb-private"}, "name: evb-private has a prefix of links of virtual networks"),
        ({"name": "far0"}, "name: far0 needs the link far0, which exists and is not ours"),
        ({"vni": 0}, "vni: 0 is out of range"),
        ({"vni": 200}, "vni: VNI 200 (UDP port 4789) is in use: the network private has it"),
        ({"underlay": "eth9"}, "underlay: there is no link eth9"),
        ({"underlay": "evb-private"}, "underlay: evb-private has a prefix"),
        ({"underlay": "cluster0"}, "underlay: there is no link cluster0"),
        ({"mtu": 1451}, "mtu: 1451 was asked, and eth0 has an MTU of 1500"),
    ],
)
def test_bad_input_is_named_and_nothing_is_made(vxlan: Any, module: Any, options: dict[str, Any], begins: str) -> None:
    module("virtual_network", **NETWORK)
    before = configured()
    for check in (True, False):
        assert vxlan(check=check, **{**VXLAN, **options})["msg"].startswith(begins)
    assert configured() == before


def test_a_link_over_itself(vxlan: Any, module: Any) -> None:
    vxlan(**VXLAN)
    ip("addr", "add", "203.0.113.11/24", "dev", "cluster0")
    assert vxlan(**{**VXLAN, "underlay": "cluster0"}, allow_disruption=True)["msg"].startswith(
        "underlay: cluster0 is over cluster0"
    )
    vxlan(name="upper0", vni=5, underlay="cluster0")
    ip("addr", "add", "203.0.113.111/24", "dev", "upper0")
    looped = vxlan(**{**VXLAN, "underlay": "upper0"}, allow_disruption=True)
    assert looped["msg"].startswith("underlay: upper0 is over cluster0, which is of cluster0 itself")


def test_at_boot_links_alone_are_there_before_what_is_upon_them(vxlan: Any, module: Any, places: Places, tmp_path: Path) -> None:
    """Addresses are given as the host's network configuration does: when the link comes."""
    vxlan(**VXLAN)
    ip("addr", "add", "203.0.113.11/24", "dev", "cluster0")
    assert vxlan(name="a-upper", vni=5, underlay="cluster0", members=["203.0.113.12"])["link"]["mtu"] == 1400
    ip("addr", "add", "198.51.100.11/24", "dev", "a-upper")
    over = module("virtual_network", **{**NETWORK, "underlay": "a-upper", "members": ["198.51.100.12"]})
    assert over["network"]["mtu"] == 1350
    for name in ("evb-private", "evx-private", "a-upper", "cluster0"):
        ip("link", "del", name)
    real = tmp_path / "real"
    shutil.move(tmp_path / "ip", real)
    given = f"{real} addr add 203.0.113.11/24 dev cluster0; {real} addr add 198.51.100.11/24 dev a-upper"
    (tmp_path / "ip").write_text(f'#!/bin/sh\n{real} "$@"; rc=$?\nif [ "$1" = -batch ]; then {given}; fi 2> /dev/null\nexit $rc\n')
    (tmp_path / "ip").chmod(0o755)
    net = Networking(SubprocessRunner(), places)
    made = make_recorded(net, check=False)
    assert made.failed == {}
    assert module("virtual_network_info", name="private")["networks"] == [over["network"]]
    assert make_recorded(net, check=False).actions == []
    ip("link", "del", "cluster0")  # and what is upon it
    assert make_recorded(net, check=False).failed == {}


def test_no_vm_can_be_in_a_link_alone(vxlan: Any, module: Any, places: Places) -> None:
    vxlan(**VXLAN)
    module("virtual_network", **NETWORK)
    tool = HostNetworks(SubprocessRunner(), places)
    assert list(tool.here()) == ["private"]
    assert list(tool.recorded(places.record.read_bytes(), "here")) == ["private"]
    listed = module("virtual_network_info")["networks"]
    assert [(one["name"], one["module"], one["bridge"]) for one in listed] == [
        ("cluster0", "vxlan", None),
        ("private", "virtual_network", "evb-private"),
    ]


def test_a_run_killed_before_the_mark_converges(vxlan: Any, tmp_path: Path) -> None:
    real = tmp_path / "real"
    shutil.move(tmp_path / "ip", real)
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\nif [ "$1" = -batch ]; then head -n 1 | {real} -batch -; kill -9 $$; fi\nexec {real} "$@"\n'
    )
    (tmp_path / "ip").chmod(0o755)
    assert vxlan(**VXLAN)["failed"]
    assert "ifalias" not in shown("cluster0")
    shutil.move(real, tmp_path / "ip")
    assert vxlan(**VXLAN)["actions"][0] == "Finish cluster0"
    assert not vxlan(**VXLAN)["changed"]


def test_a_link_alone_that_the_kernel_never_takes_whole_does_not_hold_up_the_others(
    vxlan: Any, module: Any, places: Places, tmp_path: Path
) -> None:
    vxlan(**VXLAN)
    module("virtual_network", **NETWORK)
    for name in ("evb-private", "evx-private", "cluster0"):
        ip("link", "del", name)
    real = tmp_path / "real"
    shutil.move(tmp_path / "ip", real)
    (tmp_path / "ip").write_text(
        f'#!/bin/sh\nif [ "$1" = -batch ]; then grep -v "cluster0 up" | {real} -batch -; else exec {real} "$@"; fi\n'
    )
    (tmp_path / "ip").chmod(0o755)
    made = make_recorded(Networking(SubprocessRunner(), places), check=False)
    assert "what it lacks: Set cluster0 up" in made.failed.pop("cluster0").message
    assert made.failed == {}
    assert shown("evx-private")["master"] == "evb-private"
