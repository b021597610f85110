# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains in virtual networks that edge.cloud.virtual_networks made: libvirt's test driver, real links in a name space."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import DEFINITION
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import Places as DhcpPlaces
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Places
from ansible_collections.edge.cloud.plugins.module_utils._nics import dhcp, networks
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from support.modules import PREFIX, run_module
from support.netspace import ip, netspace

URI = "test:///default"
BLUE = {"name": "blue", "type": "vxlan", "vni": 100, "underlay": "eth0", "members": ["192.0.2.11"]}
RED = {"name": "red", "type": "isolated", "mtu": 1400, "peers_isolated": True}


@pytest.fixture
def module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders
) -> Iterator[Any]:
    identity = tmp_path / "machine-id"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    places = Places(tmp_path / "etc/networks.json", tmp_path / "run/networks.lock", identity, tmp_path / "groups")
    for name in ("virtual_network", "virtual_networks"):
        monkeypatch.setattr(import_module(PREFIX + name), "PLACES", places)
    monkeypatch.setattr(networks, "PLACES", places)
    with netspace(tmp_path, monkeypatch):
        ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
        ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
        ip("link", "set", "eth0", "up")
        yield partial(run_module, capsys)


@pytest.fixture
def run(module: Any) -> Any:
    made = module("virtual_networks", networks=[BLUE, RED])
    assert made["changed"], made
    return partial(module, "domain", uri=URI, disks=[])


def interfaces(driver: Any, name: str = "web", flags: int = libvirt.VIR_DOMAIN_XML_INACTIVE) -> list[ET.Element]:
    return ET.fromstring(driver.lookupByName(name).XMLDesc(flags)).findall("devices/interface")


def written(nic: ET.Element) -> dict[str, Any]:
    found = {"bridge": "source@bridge", "tap": "target@dev", "mtu": "mtu@size", "isolated": "port@isolated"}
    parts = {key: path.split("@") for key, path in found.items()}
    return {key: None if (one := nic.find(tag)) is None else one.get(attribute) for key, (tag, attribute) in parts.items()}


def test_life_of_an_interface_in_virtual_networks(run: Any, module: Any, driver: Any) -> None:
    planned = run(name="web", nics=[{"virtual_network": "blue"}], check=True)
    made = run(name="web", nics=[{"virtual_network": "blue"}])
    assert made["diff"] == planned["diff"]
    (nic,) = made["domain"]["nics"]
    tap = tap_link(made["domain"]["uuid"], "nic0")
    assert (nic["virtual_network"], nic["bridge"], nic["tap"], nic["mtu"], nic["isolated"]) == (
        "blue",
        "evb-blue",
        tap,
        1450,
        False,
    )
    assert written(*interfaces(driver)) == {"bridge": "evb-blue", "tap": tap, "mtu": "1450", "isolated": None}
    assert run(name="web", nics=[{"virtual_network": "blue"}])["changed"] is False
    assert run(name="web", nics=[{}])["changed"] is False
    assert run(name="web")["changed"] is False
    found = module("domain_info", uri=URI, name="web")["domains"][0]["nics"][0]
    assert (found["virtual_network"], found["tap"]) == ("blue", tap)

    moved = run(name="web", nics=[{"virtual_network": "red"}], state="stopped")
    assert moved["changed"], moved
    assert written(*interfaces(driver)) == {"bridge": "evb-red", "tap": tap, "mtu": "1400", "isolated": "yes"}
    left = run(name="web", nics=[{"network": "default"}], state="stopped")
    assert left["domain"]["nics"][0]["virtual_network"] is None
    found = written(*interfaces(driver))
    assert {**found, "tap": None} == {"bridge": None, "tap": None, "mtu": None, "isolated": None}
    assert not str(found["tap"]).startswith("evt-")  # libvirt's test driver makes up a name of its own


def test_an_mtu_of_a_network_that_changed_waits_for_the_next_start(run: Any, module: Any, driver: Any) -> None:
    run(name="web", nics=[{"virtual_network": "blue"}])
    assert module("virtual_networks", networks=[{**BLUE, "mtu": 1300}])["changed"]
    assert run(name="web")["changed"] is False
    planned = run(name="web", nics=[{"virtual_network": "blue"}], check=True)
    found = run(name="web", nics=[{"virtual_network": "blue"}])
    assert planned["diff"] == found["diff"]
    assert found["domain"]["pending_restart"] == ["nics.nic0"]
    assert run(name="web", nics=[{"virtual_network": "blue"}])["changed"] is False
    again = run(name="web", nics=[{"virtual_network": "blue"}], allow_restart=True)
    assert again["domain"]["pending_restart"] == []
    assert written(*interfaces(driver, flags=0))["mtu"] == "1300"


def test_a_clone_has_a_tap_of_its_own(run: Any, module: Any, driver: Any) -> None:
    made = run(name="web", nics=[{"virtual_network": "red"}], state="stopped")
    clone = module("domain_clone", uri=URI, name="web2", source="web")["domain"]
    tap = tap_link(clone["uuid"], "nic0")
    assert tap != made["domain"]["nics"][0]["tap"]
    assert clone["nics"][0]["virtual_network"] == "red"
    assert written(*interfaces(driver, "web2")) == {"bridge": "evb-red", "tap": tap, "mtu": "1400", "isolated": "yes"}
    assert run(name="web2", nics=[{"virtual_network": "red"}], state="stopped")["changed"] is False


def test_what_is_not_there_is_named_before_any_change(run: Any, module: Any, driver: Any) -> None:
    failed = run(name="web", nics=[{"virtual_network": "bleu"}])
    says = "this host has no virtual network bleu (there: blue, red); make it with edge.cloud.virtual_network."
    assert failed["msg"] == f"nics[0].virtual_network: {says}"
    assert failed["error"]["option"] == "nics[0].virtual_network"
    both = module(
        "domains", uri=URI, domains=[{"name": "a", "disks": []}, {"name": "b", "disks": [], "nics": [{"virtual_network": "x"}]}]
    )
    assert both["error"]["errors"][0]["option"] == "nics[0].virtual_network"
    assert [one.name() for one in driver.listAllDomains()] == ["test"]
    ip("link", "delete", "evb-blue")
    gone = run(name="web", nics=[{"virtual_network": "blue"}])
    assert gone["msg"].startswith("nics[0].virtual_network: the bridge of the virtual network blue is not there now")


def test_domains_that_ask_for_none_run_no_program_for_networks(run: Any, module: Any, tmp_path: Path) -> None:
    wanted = [{"name": f"vm{number}", "nics": [{"network": "default"}], "disks": []} for number in range(3)]
    for program in ("ip", "bridge"):
        (tmp_path / program).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran; exit 1\n")
    assert module("domains", uri=URI, domains=wanted)["changed"]
    assert module("domains", uri=URI, domains=wanted)["changed"] is False
    assert not (tmp_path / "ran").exists()
    assert run(name="web", nics=[{"virtual_network": "blue"}])["failed"]
    assert (tmp_path / "ran").exists()


def test_the_file_of_a_host_says_the_same_as_the_host(run: Any, module: Any) -> None:
    assert module("virtual_network", name="x" * 30, type="bridge")["changed"]
    tool = networks.HostNetworks(SubprocessRunner())
    here, recorded = tool.here(), tool.recorded(Path(tool.record).read_bytes(), "the file")
    assert {name: (one.bridge, one.peers_isolated, one.definition) for name, one in here.items()} == {
        name: (one.bridge, one.peers_isolated, one.definition) for name, one in recorded.items()
    }
    assert {name: one.mtu for name, one in here.items()} == {"blue": 1450, "red": 1400, "x" * 30: 1500}
    assert {name: one.mtu for name, one in recorded.items()} == {"blue": None, "red": 1400, "x" * 30: None}


@pytest.mark.parametrize("name", ["blue", "red"])
def test_the_mtu_of_a_network_is_not_that_of_the_smallest_vm(run: Any, name: str) -> None:
    made = run(name="web", nics=[{"virtual_network": name}], state="stopped")["domain"]["nics"][0]
    for tap, mtu in (("tap0", made["mtu"] - 70), ("tap1", made["mtu"] + 70)):
        ip("link", "add", tap, "type", "veth", "peer", "name", f"{tap}-peer")
        ip("link", "set", tap, "mtu", str(mtu), "master", made["bridge"], "up")
        assert run(name="web", nics=[{"virtual_network": name}], state="stopped")["changed"] is False


def test_leases_are_known_of_a_vm_that_runs_and_one_that_does_not(
    run: Any, module: Any, driver: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leased = {"virtual_network": "blue", "addresses": ["198.51.100.20/24"]}
    planned = run(name="web", nics=[leased], state="stopped", check=True)
    made = run(name="web", nics=[leased], state="stopped")
    assert (planned["diff"], planned["domain"]["addresses"]) == (made["diff"], made["domain"]["addresses"])
    assert made["domain"]["nics"][0]["addresses"] == ["198.51.100.20/24"]
    assert made["domain"]["address"] == "198.51.100.20"

    hosts = [{"name": "web", "mac": made["domain"]["nics"][0]["mac"], "addresses": ["198.51.100.20", "2001:db8::20"]}]
    subnets = [{"subnet": "198.51.100.0/24", "address": "198.51.100.2"}, {"subnet": "2001:db8::/64", "address": "2001:db8::2"}]
    told = Definition.checked({"name": "blue", "bridge": "evb-blue", "subnets": subnets, "hosts": hosts})
    places = DhcpPlaces(tmp_path / "dhcp")
    for name, text in (("blue", json.dumps(told.as_json())), ("torn", "{"), ("other", "[]")):
        (places.files / name).mkdir(parents=True)
        (places.files / name / DEFINITION).write_text(text)
    monkeypatch.setattr(dhcp, "PLACES", places)

    (found,) = module("domain_info", uri=URI, name="web")["domains"]
    rows = [(one["address"], one["prefix"], one["source"], one["leased"]) for one in found["addresses"]]
    assert (found["state"], rows) == ("stopped", [("198.51.100.20", 24, "record", True), ("2001:db8::20", 64, "dhcp", True)])
    assert run(name="web", state="stopped")["domain"]["addresses"] == found["addresses"]

    driver.lookupByName("web").create()
    (found,) = module("domain_info", uri=URI, name="web")["domains"]
    assert (found["state"], found["address"]) == ("running", "198.51.100.20")
    assert {one["address"] for one in found["addresses"] if one["leased"]} == {"198.51.100.20", "2001:db8::20"}


def test_another_lease_of_a_running_guest_is_no_change_of_the_guest(run: Any, module: Any) -> None:
    run(name="web", nics=[{"virtual_network": "blue", "addresses": ["198.51.100.20/24"]}])
    wanted = [{"virtual_network": "blue", "addresses": ["198.51.100.21/24"]}]
    planned = run(name="web", nics=wanted, check=True)
    made = run(name="web", nics=wanted)
    assert planned["actions"] == made["actions"] == ["Redefine domain web: nics.nic0.addresses"]
    assert planned["diff"] == made["diff"]
    assert made["domain"]["pending_restart"] == planned["domain"]["pending_restart"] == []
    assert made["domain"]["address"] == "198.51.100.21"
    assert run(name="web", nics=wanted)["changed"] is False
    moved = run(name="web", nics=[{"virtual_network": "red"}], check=True)
    assert moved["domain"]["nics"][0]["addresses"] == []
    assert moved["domain"]["pending_restart"] == ["nics.nic0"]  # for its MTU


def test_a_clone_has_no_lease(run: Any, module: Any) -> None:
    run(name="web", nics=[{"virtual_network": "red", "addresses": ["198.51.100.20"]}], state="stopped")
    clone = module("domain_clone", uri=URI, name="web2", source="web")["domain"]
    assert clone["nics"][0]["addresses"] == []
