# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules address, address_network and address_info in this process, with a real file."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import stable_mac
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from support.modules import run_module

FOUR, SIX = "192.0.2.0/24", "2001:db8:1::/64"
RANGES = [{"start": "192.0.2.10", "end": "192.0.2.12"}, {"subnet": SIX}]
PRIVATE = {"type": "vxlan", "subnets": [FOUR, SIX], "gateway": ["192.0.2.1"], "ranges": RANGES}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "addresses.sqlite3"


@pytest.fixture
def module(path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    return partial(run_module, capsys, path=str(path))


@pytest.fixture
def network(module: Any) -> Any:
    return partial(module, "address_network", name="private")


@pytest.fixture
def address(module: Any, network: Any) -> Any:
    network(**PRIVATE)
    return partial(module, "address", network="private")


def content(path: Path) -> list[tuple[str, str]]:
    """Return the names of all files beside the one of addresses, and what each has."""
    return sorted((one.name, hashlib.sha256(one.read_bytes()).hexdigest()) for one in path.parent.iterdir())


def test_missing_arguments(module: Any) -> None:
    assert "missing required arguments: name" in module("address_network")["msg"]
    assert "missing required arguments: vm" in module("address")["msg"]
    assert module("address", vm="web")["error"] == {"code": "invalid_input", "option": "network"}


def test_a_network_is_declared_changed_and_removed(network: Any, path: Path) -> None:
    predicted = network(type="nat", subnets=[FOUR], check=True)
    assert not path.exists()
    made = network(type="nat", subnets=[FOUR])
    assert made["changed"] and (made["network"], made["diff"]) == (predicted["network"], predicted["diff"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert not network(type="nat", subnets=[FOUR])["changed"]
    assert not network()["changed"]

    before = content(path)
    change = {"holds": [{"start": "192.0.2.5", "end": "192.0.2.6"}], "cool_down": 60, "mac_prefix": "02-00"}
    predicted = network(**change, check=True)
    assert content(path) == before
    changed = network(**change)
    assert changed["diff"] == predicted["diff"]
    assert changed["diff"]["before"] == {"holds": [], "mac_prefix": "52:54", "cool_down": 3600}
    assert changed["diff"]["after"] == {"holds": change["holds"], "mac_prefix": "02:00", "cool_down": 60}
    assert not network(**change)["changed"]

    assert network(state="absent", check=True)["changed"]
    assert network(state="absent")["network"] == {"state": "absent"}
    assert not network(state="absent")["changed"]


def test_a_lease_is_predicted_given_kept_and_released(address: Any, path: Path) -> None:
    before = content(path)
    predicted = address(vm="web", check=True)
    assert content(path) == before
    made = address(vm="web")
    for key in ("changed", "lease", "diff", "actions"):
        assert made[key] == predicted[key]
    assert made["lease"]["ipv4"] == "192.0.2.10"
    assert made["lease"]["ipv6"] == "2001:db8:1::1"
    assert made["lease"]["mac"] == stable_mac("web", "nic0")
    assert made["lease"]["addresses"][0] == {
        "address": "192.0.2.10",
        "cidr": "192.0.2.10/24",
        "prefix_length": 24,
        "subnet": "192.0.2.0/24",
        "gateway": "192.0.2.1",
        "static": False,
    }
    before = content(path)
    again = address(vm="web")
    assert (again["changed"], again["lease"], again["diff"]) == (False, made["lease"], {"before": {}, "after": {}})
    assert content(path) == before

    static = address(vm="web", ipv4="192.0.2.77", mac="52:54:00:00:00:01", families=["ipv4"])
    assert (static["lease"]["ipv4"], static["lease"]["ipv6"], static["lease"]["mac"]) == ("192.0.2.77", None, "52:54:00:00:00:01")
    assert static["diff"]["before"]["ipv6"] == "2001:db8:1::1"
    assert address(vm="web")["lease"]["ipv4"] == "192.0.2.77"

    assert address(vm="web", state="absent", check=True)["changed"]
    gone = address(vm="web", state="absent")
    assert gone["lease"] == {"state": "absent"}
    assert gone["diff"]["before"]["leases"][0]["ipv4"] == "192.0.2.77"
    assert not address(vm="web", state="absent")["changed"]


def test_a_released_address_cools_down_for_others_only(address: Any, network: Any) -> None:
    address(vm="web")
    address(vm="web", state="absent")
    assert address(vm="db")["lease"]["ipv4"] == "192.0.2.11"
    refused = address(vm="db", ipv4="192.0.2.10")
    assert refused["error"]["code"] == "busy"
    assert "ipv4: 192.0.2.10 was released by the VM web, NIC nic0, and cools down" in refused["msg"]
    assert address(vm="web")["lease"]["ipv4"] == "192.0.2.10"
    address(vm="web", state="absent")
    network(cool_down=0)
    assert address(vm="db", ipv4="192.0.2.10")["lease"]["ipv4"] == "192.0.2.10"


def test_held_and_reserved_addresses_are_given_to_nobody_else(address: Any, network: Any) -> None:
    network(
        holds=[{"start": "192.0.2.10"}], reservations=[{"start": "192.0.2.11", "vm": "db"}, {"start": "2001:db8:1::1", "vm": "db"}]
    )
    web = address(vm="web")["lease"]
    assert (web["ipv4"], web["ipv6"]) == ("192.0.2.12", "2001:db8:1::2")
    full = address(vm="other")
    assert full["error"] | {"size": 3, "leased": 1, "held": 1, "reserved": 1, "cooling": 0, "free": 0} == full["error"]
    assert full["msg"].startswith("network: private has no free IPv4 address.")
    assert "192.0.2.10 is held" in address(vm="other", ipv4="192.0.2.10")["msg"]
    assert "is reserved for the VM db" in address(vm="other", ipv4="192.0.2.11")["msg"]
    taken = address(vm="other", ipv4="192.0.2.12")
    assert taken["error"] == {"code": "conflict", "option": "ipv4", "vm": "web", "nic": "nic0"}
    db = address(vm="db")["lease"]
    assert (db["ipv4"], db["ipv6"]) == ("192.0.2.11", "2001:db8:1::1")


@pytest.mark.parametrize(
    ("options", "option", "says"),
    [
        ({"vm": "a b"}, "vm", "'a b'"),
        ({"nic": "NIC"}, "nic", "'NIC'"),
        ({"network": "privat"}, "network", "there are: private"),
        ({"ipv4": "192.0.2"}, "ipv4", "'192.0.2' is not an address"),
        ({"ipv4": "192.0.2.010"}, "ipv4", "is not an address"),
        ({"ipv4": "192.0.2.10/24"}, "ipv4", "prefix length"),
        ({"ipv4": "2001:db8:1::5"}, "ipv4", "is an IPv6 address"),
        ({"ipv6": "192.0.2.10"}, "ipv6", "is an IPv4 address"),
        ({"ipv6": "fe80::1%eth0"}, "ipv6", "%"),
        ({"ipv6": "ff02::1"}, "ipv6", "multicast"),
        ({"ipv4": "198.51.100.7"}, "ipv4", "is in no subnet of the network private"),
        ({"ipv4": "192.0.2.0"}, "ipv4", "is the network address of 192.0.2.0/24"),
        ({"ipv4": "192.0.2.255"}, "ipv4", "is the broadcast address"),
        ({"ipv4": "192.0.2.1"}, "ipv4", "is the gateway"),
        ({"ipv6": "2001:db8:1::"}, "ipv6", "subnet-router anycast"),
        ({"ipv4": "192.0.2.10", "families": ["ipv6"]}, "ipv4", "families"),
        ({"families": []}, "families", "empty"),
        ({"state": "absent", "ipv4": "192.0.2.10"}, "ipv4", "ends whole"),
        ({"mac": "53:54:00:00:00:01"}, "mac", "unicast"),
        ({"mac": 190440123}, "mac", "quotes"),
        ({"path": "relative"}, "path", ""),
        ({"path": "/tmp"}, "path", "is a folder"),
        ({"path": "/nowhere/x"}, "path", "does not exist"),
    ],
)
def test_a_bad_lease_is_named(address: Any, path: Path, options: dict[str, Any], option: str, says: str) -> None:
    before = content(path)
    failed = address(**{"vm": "web", **options})
    assert failed["error"]["option"] == option
    assert failed["msg"].startswith(f"{option}: ") and says in failed["msg"]
    assert content(path) == before


@pytest.mark.parametrize(
    ("options", "option", "says"),
    [
        ({"name": "a/b"}, "name", "'a/b'"),
        ({"type": None}, "type", "a new network needs it"),
        ({"subnets": None}, "subnets", "a new network needs it"),
        ({"subnets": ["192.0.2.0"]}, "subnets[0]", "prefix length"),
        ({"subnets": ["192.0.2.5/24"]}, "subnets[0]", "the subnet 192.0.2.0/24"),
        ({"subnets": ["192.0.2.0/33"]}, "subnets[0]", "not a subnet"),
        ({"subnets": ["10.0.0.0/7"]}, "subnets[0]", "wider"),
        ({"subnets": ["224.0.0.0/8"]}, "subnets[0]", "multicast"),
        ({"subnets": ["fe80::/64"]}, "subnets[0]", "link-local"),
        ({"subnets": [1.5]}, "subnets[0]", "quotes"),
        ({"subnets": [FOUR, "192.0.0.0/16"]}, "subnets[1]", "subnets[0]"),
        ({"subnets": [FOUR, FOUR]}, "subnets[0]", "overlaps"),
        ({"gateway": ["198.51.100.1"]}, "gateway[0]", "lies in no subnet of the network (192.0.2.0/24)"),
        ({"gateway": ["192.0.2.255"]}, "gateway[0]", "broadcast"),
        ({"gateway": ["192.0.2.1", "192.0.2.2"]}, "gateway[1]", "192.0.2.2 and 192.0.2.1 are both in"),
        ({"gateway": ["x"]}, "gateway[0]", "'x'"),
        ({"ranges": [{"start": "192.0.2.9", "end": "192.0.2.3"}]}, "ranges[0]", "lower"),
        ({"ranges": [{"start": "192.0.2.9", "end": "192.0.3.3"}]}, "ranges[0]", "lies in no subnet"),
        ({"ranges": [{"start": "x"}]}, "ranges[0].start", "'x'"),
        ({"ranges": [{"start": "192.0.2.1", "end": "2001:db8::1"}]}, "ranges[0]", "same family"),
        ({"ranges": [{"end": "192.0.2.3"}]}, "ranges[0]", "give start"),
        ({"ranges": [{"start": "192.0.2.1", "subnet": FOUR}]}, "ranges[0]", "either"),
        ({"ranges": [{"subnet": "192.0.2.1/28"}]}, "ranges[0].subnet", "192.0.2.0/28"),
        (
            {"ranges": [{"start": "192.0.2.9"}, {"start": "192.0.2.3", "end": "192.0.2.9"}]},
            "ranges[1]",
            "overlaps the range 192.0.2.9",
        ),
        ({"holds": [{"start": "198.51.100.1"}]}, "holds[0]", "lies in no subnet"),
        ({"holds": [{"start": "192.0.2.5"}], "reservations": [{"start": "192.0.2.5", "vm": "a"}]}, "holds[0]", "reservations[0]"),
        ({"reservations": [{"start": "192.0.2.1", "vm": "a"}]}, "reservations[0]", "is the gateway"),
        ({"reservations": [{"start": "192.0.2.3", "vm": "a b"}]}, "reservations[0].vm", "'a b'"),
        ({"mac_prefix": "00:16:3e"}, "mac_prefix", "locally administered"),
        ({"mac_prefix": "52:54:00:12"}, "mac_prefix", "octets"),
        ({"mac_prefix": 3174}, "mac_prefix", "quotes"),
        ({"cool_down": -1}, "cool_down", "-1"),
        ({"path": "/nowhere/x"}, "path", "/nowhere does not exist"),
    ],
)
def test_a_bad_network_is_named(network: Any, path: Path, options: dict[str, Any], option: str, says: str) -> None:
    given = {"type": "vxlan", "subnets": [FOUR], "gateway": ["192.0.2.1"], **options}
    failed = network(**{name: value for name, value in given.items() if value is not None})
    assert not path.exists()
    assert failed["error"]["option"] == option
    assert failed["msg"].startswith(f"{option}: ") and says in failed["msg"]


def test_each_part_is_changed_alone(network: Any) -> None:
    made = network(type="vxlan", subnets=[FOUR])["network"]
    assert (made["gateway"], made["ranges"]) == ([], [{"start": "192.0.2.0", "end": "192.0.2.255"}])
    assert network(ranges=[{"start": "192.0.2.8"}])["diff"]["after"] == {"ranges": [{"start": "192.0.2.8", "end": "192.0.2.8"}]}
    assert network(gateway=["192.0.2.9"])["diff"]["after"] == {"gateway": ["192.0.2.9"]}
    more = network(subnets=[SIX, FOUR])["network"]
    assert (more["subnets"], more["gateway"]) == ([FOUR, SIX], ["192.0.2.9"])
    assert [one["start"] for one in more["ranges"]] == ["192.0.2.8", "2001:db8:1::"]
    assert network(holds=[{"subnet": "192.0.2.16/28"}])["network"]["holds"] == [{"start": "192.0.2.16", "end": "192.0.2.31"}]
    assert network(subnets=[SIX])["error"]["option"] == "subnets"
    assert network(subnets=[SIX], holds=[])["network"]["subnets"] == [SIX]


def test_overlaps_count_only_between_networks_that_hosts_route(module: Any) -> None:
    network = partial(module, "address_network", subnets=[FOUR])
    assert network(name="tenant1", type="isolated")["changed"]
    assert network(name="tenant2", type="vxlan")["changed"]
    assert network(name="nat1", type="nat", cluster="edge1")["changed"]
    refused = network(name="routed1", type="routed")
    assert refused["error"] == {"code": "conflict", "option": "subnets[0]", "subnet": "192.0.2.0/24", "network": "nat1"}
    assert network(name="nat2", type="nat", cluster="edge2")["changed"]
    assert network(name="tenant1", type="nat")["error"]["network"] == "nat1"
    assert network(name="nat2", cluster="edge1")["error"]["network"] == "nat1"
    assert network(name="nat2", cluster="")["error"]["network"] == "nat1"
    assert network(name="tenant1", cluster="edge1")["changed"]
    assert network(name="tenant1", cluster="")["diff"] == {"before": {"cluster": "edge1"}, "after": {}}


def test_the_first_address_of_a_routed_subnet_is_the_gateway(module: Any) -> None:
    made = module("address_network", name="nat", type="nat", subnets=["192.0.2.0/30", "2001:db8::/64"])
    assert made["network"]["gateway"] == ["192.0.2.1", "2001:db8::1"]
    assert module("address", vm="web", network="nat")["lease"]["ipv4"] == "192.0.2.2"


def test_leases_in_use_are_not_declared_away(address: Any, network: Any) -> None:
    for vm in ("a", "b"):
        address(vm=vm)
    address(vm="c", ipv4="192.0.2.200", families=["ipv4"])
    kept = [{"start": "192.0.2.10", "end": "192.0.2.11"}, {"subnet": SIX}]
    assert network(ranges=kept)["diff"]["after"]["ranges"][0] == kept[0]
    assert not address(vm="b")["changed"]
    less = network(ranges=[{"start": "192.0.2.10"}, {"subnet": SIX}])
    assert less["error"]["leases"] == [{"address": "192.0.2.11", "vm": "b", "nic": "nic0"}]
    assert less["msg"].startswith("ranges: 192.0.2.11 has a lease of the VM b, NIC nic0")
    gone = network(subnets=[FOUR])
    assert [one["vm"] for one in gone["error"]["leases"]] == ["a", "b"]
    assert gone["error"]["option"] == "subnets"
    assert network(holds=[{"start": "192.0.2.200"}])["error"]["leases"][0]["vm"] == "c"
    assert network(reservations=[{"start": "192.0.2.200", "vm": "a"}])["error"]["option"] == "reservations"
    assert network(gateway=["192.0.2.200"])["error"]["option"] == "gateway"
    routed = network(type="nat")
    assert routed["error"]["option"] == "type"
    assert "2001:db8:1::1 has a lease of the VM a, NIC nic0, and then is the gateway" in routed["msg"]
    absent = network(state="absent")
    assert absent["error"] == {"code": "refused", "option": "name", "leases": 5}
    assert "192.0.2.200 (VM c, NIC nic0)" in absent["msg"]


def test_a_network_without_ranges_has_static_addresses_only(module: Any, network: Any) -> None:
    network(type="bridge", subnets=[FOUR], ranges=[])
    address = partial(module, "address", network="private")
    assert "no range" in address(vm="web")["msg"]
    assert address(vm="web", families=["ipv4"])["error"]["option"] == "families"
    assert address(vm="web", ipv4="192.0.2.9")["lease"]["ipv4"] == "192.0.2.9"
    network(name="layer2", type="bridge", subnets=[])
    assert address(vm="web", network="layer2")["lease"]["addresses"] == []


def test_info(address: Any, network: Any, module: Any, path: Path) -> None:
    address(vm="web")
    address(vm="old")
    address(vm="db", nic="nic1", ipv4="192.0.2.50")
    address(vm="old", state="absent")
    before = content(path)
    found = module("address_info")
    assert content(path) == before
    assert not found["changed"]
    (one,) = found["networks"]
    assert one["usage"]["ipv4"] == {"size": 3, "leased": 1, "held": 0, "reserved": 0, "cooling": 1, "free": 1, "outside": 1}
    assert one["usage"]["ipv6"]["size"] == 2**64 - 1
    assert one["next_free"] == {"ipv4": "192.0.2.12", "ipv6": "2001:db8:1::4"}
    assert [(lease["vm"], lease["nic"]) for lease in found["leases"]] == [("db", "nic1"), ("web", "nic0")]
    assert {(item["vm"], item["address"]) for item in found["cooling"]} == {("old", "192.0.2.11"), ("old", "2001:db8:1::2")}
    assert all(3590 <= item["seconds"] <= 3600 for item in found["cooling"])
    assert [lease["vm"] for lease in module("address_info", address="192.0.2.50")["leases"]] == ["db"]
    assert module("address_info", address="2001:db8:1:0::2")["cooling"][0]["vm"] == "old"
    assert [lease["vm"] for lease in module("address_info", vm="web")["leases"]] == ["web"]
    assert module("address_info", network="other")["networks"] == []
    assert module("address_info", path=str(path) + "x") | {"networks": [], "leases": [], "cooling": []} == module(
        "address_info", path=str(path) + "x"
    )


def test_leases_are_the_hosts_of_the_dhcp_service_as_they_are(address: Any, module: Any, network: Any) -> None:
    address(vm="web")
    address(vm="db", nic="nic1", families=["ipv6"])
    network(name="layer2", type="vlan", subnets=[])
    module("address", network="layer2", vm="web")
    leases = module("address_info")["leases"]
    assert [lease["dhcp_host"] for lease in leases if lease["network"] == "layer2"] == [None]

    hosts = [lease["dhcp_host"] for lease in leases if lease["dhcp_host"]]
    subnets = [{"subnet": FOUR, "address": "192.0.2.2"}, {"subnet": SIX, "address": "2001:db8:1::ffff"}]
    found = Definition.checked({"name": "private", "bridge": "evb-private", "subnets": subnets, "hosts": hosts})
    assert {host.mac: (host.name, host.addresses) for host in found.hosts} == {
        stable_mac("web", "nic0"): ("web", ("192.0.2.10", "2001:db8:1::1")),
        stable_mac("db", "nic1"): ("db", ("2001:db8:1::2",)),
    }
