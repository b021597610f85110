# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gets into dnsmasq's files: only what has one fixed form; and what follows from a network's name alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp import names
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.places import CONFIG, HOSTS, NAMES
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.texts import texts

V4 = {"subnet": "192.0.2.0/24", "address": "192.0.2.2", "gateway": "192.0.2.1"}
V6 = {"subnet": "2001:db8::/64", "address": "2001:db8::2"}
WEB = {"name": "web", "mac": "52:54:00:00:00:01", "addresses": ["192.0.2.10", "2001:db8::10"]}


def options(**changed: Any) -> dict[str, Any]:
    return {"name": "net", "bridge": "br0", "subnets": [V4, V6], "hosts": [WEB], "domain": "net.example", **changed}


def written(**changed: Any) -> dict[str, str]:
    return texts(Definition.checked(options(**changed)), 1450, "/run/edge-dhcp/net")


def test_mac_addresses_and_names_follow_from_the_network_alone() -> None:
    long = "a" * 50
    for network in ("net", "net2", long):
        first = int(names.service_mac(network)[:2], 16)
        assert (first & 1, first & 2) == (0, 2), "unicast, locally administered"
        assert len(names.link_of(network)) <= 15
    assert names.service_mac("net") == "0a:dd:ed:b4:43:6c", "another version of ours gives the same"
    assert len({names.service_mac(network) for network in ("net", "net2", long)}) == 3
    assert names.link_local("net") == "fe80::8dd:edff:feb4:436c"


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "net\nserver=1"}, "name"),
        ({"bridge": None}, "bridge"),
        ({"bridge": "a b"}, "bridge"),
        ({"subnets": []}, "subnets"),
        ({"subnets": [{**V4, "subnet": "192.0.2.1/24"}]}, "subnets[0].subnet"),
        ({"subnets": [{**V4, "subnet": "192.0.2.0/31"}]}, "subnets[0].subnet"),
        ({"subnets": [{**V6, "subnet": "2001:db8::/48"}]}, "subnets[0].subnet"),
        ({"subnets": [V4, {**V4, "subnet": "192.0.2.0/25"}]}, "subnets[1].subnet"),
        ({"subnets": [{**V4, "address": "192.0.2.255"}]}, "subnets[0].address"),
        ({"subnets": [{**V4, "address": None}]}, "subnets[0].address"),
        ({"subnets": [{**V4, "gateway": "198.51.100.1"}]}, "subnets[0].gateway"),
        ({"subnets": [{**V4, "gateway": "192.0.2.2"}]}, "subnets[0].gateway"),
        ({"subnets": [{**V4, "routes": [{"to": "10.0.0.0/8", "via": "10.0.0.1"}]}]}, "subnets[0].routes[0].via"),
        ({"subnets": [V4, {**V6, "routes": [{"to": "2001:db8:1::/64", "via": "2001:db8::1"}]}]}, "subnets[1].routes"),
        ({"dns": ["192.0.2.53\nserver=1"]}, "dns[0]"),
        ({"dns": ["fe80::1%eth0"]}, "dns[0]"),
        ({"forwarders": ["192.0.2.53#53"]}, "forwarders[0]"),
        ({"domain": "net.example/192.0.2.1"}, "domain"),
        ({"domain": "net\n.example"}, "domain"),
        ({"mtu": 67}, "mtu"),
        ({"mtu": 1000}, "mtu"),
        ({"lease_seconds": 1}, "lease_seconds"),
        ({"hosts": [{**WEB, "name": "web,192.0.2.99"}]}, "hosts[0].name"),
        ({"hosts": [{**WEB, "name": "web\n52:54:00:00:00:02,192.0.2.99"}]}, "hosts[0].name"),
        ({"hosts": [{**WEB, "name": "web\n"}]}, "hosts[0].name"),
        ({"hosts": [{**WEB, "name": ""}]}, "hosts[0].name"),
        ({"hosts": [{**WEB, "name": "*"}]}, "hosts[0].name"),
        ({"hosts": [{**WEB, "hostname": "web.other"}]}, "hosts[0].hostname"),
        ({"hosts": [{**WEB, "hostname": "web\n"}]}, "hosts[0].hostname"),
        ({"hosts": [{**WEB, "mac": "52:54:00:*:*:*"}]}, "hosts[0].mac"),
        ({"hosts": [{**WEB, "mac": "52:54:00:00:00:01,ignore"}]}, "hosts[0].mac"),
        ({"hosts": [{**WEB, "addresses": []}]}, "hosts[0].addresses"),
        ({"hosts": [{**WEB, "addresses": ["192.0.2.10", "192.0.2.11"]}]}, "hosts[0].addresses"),
        ({"hosts": [{**WEB, "addresses": ["192.0.2.10,set:x"]}]}, "hosts[0].addresses[0]"),
        ({"hosts": [{**WEB, "addresses": ["198.51.100.1"]}]}, "hosts"),
        ({"hosts": [{**WEB, "addresses": ["192.0.2.255"]}]}, "hosts"),
        ({"hosts": [{**WEB, "addresses": ["192.0.2.2"]}]}, "hosts"),
        ({"hosts": [{**WEB, "addresses": ["192.0.2.1"]}]}, "hosts"),
        ({"hosts": [{**WEB, "mac": names.service_mac("net")}]}, "hosts"),
        ({"hosts": [WEB, {**WEB, "name": "db", "addresses": ["192.0.2.11"]}]}, "hosts"),
        ({"hosts": [WEB, {**WEB, "name": "db", "mac": "52:54:00:00:00:02"}]}, "hosts"),
        ({"hosts": [WEB, {"name": "WEB", "mac": "52:54:00:00:00:02", "addresses": ["192.0.2.11"]}]}, "hosts"),
    ],
)
def test_bad_input_is_named(changed: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Definition.checked(options(**changed))
    assert raised.value.details["option"] == option
    assert str(raised.value).startswith(f"{option}:")


def test_a_vm_whose_name_is_no_host_name_has_one_of_its_own() -> None:
    found = written(hosts=[{**WEB, "name": "Web server, 1", "hostname": "web1"}])
    assert "server" not in found[HOSTS] + found[NAMES]
    assert found[NAMES].splitlines() == ["192.0.2.10 web1.net.example web1", "2001:db8::10 web1.net.example web1"]


def test_the_checked_form_is_the_same_again() -> None:
    made = Definition.checked(options())
    assert Definition.checked(made.as_json()) == made


def test_two_nics_of_a_vm_share_its_name() -> None:
    second = {**WEB, "mac": "52:54:00:00:00:02", "addresses": ["192.0.2.11"]}
    assert written(hosts=[WEB, second])[HOSTS].count("\n") == 2


def test_routes_carry_the_default_route_too_since_clients_then_ignore_the_other_option() -> None:
    subnet = {**V4, "routes": [{"to": "10.0.0.0/8", "via": "192.0.2.254"}]}
    line = "dhcp-option=tag:s0,option:classless-static-route,10.0.0.0/8,192.0.2.254,0.0.0.0/0,192.0.2.1"
    assert line in written(subnets=[subnet, V6])[CONFIG].splitlines()


def test_without_a_gateway_no_router_is_told_and_without_ipv6_nothing_is_advertised() -> None:
    lines = written(subnets=[{**V4, "gateway": None}], hosts=[])[CONFIG].splitlines()
    assert "dhcp-option=tag:s0,option:router" in lines, "an empty one: dnsmasq would tell its own address otherwise"
    assert not [line for line in lines if line.startswith(("enable-ra", "ra-param", "server="))]


@pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not installed")
def test_dnsmasq_takes_the_largest_configuration(tmp_path: Path) -> None:
    routes = [{"to": f"10.{number}.{number}.0/24", "via": "192.0.2.1"} for number in range(16)]
    servers = [f"192.0.2.{number}" for number in range(50, 58)]
    found = written(subnets=[{**V4, "routes": routes}, V6], dns=servers, forwarders=servers)
    (tmp_path / "conf").write_text(found[CONFIG])
    done = subprocess.run(["dnsmasq", "--test", f"--conf-file={tmp_path}/conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
