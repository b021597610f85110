# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses of a domain's interfaces: libvirt's test driver, and routes, filters and settings in a name space."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.source import read_source
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Places as PublicPlaces
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Places
from ansible_collections.edge.cloud.plugins.module_utils._nics import addresses, networks
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from support.modules import PREFIX, run_module
from support.netspace import ip, netspace

URI = "test:///default"
PUBLIC = "203.0.113.10"
NIC = {"virtual_network": "blue"}
Announced = list[tuple[str, str, str, str | None]]


@pytest.fixture
def announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders
) -> Iterator[Announced]:
    identity = tmp_path / "machine-id"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    places = Places(tmp_path / "etc/networks.json", tmp_path / "run/networks.lock", identity, tmp_path / "groups")
    etc = tmp_path / "sysctl.d"
    public = PublicPlaces(
        tmp_path / "etc/public.json", places.record, tmp_path / "run/public.lock", etc / "80-edge.conf", (etc,), tmp_path / "none"
    )
    for name, found in (("virtual_networks", places), ("public_address", public), ("public_address_info", public)):
        monkeypatch.setattr(import_module(PREFIX + name), "PLACES", found)
    monkeypatch.setattr(networks, "PLACES", places)
    monkeypatch.setattr(addresses, "PLACES", public)
    told: Announced = []
    monkeypatch.setattr(addresses, "ANNOUNCER", lambda *what: told.append(what))  # packet sockets are of this process's name space
    with netspace(tmp_path, monkeypatch):
        enter = (tmp_path / "ip").read_text().split("exec ", 1)[1].rpartition(" --preserve-credentials")[0]
        for name in ("nft", "sysctl"):
            (tmp_path / name).write_text(f'#!/bin/sh\nexec {enter} --preserve-credentials {shutil.which(name)} "$@"\n')
            (tmp_path / name).chmod(0o755)
        ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
        ip("addr", "add", "203.0.113.2/24", "dev", "eth0")
        for link in ("eth0", "far0"):
            ip("link", "set", link, "up")
        ip("route", "add", "default", "via", "203.0.113.1")
        subprocess.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"], check=True)
        yield told


@pytest.fixture
def module(announced: Announced, capsys: pytest.CaptureFixture[str]) -> Any:
    found = partial(run_module, capsys)
    assert found("virtual_networks", networks=[{"name": "blue", "type": "isolated"}, {"name": "red", "type": "isolated"}])[
        "changed"
    ]
    return found


@pytest.fixture
def run(module: Any) -> Any:
    return partial(module, "domain", uri=URI, name="web", disks=[])


def given(module: Any) -> list[str]:
    return [one["address"] for one in module("public_address_info")["public_addresses"]]


def routed() -> list[str]:
    return [one["dst"] for one in json.loads(ip("-j", "route", "show", "proto", "219"))]


def nics(*addresses: str, **options: Any) -> list[dict[str, Any]]:
    return [{**NIC, "public_address": [{"address": address, **options} for address in addresses]}]


def test_a_domain_has_its_addresses_as_long_as_it_is_defined(run: Any, module: Any, announced: Announced) -> None:
    predicted = run(nics=nics(PUBLIC), check=True)
    assert not given(module)
    made = run(nics=nics(PUBLIC))
    assert made["changed"], made
    assert (made["actions"], made["diff"]) == (predicted["actions"], predicted["diff"])
    assert made["actions"][-1] == f"Give web the public address {PUBLIC}"
    (nic,) = made["domain"]["nics"]
    assert [one["address"] for one in nic["public_address"]] == [PUBLIC]
    assert made["domain"]["pending_restart"] == []
    (found,) = module("public_address_info")["public_addresses"]
    assert (found["tap"], found["mac"], found["bridge"], found["vm"]) == (nic["tap"], nic["mac"], "evb-blue", "web")
    assert routed() == [PUBLIC]
    assert ("203.0.113.10", "eth0") in [(address, link) for address, _mac, link, _to in announced]
    for again in ({"nics": nics(PUBLIC)}, {"nics": [NIC]}, {}, {"nics": nics(" 203.0.113.10/32")}):
        assert run(**again)["changed"] is False
    assert module("domain_info", uri=URI, name="web")["domains"][0]["nics"][0]["public_address"] == nic["public_address"]


def test_it_gets_back_what_others_took_and_gives_back_what_is_not_asked_any_more(run: Any, module: Any) -> None:
    run(nics=nics(PUBLIC))
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    ip("route", "del", PUBLIC)
    assert run(check=True)["actions"] == [f"Give web the public address {PUBLIC}"]
    assert run()["changed"]
    assert run()["changed"] is False
    assert routed() == [PUBLIC]
    run(state="stopped")
    assert given(module) == [PUBLIC]
    more = run(state="stopped", nics=nics(PUBLIC, "203.0.113.11"))
    assert more["actions"][-1] == "Give web the public address 203.0.113.11"
    less = run(state="stopped", nics=nics("203.0.113.11"))
    assert less["actions"][0] == f"Take the public address {PUBLIC} from web"
    assert (given(module), routed()) == (["203.0.113.11"], ["203.0.113.11"])
    gone = run(state="absent")
    assert gone["actions"][0] == "Take the public address 203.0.113.11 from web"
    assert (given(module), routed()) == ([], [])


def test_addresses_of_the_module_are_left_alone_and_those_of_another_vm_are_refused(run: Any, module: Any) -> None:
    made = run(nics=[NIC])["domain"]
    tap = tap_link(made["uuid"], "nic0")
    assert module("public_address", address=PUBLIC, bridge="evb-blue", tap=tap, mac=made["nics"][0]["mac"])["changed"]
    assert run(nics=[NIC])["changed"] is False
    assert run(nics=nics())["changed"] is False
    other = run(name="other", nics=nics(PUBLIC))
    assert other["msg"].startswith(f"nics[0].public_address[0].address: {PUBLIC} belongs to the NIC {tap}"), other
    run(state="absent")
    assert given(module) == [PUBLIC]


def test_a_clone_has_none(run: Any, module: Any) -> None:
    run(nics=nics(PUBLIC), state="stopped")
    clone = module("domain_clone", uri=URI, name="web2", source="web")["domain"]
    assert clone["nics"][0]["public_address"] == []
    run(name="web2", state="absent")
    assert given(module) == [PUBLIC]


def test_two_domains_in_one_task(module: Any) -> None:
    one = {"name": "web", "disks": [], "nics": nics(PUBLIC)}
    two = {"name": "other", "disks": [], "nics": nics("203.0.113.11", mode="nat", private_address="10.0.0.5")}
    assert module("domains", uri=URI, domains=[one, two])["changed"]
    assert given(module) == [PUBLIC, "203.0.113.11"]
    assert module("domains", uri=URI, domains=[one, two])["changed"] is False


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            [{"network": "default", "public_address": [{"address": PUBLIC}]}],
            "nics[0].public_address: only an interface of a virtual",
        ),
        (nics("203.0.113.0/24"), "nics[0].public_address[0].address: '203.0.113.0/24' is not one address"),
        (nics("name"), "nics[0].public_address[0].address: 'name' is not one address"),
        (nics("203.0.113.2"), "nics[0].public_address[0].address: 203.0.113.2 is this host's own, on eth0"),
        (nics(PUBLIC, PUBLIC), "nics[0].public_address: "),
        (nics(PUBLIC, mode="nat"), "nics[0].public_address[0].private_address: mode: nat needs the address"),
        (nics(PUBLIC, uplink="eth9"), "nics[0].public_address[0].uplink: there is no link eth9"),
        (nics("224.0.0.1"), "nics[0].public_address[0].address: 224.0.0.1 is multicast"),
        (nics("2001:db8::1"), "nics[0].public_address[0].uplink: this host has no default route of IPv6"),
    ],
)
def test_what_cannot_be_is_named_before_any_change(run: Any, module: Any, options: Any, says: str) -> None:
    failed = run(nics=options)
    assert failed["failed"], failed
    assert failed["msg"].startswith(says)
    assert module("domain_info", uri=URI, name="web")["domains"] == []
    assert not given(module)


def test_a_domain_with_one_does_not_migrate_and_without_it_does(run: Any, driver: Any, folders: Folders) -> None:
    run(nics=nics(PUBLIC), state="stopped")

    def obstacles() -> list[str]:
        source = read_source(
            driver, "web", DiskFiles(SubprocessRunner(), folders), folders, networks.HostNetworks(SubprocessRunner())
        )
        assert source is not None
        return [one for one in source.obstacles if "public address" in one]

    (obstacle,) = obstacles()
    assert obstacle.startswith(f"its interface nic0 has the public address {PUBLIC}, which this host passes on; take it away first")
    assert run(nics=nics(), state="stopped")["changed"]
    assert obstacles() == []
