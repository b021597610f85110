# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest in virtual networks of two lab hosts: another network while it runs, a plugged interface, what a migration refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from edge_lab.api import unusable
from support.migration_hosts import Pair, pair
from support.stream_host import StreamHost

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
# libvirt isolates ports by /sys, which is read-only in a container.
WRITABLE = """mkdir -p /run/sysfs && mount -t sysfs -o rw sysfs /run/sysfs && mount -o remount,rw /run/sysfs
for part in class devices; do mount --bind /run/sysfs/$part /sys/$part; done"""
RED = {"name": "red", "type": "isolated", "mtu": 1300, "peers_isolated": True}


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if reason := unusable():
        pytest.skip(reason)
    with pair(f"vnet-{request.param}", request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def blue(hosts: Pair, **changes: Any) -> dict[str, Any]:
    addresses = [
        host.run("ip", "-4", "-o", "addr", "show", "dev", "host0").split()[3].split("/")[0] for host in (hosts.one, hosts.two)
    ]
    return {"name": "blue", "type": "vxlan", "vni": 100, "underlay": "host0", "members": addresses, **changes}


def port(host: StreamHost, tap: str) -> tuple[str, int, str]:
    """Return bridge, MTU and isolation of a tap device, by the kernel."""
    place = f"/sys/class/net/{tap}"
    bridge = host.run("readlink", f"{place}/master").strip().rpartition("/")[2]
    return bridge, int(host.run("cat", f"{place}/mtu")), host.run("cat", f"{place}/brport/isolated").strip()


def test_life_in_virtual_networks(hosts: Pair) -> None:
    one, two = hosts.one, hosts.two
    for host in (one, two):
        host.run("sh", "-c", WRITABLE)
    mtu = int(one.run("cat", "/sys/class/net/host0/mtu")) - 50
    one.module("virtual_networks", networks=[blue(hosts), RED])
    in_blue, in_red = ([{"network": "default"}, {"virtual_network": name}] for name in ("blue", "red"))  # the first has DHCP
    in_both = [*in_blue, {"virtual_network": "red"}]
    uuid = hosts.guest("vn", nics=in_blue)["domain"]["uuid"]
    first, second = (tap_link(uuid, name) for name in ("nic1", "nic2"))
    one.wait_more("vn", 5)
    assert port(one, first) == ("evb-blue", mtu, "0")
    assert hosts.guest("vn", nics=in_blue)["changed"] is False

    moved = hosts.guest("vn", nics=in_red)
    assert moved["domain"]["pending_restart"] == ["nics.nic1"], "its MTU is another one at the next start"
    assert port(one, first) == ("evb-red", mtu, "1")
    assert hosts.guest("vn", nics=in_red)["changed"] is False
    assert hosts.guest("vn", nics=in_blue)["domain"]["pending_restart"] == []
    assert port(one, first) == ("evb-blue", mtu, "0")

    plugged = hosts.guest("vn", nics=in_both)
    assert "Attach interface nic2 to running domain vn" in plugged["actions"]
    assert port(one, second) == ("evb-red", 1300, "1")
    assert plugged["domain"]["pending_restart"] == []
    assert hosts.guest("vn", nics=in_both)["changed"] is False
    assert "has no virtual network blue" in hosts.migrate("vn", ok=False)["msg"]
    two.module("virtual_network", **blue(hosts, vni=101))
    assert f"blue has vni 100 here and 101 on {two.host.name}" in hosts.migrate("vn", ok=False)["msg"]
    one.module("domain", name="vn", state="absent", force_stop=True, delete_disks=True, timeout=5)
