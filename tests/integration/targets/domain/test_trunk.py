# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that tags its frames itself: what the kernel lets pass its port, and what an older libvirt cannot."""

from __future__ import annotations

import json

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._taps import tap_link
from support.small_host import SmallHost

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
NETWORK = {"name": "tenants", "type": "isolated", "vlan_filtering": True}
UNTAGGED = {"vlan": 1, "flags": ["PVID", "Egress Untagged"]}


def passing(host: SmallHost, tap: str) -> list[object]:
    (port,) = json.loads(host.run("bridge", "-json", "-compressvlans", "vlan", "show", "dev", tap))
    return list(port["vlans"])


def test_the_port_lets_pass_what_the_interface_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    with SmallHost.up("dom-trunk", "trixie", tmp_path_factory.mktemp("dom-trunk")) as host:
        host.module("virtual_network", **NETWORK)
        nics = [{"name": "lan", "virtual_network": "tenants", "vlans": ["20-29", "10"]}]
        tap = tap_link(host.guest("trunk", nics=nics)["domain"]["uuid"], "lan")
        assert passing(host, tap) == [UNTAGGED, {"vlan": 10}, {"vlan": 20, "vlanEnd": 29}]
        assert host.guest("trunk", nics=nics)["changed"] is False

        changed = host.guest("trunk", nics=[{"name": "lan", "vlans": []}])
        assert changed["domain"]["pending_restart"] == ["nics.lan"]
        assert passing(host, tap) == [UNTAGGED, {"vlan": 10}, {"vlan": 20, "vlanEnd": 29}]
        host.domain("trunk", state="stopped", force_stop=True, timeout=5)
        host.domain("trunk", state="running")
        assert passing(host, tap) == [UNTAGGED]


def test_an_older_libvirt_is_named_before_anything_is_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    with SmallHost.up("dom-trunk", "bookworm", tmp_path_factory.mktemp("dom-trunk")) as host:
        host.module("virtual_network", **NETWORK)
        asked = {
            "name": "trunk",
            "memory": "128MiB",
            "virt_type": "qemu",
            "nics": [{"virtual_network": "tenants", "vlans": ["10"]}],
        }
        assert "nics[0].vlans: libvirt of this host is older than 11.0" in host.module("domain", ok=False, **asked)["msg"]
        assert host.run("virsh", "list", "--all", "--name") == ""
